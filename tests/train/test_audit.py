"""The command: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.train.data.pictures import isic_part, picture, save, text
from train.audit import command


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two pictures, of which the first is a recompressed copy of the one ISIC image."""
    isic_part(tmp_path / "isic", "Training", {"ISIC_0000001": "1.0,0.0"}, seed=5)
    save(tmp_path / "clinic" / "x.jpg", picture(5), quality=60)
    save(tmp_path / "clinic" / "y.jpg", picture(6))
    text(
        tmp_path / "clinic" / "labels.csv",
        "image,label,split,camera\nx.jpg,melanoma,train,A\ny.jpg,nevus,test,A\n",
    )
    return tmp_path


def run(*arguments: object, cache: Path | None = None) -> Result:
    environment = {"XDG_CACHE_HOME": None if cache is None else str(cache)}
    options = [] if cache else ["--no-cache"]
    return CliRunner().invoke(command, [*map(str, arguments), *options], env=environment)


def test_it_names_the_overlap_and_writes_it(clinic: Path) -> None:
    out = clinic / "reports" / "overlaps.json"
    result = run(clinic / "isic", clinic / "clinic", "--out", out)
    assert result.exit_code == 0, result.output
    assert "same picture: ISIC_0000001 = x" in result.stdout
    assert "columns that are not used: camera" in result.stdout
    written = json.loads(out.read_text())
    assert written["schema"] == 1
    assert [s["name"] for s in written["sets"]] == ["isic", "clinic"]
    assert written["sets"][1]["splits"] == {"train": 1, "test": 1}
    between = {(c["a"], c["b"]): c["overlaps"] for c in written["comparisons"]}
    assert between["clinic [train]", "clinic [test]"] == []
    (overlap,) = between["isic", "clinic"]
    assert (overlap["kind"], overlap["b_id"]) == ("phash", "x")


def test_strict_ends_with_1_only_where_there_is_an_overlap(clinic: Path) -> None:
    assert run(clinic / "isic", clinic / "clinic", "--strict").exit_code == 1
    alone = run(clinic / "isic", "--strict")
    assert alone.exit_code == 0
    assert "No overlaps." in alone.stdout


def test_repeats_within_a_split_are_no_overlap(clinic: Path) -> None:
    save(clinic / "clinic" / "again.jpg", picture(6))
    text(clinic / "clinic" / "labels.csv", "image,label\ny.jpg,nevus\nagain.jpg,nevus\n")
    result = run(clinic / "clinic", "--strict")
    assert result.exit_code == 0
    assert "one pair of images that show the same picture within a split" in result.stdout


def test_long_lists_are_cut_on_screen_only(clinic: Path) -> None:
    result = run(clinic / "isic", clinic / "clinic", "--show", "0")
    assert "and 1 more; --out FILE writes them all" in result.stdout


def test_files_of_the_same_name_are_told_apart(clinic: Path) -> None:
    copy = clinic / "copy" / "labels.csv"
    save(copy.parent / "q.jpg", picture(8))
    text(copy, "image,label\nq.jpg,nevus\n")
    result = run(clinic / "clinic" / "labels.csv", copy)
    assert f"{copy}: 1 samples" in result.stdout


def test_the_cache_is_used(clinic: Path) -> None:
    assert run(clinic / "isic", cache=clinic / "cache").exit_code == 0
    assert len(list((clinic / "cache" / "dermedge").glob("*.npz"))) == 1


@pytest.mark.parametrize("case", ["none", "missing", "twice", "unwritable"])
def test_bad_usage(clinic: Path, case: str) -> None:
    blocked = text(clinic / "file", "")
    arguments: dict[str, list[Path | str]] = {
        "none": [],
        "missing": [clinic / "nowhere"],
        "twice": [clinic / "isic", clinic / "isic"],
        "unwritable": [clinic / "isic", "--out", blocked / "out.json"],
    }
    result = run(*arguments[case])
    assert result.exit_code == 2
    expected = {
        "none": "Missing argument",
        "missing": "There is no data set at",
        "twice": "named twice",
        "unwritable": "Cannot write",
    }
    assert expected[case] in result.stderr


def test_help_shows_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "dermedge audit isic2017 my_clinic/labels.csv --out overlaps.json" in result.stdout
