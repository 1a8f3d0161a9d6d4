"""`dermedge evaluate` from files to report, JSON and table."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import pytest
from click.testing import CliRunner, Result

from calibration.evaluate import command
from runtime.bundle_files import LoadedBundle, fields_of, seal
from tests.bundle_factory import bundle_fields, make_bundle, operating_point, picture
from tests.calibration.evaluation.made import write_mask
from train.data.own_csv import read
from train.data.table import Table

VOID = {"meta", "link", "img", "br", "rect", "line", "circle"}


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images with masks: of every third a melanoma, which the tiny bundle mostly sees so."""
    folder = tmp_path_factory.mktemp("data")
    write_mask(folder / "mask.png")
    rows = [["image", "label", "mask", "lesion", "age", "sex", "site", "split"]]
    for row in range(24):
        melanoma = row % 3 == 0
        colour = (20 + row, 30, 90 - row) if melanoma else (90 + row, 40 + row, 30)
        name = f"p{row:02d}.png"
        image = picture(60, 80, colour)
        (folder / name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
        label = "MEL" if melanoma else "nevus"
        rows.append(
            [name, label, "mask.png", f"l{row // 2}", str(30 + row), "fm"[row % 2], "back", "test"]
        )
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    return make_bundle(tmp_path_factory.mktemp("evaluate") / "B")


def evaluate(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def run(bundle: LoadedBundle, data: Path, out: Path, *more: object) -> tuple[Result, Any]:
    words = ("--bundle", bundle.path, "--data", data, "--out", out, "--map", "MEL=melanoma", *more)
    done = evaluate(*words)
    assert done.exit_code == 0, done.output
    return done, json.loads((out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def evaluated(
    bundle: LoadedBundle, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, Path]:
    """What one run printed, its JSON and its folder."""
    out = tmp_path_factory.mktemp("evaluated")
    done, found = run(bundle, data, out)
    return done.output, found, out


def lines_of(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_from_files_to_figures(bundle: LoadedBundle, evaluated: tuple[str, Any, Path]) -> None:
    output, found, out = evaluated
    assert "AUC of the score" in output
    assert "Decision support, not a diagnosis." in output
    assert found["data"]["classes"] == {"melanoma": 8, "nevus": 16}
    assert found["bundles"][0]["digest"] == bundle.digest
    (backend,) = found["backends"]
    assert set(backend["precision"]) == set(bundle.spec.models)
    assert set(backend["precision"].values()) == {"fp32"}
    assert f"; fp32: {', '.join(backend['precision'])}" in (out / "report.html").read_text("utf-8")
    assert found["method"]["groups"] == 12
    lines = lines_of(out)
    assert len(lines) == 24
    for line in lines:
        assert float(line["p.melanoma"]) + float(line["p.nevus"]) == pytest.approx(1, abs=1e-5)
        assert line["refer"] == json.dumps(float(line["score"]) >= 0.5)
    called = [line["refer"] == "true" for line in lines]
    sick = [line["label"] == "melanoma" for line in lines]
    hits = sum(c and s for c, s in zip(called, sick, strict=True))
    assert found["metrics"]["sensitivity"]["value"] == pytest.approx(hits / 8)
    assert found["metrics"]["sensitivity"]["n"] == 8
    assert found["metrics"]["jaccard"]["value"] > 0.7
    (hit, missed), (alarm, left) = found["confusion"]["decisions"]
    assert (hit, hit + missed, alarm + left) == (hits, 8, 16)


def test_the_json_keeps_its_shape(evaluated: tuple[str, Any, Path]) -> None:
    _, found, _ = evaluated
    assert found["schema"] == 1
    assert list(found) == [
        "schema", "created", "bundles", "backends", "data", "warnings", "leakage", "metrics",
        "by_prevalence", "confusion", "outcomes", "risk_by_coverage", "acquisition", "subgroups",
        "other_classes", "method", "predictions",
    ]  # fmt: skip
    assert list(found["metrics"]) == [
        "auc", "partial_auc", "average_precision", "specificity_at_sensitivity",
        "sensitivity_at_specificity", "auc.melanoma", "auc.nevus", "auc.mean", "ece", "brier",
        "sensitivity", "specificity", "precision", "npv", "f1", "balanced_accuracy", "accuracy",
        "abstention_rate", "undecided_rate", "dice", "jaccard", "jaccard_median",
        "jaccard_failed",
    ]  # fmt: skip
    for figure in found["metrics"].values():
        assert list(figure) == ["value", "low", "high", "n"]
    assert [one["prevalence"] for one in found["by_prevalence"]] == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert set(found["subgroups"]) >= {"age", "sex", "site"}


def test_the_same_images_give_the_same_figures(
    bundle: LoadedBundle, data: Path, evaluated: tuple[str, Any, Path], tmp_path: Path
) -> None:
    _, again = run(bundle, data, tmp_path)
    assert again | {"created": ""} == evaluated[1] | {"created": ""}


def test_the_page_is_whole_and_asks_nobody(evaluated: tuple[str, Any, Path]) -> None:
    text = (evaluated[2] / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(|<script", text)
    page = Page(text)
    for _, found in page.tags:
        assert found.get("href", "data:,") == "data:,"
        assert not any(name in {"src", "style"} or name.startswith("on") for name in found)
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'; script-src 'none'" in text
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).lower().split()
    for words in ("Decision support, not a diagnosis", "ROC", "Reliability", "Groups of patients"):
        assert words in text
    assert sum(found.get("class") == "chart" for _, found in page.tags) == 8


def test_each_drawing_is_a_file_of_its_own(evaluated: tuple[str, Any, Path]) -> None:
    names = ["confusion", "mistakes", "outlines", "precision", "reliability", "roc", "scores"]
    names += ["threshold"]
    files = sorted((evaluated[2] / "pictures").iterdir())
    assert [file.name for file in files] == [f"{name}.svg" for name in names]
    for file in files:
        assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_without_a_threshold_nothing_is_decided(data: Path, tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["decision"] = {"score": "melanoma"}
    plain = make_bundle(tmp_path / "B", fields)
    _, found = run(plain, data, tmp_path / "out")
    assert "sensitivity" not in found["metrics"]
    assert found["metrics"]["auc"]["value"] is not None
    assert found["by_prevalence"] == []
    assert any("no threshold" in warning for warning in found["warnings"])


def test_training_images_are_shouted_about_everywhere(data: Path, tmp_path: Path) -> None:
    seen = make_bundle(tmp_path / "B")
    table = read(data / "labels.csv")
    known = {"name": "mine", "sha256": table.digest, "images": len(table)}
    fields = fields_of(seen)
    fields["provenance"] |= {"data": [known]}
    known = seal(seen.path, fields)
    words = ("--bundle", known.path, "--data", data, "--map", "MEL=melanoma")
    refused = evaluate(*words, "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "24 training images among 24" in refused.output
    assert not (tmp_path / "out" / "predictions.csv").exists(), "refused before it is judged"
    assert len((tmp_path / "out" / "overlaps.csv").read_text().splitlines()) == 25
    done, found = run(known, data, tmp_path / "out", "--all-images")
    assert "WARNING: All 24 images are TRAINING IMAGES" in " ".join(done.output.split())
    assert found["leakage"]["trained_on"] == 24
    assert "TRAINING IMAGES" in found["warnings"][0]
    assert "may not be quoted" in (tmp_path / "out/report.html").read_text()


def test_a_training_set_is_named_to_be_compared_with(data: Path, tmp_path: Path) -> None:
    """Nothing of it is measured, and its images may have names that `--data` could not take."""
    known = make_bundle(tmp_path / "B")
    table = read(data / "labels.csv")
    part = Table.of("labels", [replace(s, split="") for s in table][:6])
    part.to_csv(tmp_path / "trained.csv")
    words = ("--bundle", known.path, "--data", data, "--map", "MEL=melanoma", "--no-copies")
    words = (*words, "--trained-on", tmp_path / "trained.csv", "--out", tmp_path / "out")
    refused = evaluate(*words)
    assert refused.exit_code == 2
    assert "6 training images among 24" in refused.output
    done = evaluate(*words, "--all-images")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["data"]["images"] == 24


def test_a_reader_is_told_where_overlaps_are_not_known(evaluated: tuple[str, Any, Path]) -> None:
    output, found, _ = evaluated
    assert "note: The bundle does not say what it was trained on" in " ".join(output.split())
    assert any("--trained-on DATA" in warning for warning in found["warnings"])


def folds_of(data: Path, folder: Path) -> list[LoadedBundle]:
    ids = read(data / "labels.csv").ids
    made = []
    for fold in range(2):
        fields = bundle_fields()
        fields["provenance"] |= {"fold": fold, "held_out": list(ids[fold * 12 : fold * 12 + 12])}
        fields["decision"] |= operating_point((0.5, 0.2)[fold])
        made.append(make_bundle(folder / f"B{fold}", fields))
    return made


def test_a_fold_is_evaluated_on_what_it_held_out(data: Path, tmp_path: Path) -> None:
    fold, _ = folds_of(data, tmp_path)
    _, found = run(fold, data, tmp_path / "out")
    assert (found["data"]["images"], found["data"]["held_out_only"]) == (12, True)
    assert [line["id"] for line in lines_of(tmp_path / "out")] == list(
        fold.spec.provenance.held_out
    )
    _, every = run(fold, data, tmp_path / "all", "--all-images")
    assert every["data"]["images"] == 24
    digests = [one["data"]["images_digest"] for one in (found, every)]
    assert digests[0] != digests[1] == read(data / "labels.csv").images_digest


def test_folds_are_pooled_each_at_its_own_threshold(data: Path, tmp_path: Path) -> None:
    folds, out = folds_of(data, tmp_path), tmp_path / "out"
    done = evaluate(
        "--folds", *(fold.path for fold in folds), "--data", data, "--out", out,
        "--map", "MEL=melanoma",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = lines_of(out)
    assert len(lines) == 24
    assert {(line["threshold"], line["bundle"]) for line in lines} == {
        ("0.5", folds[0].digest[:12]),
        ("0.2", folds[1].digest[:12]),
    }
    found = json.loads((out / "evaluation.json").read_text())
    called = sum(line["refer"] == "true" for line in lines)
    assert found["metrics"]["precision"]["n"] == called
    assert [one["fold"] for one in found["bundles"]] == [0, 1]


def test_unknown_labels_are_told_apart(bundle: LoadedBundle, data: Path, tmp_path: Path) -> None:
    text = (data / "labels.csv").read_text().replace("p01.png,nevus", "p01.png,bcc")
    (data / "other.csv").write_text(text)
    done, found = run(bundle, data / "other.csv", tmp_path / "out")
    (stranger,) = found["other_classes"]
    assert (stranger["label"], stranger["n"]) == ("bcc", 1)
    assert sum(found["data"]["classes"].values()) == 23
    assert "not a class of the bundle: bcc, 1 image" in done.output
    assert "Labels it does not know" in (tmp_path / "out/report.html").read_text()


def test_an_unreadable_image_is_counted_and_costs_nothing_else(
    bundle: LoadedBundle, data: Path, tmp_path: Path
) -> None:
    table = read(data / "labels.csv")
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"torn")
    rows = [*table][1:]
    Table.of("t", rows).to_csv(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["torn", torn, "nevus", *[""] * 8])
    _, found = run(bundle, tmp_path / "labels.csv", tmp_path / "out", "--no-copies")
    assert found["outcomes"]["nevus"]["unreadable"] == 1
    assert found["metrics"]["auc"]["n"] == 23
    assert any("have no score" in warning for warning in found["warnings"])


def test_predictions_need_no_labels(bundle: LoadedBundle, data: Path, tmp_path: Path) -> None:
    text = re.sub(r"(MEL|nevus)", "", (data / "labels.csv").read_text())
    (data / "bare.csv").write_text(text)
    words = ("--bundle", bundle.path, "--data", data / "bare.csv", "--out", tmp_path / "out")
    refused = evaluate(*words)
    assert refused.exit_code == 2
    assert "no image has a label" in refused.output
    done = evaluate(*words, "--predictions-only")
    assert done.exit_code == 0, done.output
    assert len(lines_of(tmp_path / "out")) == 24
    assert not (tmp_path / "out/report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "d"), "one bundle, or the bundles"),
        (("--bundle", "a", "--folds", "b", "c", "--data", "d"), "one bundle, or the bundles"),
        (("--folds", "b", "--data", "d"), "one bundle, or the bundles"),
        (("--bundle", "a", "b", "--data", "d"), "one bundle, or the bundles"),
    ],
)
def test_one_bundle_or_folds(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = evaluate(*words, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert message in done.output


def test_a_mapping_has_two_sides(bundle: LoadedBundle, data: Path, tmp_path: Path) -> None:
    done = evaluate("--bundle", bundle.path, "--data", data, "--out", tmp_path, "--map", "MEL")
    assert done.exit_code == 2
    assert "LABEL=CLASS" in done.output
