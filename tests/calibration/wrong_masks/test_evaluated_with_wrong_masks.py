"""`dermedge evaluate --wrong-masks` from files to figures, page and terminal."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.evaluate import command
from calibration.judged import judge
from calibration.wrong_masks.changes import TITLES, grown
from calibration.wrong_masks.rejudged import draw, refuse_what_has_no_mask_to_change, rejudge
from runtime.bundle_files import LoadedBundle
from runtime.decode import read_image
from runtime.errors import UsageError
from runtime.host_chain import HostChain
from runtime.lesion import find_lesion
from tests.bundle_factory import bundle_fields, make_bundle, picture, without_segmenter
from tests.calibration.evaluation.made import write_mask
from train.data.metrics import auc
from train.data.own_csv import read

COUNT, MELANOMAS = 18, 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every third a melanoma, of all but two a mask; sizes differ, so that boxes do."""
    folder = tmp_path_factory.mktemp("data")
    write_mask(folder / "mask.png")
    rows = [["image", "label", "mask"]]
    for row in range(COUNT):
        colour = (20 + 2 * row, 30, 90 - 2 * row) if row % 3 == 0 else (90 - row, 40 + 2 * row, 30)
        image = picture(60 + row, 80, colour)
        (folder / f"p{row:02d}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        label = "nevus" if row % 3 else "melanoma"
        rows.append([f"p{row:02d}.png", label, "mask.png" if row > 1 else ""])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    fields = bundle_fields()
    fields["quality"] = {"lesion_area": {"max": 0.9, "hint": "Move back: it fills the picture."}}
    return make_bundle(tmp_path_factory.mktemp("wrong") / "B", fields)


def evaluate(*words: object) -> Result:
    more = [*words, "--no-copies", "--backend", "onnxruntime"]
    return CliRunner().invoke(command, [str(word) for word in more])


def run(bundle: LoadedBundle, data: Path, out: Path, *more: object) -> tuple[str, dict[str, Any]]:
    done = evaluate("--bundle", bundle.path, "--data", data, "--out", out, *more)
    assert done.exit_code == 0, done.output
    return done.output, json.loads((out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def evaluated(
    bundle: LoadedBundle, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("evaluated")
    return *run(bundle, data, out, "--wrong-masks"), out


def rows_of(found: dict[str, Any]) -> dict[str, Any]:
    return {row["mask"]: row for row in found["wrong_masks"]["rows"]}


def test_a_row_for_each_mask(evaluated: tuple[str, dict[str, Any], Path]) -> None:
    _, found, _ = evaluated
    wrong, rows = found["wrong_masks"], rows_of(found)
    assert (wrong["images"], wrong["positives"]) == (COUNT, MELANOMAS)
    assert list(rows) == list(TITLES)
    assert {name: row["n"] for name, row in rows.items() if row["n"] != COUNT} == {"drawn": 16}
    assert rows["own"]["auc"] == found["metrics"]["auc"]
    assert rows["own"]["statuses"] == {"ok": COUNT}
    no_lesion = "no lesion was found, so the networks saw the whole frame"
    assert rows["nothing"]["statuses"] == {"abstained": COUNT}
    assert rows["nothing"]["why"] == {no_lesion: COUNT}
    assert rows["nothing"]["turned"]["n"] == 0
    assert rows["whole"]["statuses"] == {"rejected": COUNT}
    assert rows["whole"]["why"] == {"lesion area": COUNT}
    assert rows["whole"]["auc"]["n"] == COUNT
    moves = {name: row["median_move"] for name, row in rows.items()}
    assert moves["own"] == 0 < moves["grown_10"] < moves["grown_25"] < moves["grown_50"]
    assert moves["blob"] > moves["grown_50"], "skin is not the lesion"


def test_figures_are_the_chains_own_on_the_crops_of_those_masks(
    evaluated: tuple[str, dict[str, Any], Path], bundle: LoadedBundle, data: Path
) -> None:
    own, wrong, positive = [], [], []
    with HostChain(bundle, "onnxruntime") as chain:
        for sample in read(data / "labels.csv"):
            frame = read_image(sample.image).frame
            found = chain.analyse(frame)
            assert found.lesion is not None
            lesion = find_lesion(grown(found.lesion.mask, 0.5), *frame.shape[:2])
            own.append(found.result)
            wrong.append(chain.analyse_given(frame, lesion).result)
            positive.append(sample.label == "melanoma")
    before, after = (np.array([one.score for one in said]) for said in (own, wrong))
    row = rows_of(evaluated[1])["grown_50"]
    assert row["auc"]["value"] == pytest.approx(auc(np.array(positive), after), abs=1e-6)
    change = auc(np.array(positive), after) - auc(np.array(positive), before)
    assert row["difference"]["value"] == pytest.approx(change, abs=1e-6)
    assert row["median_move"] == pytest.approx(np.median(np.abs(after - before)), abs=1e-5)
    pairs = [(a.refer, b.refer, p) for a, b, p in zip(own, wrong, positive, strict=True)]
    assert row["turned"] == {
        "to_refer": sum((a, b) == (False, True) for a, b, _ in pairs),
        "away": sum((a, b) == (True, False) for a, b, _ in pairs),
        "positives_away": sum((a, b, p) == (True, False, True) for a, b, p in pairs),
        "n": sum(None not in pair for pair in pairs),
    }


def test_it_is_on_the_page_and_the_terminal(
    evaluated: tuple[str, dict[str, Any], Path],
) -> None:
    output, _, out = evaluated
    page = (out / "report.html").read_text()
    for title in TITLES.values():
        assert title in output
        assert page.count(title) >= 3, "in the drawing and in both tables"
    assert "…" not in output, "the table fits on a terminal of 80 columns"
    assert "Decisions with a wrong mask" in page
    ET.parse(out / "pictures" / "wrong_masks.svg")


def test_only_where_it_is_asked_for(bundle: LoadedBundle, data: Path, tmp_path: Path) -> None:
    output, found = run(bundle, data, tmp_path)
    assert "wrong_masks" not in found
    assert "wrong mask" not in (tmp_path / "report.html").read_text()
    assert TITLES["nothing"] not in output


def test_a_limit_keeps_the_share_of_positives_and_the_figures_their_own(
    bundle: LoadedBundle, data: Path, tmp_path: Path
) -> None:
    _, found = run(bundle, data, tmp_path / "a", "--wrong-masks", 9)
    assert found["wrong_masks"]["images"] == 9
    assert found["wrong_masks"]["positives"] == 3
    assert found["metrics"]["auc"]["n"] == COUNT
    _, again = run(bundle, data, tmp_path / "b", "--wrong-masks", "9")
    assert again["wrong_masks"] == found["wrong_masks"]


def test_each_fold_judges_what_it_held_out(
    bundle: LoadedBundle, data: Path, tmp_path: Path
) -> None:
    ids = read(data / "labels.csv").ids
    folds = []
    for fold in range(2):
        fields = bundle_fields()
        held_out = list(ids[fold * 9 : fold * 9 + 9])
        fields["provenance"] |= {"fold": fold, "held_out": held_out}
        weights = None if fold else {"member_a": ((6.0, -4.0), (-2.0, 3.0), (-1.0, -2.0))}
        folds.append(make_bundle(tmp_path / f"B{fold}", fields, weights))
    done = evaluate(
        "--folds", *(fold.path for fold in folds), "--data", data, "--out", tmp_path / "out",
        "--wrong-masks",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = rows_of(json.loads((tmp_path / "out" / "evaluation.json").read_text()))
    assert (found["shifted"]["n"], found["drawn"]["n"]) == (COUNT, 16)
    table = read(data / "labels.csv").with_classes(("melanoma", "nevus"))
    parts = [
        (fold, draw(judge(fold, table.select(fold.spec.provenance.held_out), "onnxruntime"), 99))
        for fold in folds
    ]
    pooled = rejudge(parts, "onnxruntime", lambda: None)["whole"]
    assert pooled.table.ids == ids
    score = auc(pooled.malignant, pooled.scores)
    assert found["whole"]["auc"]["value"] == pytest.approx(score, abs=1e-6)


def test_another_images_mask_is_never_its_own(bundle: LoadedBundle, data: Path) -> None:
    """The masks of these images differ, each given to one other image."""
    judged = draw(judge(bundle, read(data / "labels.csv"), "onnxruntime"), COUNT)
    found = rejudge([(bundle, judged)], "onnxruntime", lambda: None)["other"]
    own, given = (
        [one.result.quality["lesion_area"] for one in many.judgements if one.result]
        for many in (judged, found)
    )
    assert sorted(given) == pytest.approx(sorted(own))
    assert given != own


def test_images_without_a_lesion_or_a_score_are_not_drawn(
    bundle: LoadedBundle, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(b"torn")
    bare = picture(60, 80, lesion=False)
    (tmp_path / "bare.png").write_bytes(cv2.imencode(".png", bare)[1].tobytes())
    lines = [["image", "label"], ["torn.png", "melanoma"], ["bare.png", "nevus"]]
    lines += [[str(data / f"p{row:02d}.png"), ("melanoma", "nevus")[row % 2]] for row in range(4)]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    _, found = run(bundle, tmp_path / "labels.csv", tmp_path / "out", "--wrong-masks")
    assert found["data"]["images"] == 6
    assert found["wrong_masks"]["images"] == 4
    (tmp_path / "again.png").write_bytes((tmp_path / "bare.png").read_bytes())
    with (tmp_path / "none.csv").open("w", newline="") as file:
        csv.writer(file).writerows([lines[0], lines[2], ["again.png", "melanoma"]])
    output, found = run(bundle, tmp_path / "none.csv", tmp_path / "none", "--wrong-masks")
    assert "hardly a lesion was found" in output
    assert "wrong_masks" not in found


def test_what_has_no_mask_to_change_is_refused_before_anything_is_judged(
    bundle: LoadedBundle, data: Path, tmp_path: Path
) -> None:
    blind = make_bundle(tmp_path / "B", without_segmenter(bundle_fields()))
    words = ("--bundle", blind.path, "--data", data, "--out", tmp_path / "out", "--wrong-masks")
    done = evaluate(*words)
    assert done.exit_code == 2
    assert "no segmenter" in done.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="on the host"):
        refuse_what_has_no_mask_to_change([bundle], "tensorrt")
    refuse_what_has_no_mask_to_change([bundle], "openvino")
