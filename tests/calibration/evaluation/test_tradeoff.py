"""From what `evaluate` and `bench` wrote to a drawing and a table, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import pytest
from click.testing import CliRunner, Result

from calibration import evaluate
from calibration.evaluation.tradeoff import command
from runtime import bench
from tests.bundle_factory import bundle_fields, make_bundle, picture

CPU, GPU = "AMD EPYC", "NVIDIA H200"
PRECISION = {"segmenter": "int8", "resnet": "int8", "ensemble": "fp32"}


def backend(device: str = CPU, **precision: str) -> dict[str, Any]:
    return {
        "name": "openvino",
        "mode": "host",
        "device": device,
        "precision": PRECISION | precision,
    }


def evaluated(*digests: str, images: str = "a1", **changes: Any) -> dict[str, Any]:
    area = {"value": 0.8, "low": 0.78, "high": 0.83, "n": 2148}
    bundles = [
        {"name": "ding", "version": "1", "digest": d, "positive": ["melanoma"]} for d in digests
    ]
    return {
        "schema": 1,
        "bundles": bundles,
        "backends": [backend()],
        "data": {"images_digest": images, "classes": {"melanoma": 400, "nevus": 1750}},
        "leakage": {"trained_on": None},
        "metrics": {"auc": area, "auc.mean": area, "auc.nevus": area, "ece": area},
    } | changes


def timed(digest: str, p50: float = 12.0, gpu: bool = False) -> dict[str, Any]:
    device = None
    if gpu:
        modes = {"graph": p50, "enqueue": 99.0}
        device = {"modes": {m: {"wall_ms": {"p50": ms, "p95": 2 * ms}} for m, ms in modes.items()}}
        p50 = 77.0
    return {
        "schema": 1,
        "bundle": {"name": "ding", "version": "1", "digest": digest},
        "backend": backend(GPU if gpu else CPU),
        "machine": {"cores": 2},
        "chain_ms": {"p50": p50, "p95": 1.5 * p50},
        "device": device,
    }


def draw(folder: Path, points: dict[str, tuple[Any, Any]], *more: str) -> Result:
    words = ["--out", str(folder / "new" / "tradeoff.svg"), *more]
    for place, (name, files) in enumerate(points.items()):
        paths = [folder / f"{place}-{kind}.json" for kind in ("evaluation", "bench")]
        for path, content in zip(paths, files, strict=True):
            path.write_text(json.dumps(content))
        words += ["--point", name, *map(str, paths)]
    return CliRunner().invoke(command, words)


def rows_of(path: Path) -> list[list[str]]:
    return [line.strip("| \n").split(" | ") for line in path.read_text().splitlines()]


def test_a_drawing_and_the_same_as_a_table(tmp_path: Path) -> None:
    points = {
        "slow": (evaluated("x", "y"), timed("y", 1234.5)),
        "quick": (evaluated("z"), timed("z", 1.26, gpu=True)),
    }
    done = draw(tmp_path, points)
    assert done.exit_code == 0, done.output
    head, _, *rows = rows_of(tmp_path / "new" / "tradeoff.md")
    assert head[:3] == ["name", "images", "Mean AUC"]
    span = ["2,148", "0.800", "0.780 to 0.830"]
    assert rows == [
        ["quick", *span, "1.26", "2.52", GPU, "openvino", "fp32, int8"],
        ["slow", *span, "1,234", "1,852", f"{CPU}, 2 cores", "openvino", "fp32, int8"],
    ]
    root = ET.parse(tmp_path / "new" / "tradeoff.svg").getroot()
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [words.count(name) for name in ("slow", "quick", GPU, f"{CPU}, 2 cores")] == [1] * 4


def test_the_table_may_be_elsewhere_and_the_measure_another(tmp_path: Path) -> None:
    table = tmp_path / "t.md"
    files = (evaluated("x"), timed("x"))
    done = draw(tmp_path, {"a|b": files}, "--measure", "auc.nevus", "--table", str(table))
    assert done.exit_code == 0, done.output
    text = table.read_text()
    assert "AUC, nevus" in text
    assert r"| a\|b |" in text
    assert not (tmp_path / "new" / "tradeoff.md").exists()


def test_two_classes_and_three_are_compared_where_the_question_is_the_same(tmp_path: Path) -> None:
    fewer = {"images_digest": "a1", "classes": {"melanoma": 400, "benign": 1750}}
    points = {
        "two": (evaluated("x", data=fewer), timed("x")),
        "three": (evaluated("y"), timed("y")),
    }
    assert draw(tmp_path, points, "--measure", "auc").exit_code == 0
    refused = draw(tmp_path, points)
    assert refused.exit_code == 2
    assert "into other classes" in refused.output
    assert "--measure auc asks for the positives" in " ".join(refused.output.split())


TIED = {"trained_on": 0, "copies_of_training_images": {"count": 3, "first": []}}
HELD = {"trained_on": 7}
QUANTISED = {"trained_on": 0, "quantised_on": 4}
EMPTY = {"auc.mean": {"value": None, "low": None, "high": None, "n": 0}}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ((evaluated("x", images="b2"), timed("x")), "were not evaluated on the same images"),
        ((evaluated("x", "y"), timed("z")), "is not the one that was evaluated"),
        ((evaluated("x", leakage=HELD), timed("x")), "7 training images, 0 ties"),
        ((evaluated("x", leakage=TIED), timed("x")), "3 ties of others to some"),
        ((evaluated("x", leakage=QUANTISED), timed("x")), "4 images that its 8 bits were"),
        ((evaluated("x", metrics=EMPTY), timed("x")), "no value of the measure 'auc.mean'"),
        ((evaluated("x", backends=[backend(resnet="fp16")]), timed("x")), "in another precision"),
        (
            (evaluated("x", backends=[backend(), backend(resnet="fp16")]), timed("x")),
            "in another precision",
        ),
        ((evaluated("x", metrics=EMPTY, backends=[]), timed("x")), "no value of the measure"),
        ((evaluated("x", schema=2), timed("x")), "is not what `dermedge evaluate` writes"),
        ((evaluated("x"), {"schema": 1, "camera": "a"}), "not what `dermedge bench --out` writes"),
        ((timed("x"), evaluated("x")), "is not what `dermedge evaluate` writes"),
        ((evaluated("x"), timed("x", 0.0)), "chain_ms.p50"),
    ],
)
def test_what_is_no_comparison_is_refused(
    tmp_path: Path, second: tuple[Any, Any], said: str
) -> None:
    first = (evaluated("x"), timed("x"))
    assert draw(tmp_path, {"first": first, "second": first}).exit_code == 0
    (tmp_path / "new" / "tradeoff.svg").unlink()
    done = draw(tmp_path, {"first": first, "second": second})
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "new" / "tradeoff.svg").exists()


def test_measures_that_are_no_areas_are_refused(tmp_path: Path) -> None:
    done = draw(tmp_path, {"one": (evaluated("x"), timed("x"))}, "--measure", "ece")
    assert done.exit_code == 2
    assert "auc, auc.mean, auc.nevus" in done.output


@pytest.mark.parametrize("name", ["", " ", "a" * 25])
def test_names_have_to_fit(tmp_path: Path, name: str) -> None:
    files = (evaluated("x"), timed("x"))
    assert "has to fit beside it" in draw(tmp_path, {name: files}).output
    assert draw(tmp_path, {"a" * 24: files}).exit_code == 0


def test_a_name_is_for_one_point_on_each_machine(tmp_path: Path) -> None:
    files = []
    for name, content in (("e", evaluated("x")), ("c", timed("x")), ("g", timed("x", gpu=True))):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    e, c, g = map(str, files)
    out = ("--out", str(tmp_path / "t.svg"))
    apart = CliRunner().invoke(command, ["--point", "one", e, c, "--point", "one", e, g, *out])
    assert apart.exit_code == 0, apart.output
    alike = CliRunner().invoke(command, ["--point", "one", e, c, "--point", "one", e, c, *out])
    assert alike.exit_code == 2
    assert "the same name on the same machine" in alike.output


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    words = ["--point", "one", str(tmp_path / "none.json"), str(tmp_path / "none.json")]
    done = CliRunner().invoke(command, [*words, "--out", str(tmp_path / "t.svg")])
    assert done.exit_code == 2
    assert "none.json cannot be read" in " ".join(done.output.split())


def test_from_bundles_to_the_drawing(tmp_path: Path) -> None:
    """What the two commands really write, for pooled folds of which one is timed."""
    lines = ["image,label"]
    for row in range(6):
        image = picture(60, 80, (20, 30, 90) if row % 2 else (90, 40, 30))
        cv2.imwrite(str(tmp_path / f"i{row}.png"), image)
        lines.append(f"i{row}.png,{'melanoma' if row % 2 else 'nevus'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    folds = []
    for fold in range(2):
        fields = bundle_fields()
        held_out = [f"i{row}" for row in range(3 * fold, 3 * fold + 3)]
        fields["provenance"] |= {"fold": fold, "held_out": held_out}
        folds.append(str(make_bundle(tmp_path / f"B{fold}", fields).path))
    words = ["--folds", *folds, "--data", str(tmp_path / "labels.csv"), "--no-copies"]
    done = CliRunner().invoke(evaluate.command, [*words, "--out", str(tmp_path / "R")])
    assert done.exit_code == 0, done.output
    times = tmp_path / "bench.json"
    words = ["--bundle", folds[1], "--backend", "openvino", "--runs", "2", "--out", str(times)]
    done = CliRunner().invoke(bench.command, words)
    assert done.exit_code == 0, done.output
    words = ["--point", "tiny", str(tmp_path / "R" / "evaluation.json"), str(times)]
    done = CliRunner().invoke(command, [*words, "--out", str(tmp_path / "tradeoff.svg")])
    assert done.exit_code == 0, done.output
    row = rows_of(tmp_path / "tradeoff.md")[2]
    assert row[:2] == ["tiny", "6"]
    measured = json.loads(times.read_text())
    assert float(row[4]) == pytest.approx(measured["chain_ms"]["p50"], rel=0.01)
    assert (row[6], row[7]) == (f"{measured['backend']['device']}, {measured['machine']['cores']} "
                                "cores", "openvino")  # fmt: skip
