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
    assert "ISIC_0000001 = x: same picture" in result.stdout
    assert "columns that are not used: camera" in result.stdout
    written = json.loads(out.read_text())
    assert written["schema"] == 1
    assert [s["name"] for s in written["sets"]] == ["isic", "clinic"]
    assert written["sets"][1]["splits"] == {"train": 1, "test": 1}
    between = {(c["a"], c["b"]): c["overlaps"] for c in written["comparisons"]}
    assert between["clinic [train]", "clinic [test]"] == []
    assert between["isic [train]", "clinic [test]"] == []
    (overlap,) = between["isic [train]", "clinic [train]"]
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


@pytest.fixture
def listed(clinic: Path) -> Path:
    """A third set, and a list that says that its one picture is one of the clinic's."""
    text(clinic / "other" / "labels.csv", "image,label\nq.jpg,nevus\n")
    save(clinic / "other" / "q.jpg", picture(8))
    return text(clinic / "twins.csv", "image_name_1,image_name_2\nq,far\nfar,y\n")


def test_a_list_of_duplicates_holds_for_every_two_sets(clinic: Path, listed: Path) -> None:
    sets = (clinic / "isic", clinic / "clinic", clinic / "other")
    assert "listed duplicate" not in run(*sets, "--show", "9").stdout
    result = run(*sets, "--duplicates", listed)
    assert f"{listed}: 2 pairs of duplicates, 2 images are here" in result.stdout
    assert "clinic [test] = other:\n  y = q: listed duplicate\n" in result.stdout
    (clinic / "isic" / "duplicates.csv").write_bytes(listed.read_bytes())
    assert "y = q: listed duplicate" in run(*sets, "--strict").stdout


def test_a_list_of_another_form_is_refused(clinic: Path) -> None:
    bad = text(clinic / "bad.csv", "first,second\na,b\n")
    result = run(clinic / "clinic", "--duplicates", bad)
    assert (result.exit_code, "image_name_1, image_name_2" in result.stderr) == (2, True)
    text(bad, "image_name_1,image_name_2\na,b\nc,\n")
    result = run(clinic / "clinic", "--duplicates", bad)
    assert (result.exit_code, "line 3: one id without the other" in result.stderr) == (2, True)


def test_images_are_counted_on_both_sides_once(clinic: Path) -> None:
    rows = "".join(f"{name}.jpg,nevus,p1\n" for name in "xy")
    text(clinic / "clinic" / "labels.csv", "image,label,patient\n" + rows)
    text(clinic / "one" / "labels.csv", "image,label,patient\nx.jpg,nevus,p1\n")
    save(clinic / "one" / "x.jpg", picture(5), quality=60)
    lines = [
        line.replace("│", " ").split()
        for line in run(clinic / "clinic", clinic / "one").stdout.splitlines()
    ]
    assert ["clinic", "2", "1", "0", "2", "0", "1", "0", "2"] in lines
    assert ["one", "1", "1", "0", "1", "0", "1", "0", "1"] in lines


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
