"""Which images are evaluated, and whether the bundle has seen them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calibration.evaluation.leaks import find_leaks
from calibration.evaluation.selection import (
    check_alike,
    check_enough,
    choose,
    join,
    rename_labels,
)
from runtime.bundle import Bundle
from runtime.errors import UsageError
from tests.bundle_factory import bundle_fields
from tests.runtime.scans import write_pictures
from tests.train.data.pictures import picture as textured
from tests.train.data.pictures import save
from train.data.content import sha256
from train.data.fingerprints import Fingerprints
from train.data.overlaps import MEANING
from train.data.table import Sample, Table


def bundle(**provenance: Any) -> Bundle:
    fields = bundle_fields()
    fields["provenance"] |= provenance
    sha = "0" * 64
    files: dict[str, str] = {}
    for model in fields["models"].values():
        for variant in model["variants"]:
            variant["sha256"] = sha
            files[variant["file"]] = sha
    return Bundle.model_validate(fields | {"files": files})


def table(folder: Path, count: int = 6, name: str = "mine") -> Table:
    files = write_pictures(folder, count)
    samples = [
        Sample(
            f"i{row}", name, folder / file, ("melanoma", "nevus")[row % 2],
            "test" if row == count - 1 else "train",
        )
        for row, file in enumerate(files)
    ]  # fmt: skip
    return Table.of(name, samples)


def trained_on(data: Table, **more: Any) -> Bundle:
    known = {"name": data.name, "sha256": data.digest, "images": len(data)}
    return bundle(data=[known], **more)


# --- selection -----------------------------------------------------------------------------------


def with_strangers(data: Table) -> Table:
    """And pictures of a kind that no class has, the first of them a training image turned grey."""
    strange = [replace(s, id=f"x{s.id}", label="blank", split="") for s in data][:3]
    return Table.of(data.name, [*data, *strange])


def test_strangers_are_asked_about_whatever_is_held_out(tmp_path: Path) -> None:
    data = table(tmp_path)
    everything = with_strangers(data)
    fold = trained_on(data, fold=0, held_out=["i0", "i1"])
    selection = choose(everything, [fold], None, False)
    assert selection.known.ids == ("i0", "i1")
    assert len(selection.strangers) == 3
    pooled = choose(everything, [fold, trained_on(data, fold=1, held_out=["i2"])], None, False)
    assert pooled.known.ids == ("i0", "i1", "i2")
    assert len(pooled.strangers) == 3
    assert len(choose(everything, [bundle()], "test", False).strangers) == 3


def test_strangers_made_from_training_images_are_no_leak(tmp_path: Path) -> None:
    data = table(tmp_path)
    everything = with_strangers(data)
    fold = trained_on(data, fold=0, held_out=["i4", "i5"])
    selection = choose(everything, [fold], None, False)
    found = find_leaks([everything, data], selection, [fold], Fingerprints(), told=[data])
    assert not found.trained_on
    assert not [tie for tie in found.copies or () if tie.a_id.startswith("x")]


def test_what_8_bits_were_made_on_is_known_whatever_it_is_called(tmp_path: Path) -> None:
    data = table(tmp_path)
    used = frozenset(sha256(data[row].image) for row in (1, 2))
    renamed = Table.of("mine", [replace(s, id=f"other{s.id}") for s in data])
    selection = choose(renamed, [bundle()], None, False)
    assert find_leaks([renamed], selection, [bundle()], None).copies is None
    found = find_leaks([renamed], selection, [bundle()], None, quantised=[used])
    assert (found.quantised_on, found.overlaps) == (("otheri1", "otheri2"), ())
    with pytest.raises(UsageError) as caught:
        found.refuse(len(renamed), tmp_path / "overlaps.csv")
    assert "2 that 8 bits were calibrated or tuned on; first otheri1 (8 bits" in str(caught.value)
    assert "training image" not in str(caught.value)
    assert "On 2 of 6 images the bundle's 8 bits" in found.warnings(6)[0]
    found.name(tmp_path / "overlaps.csv")
    with (tmp_path / "overlaps.csv").open(encoding="utf-8") as text:
        assert [row["image"] for row in csv.DictReader(text)] == ["otheri1", "otheri2"]
    seen = trained_on(data)
    again = find_leaks([data], choose(data, [seen], None, True), [seen], None, quantised=[used])
    assert again.quantised_on == (), "a training image is told once"
    both = find_leaks(
        [renamed], selection, [bundle()], Fingerprints(), told=[data], quantised=[used]
    )
    assert {tie.a_id for tie in both.copies or ()} == set(renamed.ids)
    assert both.quantised_on == (), "and so is a copy of one"


def test_one_of_two_training_sets_does_not_stand_for_both(tmp_path: Path) -> None:
    one = table(tmp_path / "one", 4, "one")
    other = Table.of("other", [replace(s, id=f"o{s.id}") for s in table(tmp_path / "other", 4)])
    facts = [{"name": t.name, "sha256": t.digest, "images": len(t)} for t in (one, other)]
    spec, fresh = bundle(data=facts), table(tmp_path / "fresh", 6, "fresh")

    def missing(*told: Table) -> tuple[str, ...]:
        selection = choose(fresh, [spec], None, False)
        return find_leaks([fresh], selection, [spec], None, told=told).missing

    assert len(missing()) == 2
    assert missing(one) == ("other (4 images)",)
    assert missing(one, other) == ()


def test_labels_are_called_as_the_bundle_calls_them(tmp_path: Path) -> None:
    samples = [
        Sample(str(row), "d", tmp_path / str(row), label, "")
        for row, label in enumerate(("mel", "Melanoma", "nv", "bcc", None))
    ]
    found = rename_labels(
        Table.of("t", samples), {"mel": "melanoma", "nv": "nevus"}, ("melanoma", "nevus")
    )
    assert found.labels == ("melanoma", "melanoma", "nevus", "bcc", None)
    selection = choose(found, [bundle()], None, False)
    assert selection.known.labels == ("melanoma", "melanoma", "nevus")
    assert selection.strangers.labels == ("bcc",)


def test_a_label_within_a_class_counts_as_it(tmp_path: Path) -> None:
    labels = ("atypical_nevus", "malignant")
    samples = [Sample(label, "d", tmp_path / label, label, "") for label in labels]
    found = rename_labels(Table.of("t", samples), {}, ("melanoma", "nevus"))
    assert found.labels == ("nevus", "malignant")


@pytest.mark.parametrize("names", [{"mell": "melanoma"}, {"mel": "cancer"}])
def test_a_mapping_of_nothing_is_refused(names: dict[str, str], tmp_path: Path) -> None:
    data = Table.of("t", [Sample("a", "d", tmp_path, "mel", "")])
    with pytest.raises(UsageError, match="cannot be followed"):
        rename_labels(data, names, ("melanoma", "nevus"))


def test_a_fold_is_evaluated_on_what_it_held_out(tmp_path: Path) -> None:
    data = table(tmp_path)
    fold = bundle(fold=0, held_out=["i1", "i2", "elsewhere"])
    selection = choose(data, [fold], None, False)
    assert selection.table.ids == ("i1", "i2")
    assert selection.held_out
    assert selection.left_out == {"not held out from training": 4}
    assert len(choose(data, [fold], None, True).table) == 6
    assert choose(data, [fold], "test", False).table.ids == ("i5",)


def test_folds_get_their_own_images(tmp_path: Path) -> None:
    folds = [bundle(fold=0, held_out=["i0", "i3"]), bundle(fold=1, held_out=["i1"])]
    check_alike(folds)
    selection = choose(table(tmp_path), folds, None, False)
    assert [part.ids for part in selection.parts] == [("i0", "i3"), ("i1",)]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (bundle(fold=1, held_out=["i0"]), "held out twice"),
        (bundle(), "no image held out"),
        (bundle(fold=1, held_out=["i9"]).model_copy(update={"positive": ("nevus",)}), "nevus"),
    ],
)
def test_folds_that_do_not_belong_together_are_refused(second: Bundle, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_alike([bundle(fold=0, held_out=["i0"]), second])
    assert words in str(caught.value)


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image in the split 'validation'") as caught:
        choose(table(tmp_path), [bundle()], "validation", False)
    assert "train, test" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ((None, None), "no image has a label"),
        (("nevus", "nevus"), "2 nevus"),
        (("melanoma", None), "both kinds"),
        (("mel", "nv"), "--map LABEL=CLASS"),
    ],
)
def test_figures_need_both_kinds(
    labels: tuple[str | None, ...], words: str, tmp_path: Path
) -> None:
    samples = [Sample(str(row), "d", tmp_path, label, "") for row, label in enumerate(labels)]
    selection = choose(Table.of("t", samples), [bundle()], None, False)
    with pytest.raises(UsageError) as caught:
        check_enough(selection, ("melanoma",))
    assert words in str(caught.value)
    assert "--predictions-only" in str(caught.value)


# --- leaks ---------------------------------------------------------------------------------------


def test_training_images_are_shouted_about(tmp_path: Path) -> None:
    data = table(tmp_path)
    trained = Table.of("mine", [s for s in data if s.split != "test"])
    seen = trained_on(trained)
    leaks = find_leaks([data], choose(data, [seen], None, False), [seen], None)
    assert leaks.trained_on == tuple(trained.ids)
    (warning,) = leaks.warnings(6)
    assert "5 of 6 images are TRAINING IMAGES" in warning
    only = find_leaks([data], choose(data, [seen], "train", False), [seen], None)
    assert "All 5 images" in only.warnings(5)[0]


def test_what_was_held_out_or_set_aside_is_no_leak(tmp_path: Path) -> None:
    data = table(tmp_path)
    trained = Table.of("mine", [s for s in data if s.split != "test"])
    fold = trained_on(trained, fold=0, held_out=["i0", "i1"])
    leaks = find_leaks([data], choose(data, [fold], None, False), [fold], None)
    assert (leaks.trained_on, leaks.warnings(2)) == ((), [])
    whole = trained_on(trained)
    tested = find_leaks([data], choose(data, [whole], "test", False), [whole], None)
    assert (tested.trained_on, tested.warnings(1)) == ((), [])


def test_labels_in_another_case_hide_no_training_set(tmp_path: Path) -> None:
    data = table(tmp_path)
    seen = trained_on(Table.of("mine", [s for s in data if s.split != "test"]))
    shouted = Table.of("mine", [replace(s, label=(s.label or "").upper()) for s in data])
    chosen = choose(rename_labels(shouted, {}, seen.classes), [seen], None, False)
    assert find_leaks([shouted], chosen, [seen], None).trained_on == tuple(chosen.table.ids[:5])


def test_a_copy_of_a_training_image_under_another_name_is_found(tmp_path: Path) -> None:
    data = table(tmp_path)
    (tmp_path / "copy.png").write_bytes(data[0].image.read_bytes())
    copy = Sample("copy", "mine", tmp_path / "copy.png", "melanoma", "test")
    more = Table.of("mine", [*data, copy])
    whole = trained_on(Table.of("mine", [s for s in data if s.split != "test"]))
    selection = choose(more, [whole], "test", False)
    leaks = find_leaks([more], selection, [whole], Fingerprints())
    assert leaks.trained_on == ()
    assert leaks.copies is not None
    assert "copy" in {overlap.a_id for overlap in leaks.copies}
    assert "ties between" in leaks.warnings(2)[0]
    leaks.name(tmp_path / "overlaps.csv")
    with pytest.raises(UsageError) as caught:
        leaks.refuse(2, tmp_path / "overlaps.csv")
    assert "--all-images" in str(caught.value.remedy)
    with (tmp_path / "overlaps.csv").open(encoding="utf-8") as text:
        named = list(csv.DictReader(text))
    assert {"image": "copy", "training image": "i0"}.items() <= named[0].items()
    assert {row["tie"] for row in named} <= set(MEANING.values())


def elsewhere(folder: Path, *samples: Sample) -> Table:
    """Another set with pictures of its own, whatever its images are called."""
    pictures = [save(folder / f"{n}.png", textured(50 + n)) for n in range(len(samples))]
    rows = zip(samples, pictures, strict=True)
    return Table.of("other", [replace(s, dataset="other", image=p) for s, p in rows])


def mine(folder: Path) -> Table:
    """What was trained on: two images of a lesion each, and one more."""
    names = ("ISIC_1", "ISIC_2", "ISIC_3")
    files = [save(folder / f"{n}.png", textured(n)) for n in range(3)]
    return Table.of("mine", [
        Sample(name, "mine", file, "nevus", "train", lesion=f"l{name}")
        for name, file in zip(names, files, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("pictures", [True, False])
def test_ties_to_a_training_set_that_is_only_named(tmp_path: Path, pictures: bool) -> None:
    """It is compared with, not measured, and what ties is told though the sets are two."""
    trained = mine(tmp_path / "mine")
    rows = [Sample(name, "other", tmp_path, "nevus", "") for name in
            ("ISIC_1_downsampled", "a", "b", "free", "copy")]  # fmt: skip
    rows[1] = replace(rows[1], lesion="lISIC_2")
    rows[2] = replace(rows[2], lesion="lISIC_2")
    other = elsewhere(tmp_path / "other", *rows)
    other[4].image.write_bytes(trained[2].image.read_bytes())
    seen, store = trained_on(trained), Fingerprints() if pictures else None
    leaks = find_leaks([other], choose(other, [seen], None, False), [seen], store, told=[trained])
    assert (leaks.trained_on, leaks.missing, leaks.notes) == ((), (), [])
    found = [(o.kind, o.a_id, o.b_id) for o in leaks.copies or ()]
    named = [
        ("id", "ISIC_1_downsampled", "ISIC_1"),
        ("lesion", "a", "ISIC_2"),
        ("lesion", "b", "ISIC_2"),
    ]
    assert found == named + [("bytes", "copy", "ISIC_3")] * pictures
    with pytest.raises(UsageError) as caught:
        leaks.refuse(5, tmp_path / "overlaps.csv")
    assert "ISIC_1_downsampled = ISIC_1 (same id), a = ISIC_2 (same lesion)" in str(caught.value)
    assert f"{3 + pictures} others that tie" in str(caught.value)


def test_a_training_set_that_is_named_is_believed(tmp_path: Path) -> None:
    """Another copy of it has another digest. Its test split was not trained on."""
    trained = mine(tmp_path / "mine")
    seen = bundle(data=[{"name": "mine", "sha256": "1" * 64, "images": 3}])
    rows = [Sample(name, "o", tmp_path, "nevus", "") for name in ("ISIC_1", "ISIC_3")]
    other = elsewhere(tmp_path / "other", *rows)
    told = Table.of("mine", [*trained[:2], replace(trained[2], split="test")])
    leaks = find_leaks([other], choose(other, [seen], None, False), [seen], None, told=[told])
    assert [(o.kind, o.a_id) for o in leaks.copies or ()] == [("id", "ISIC_1")]
    fold = seen.model_copy(deep=True, update={
        "provenance": seen.provenance.model_copy(update={"held_out": ("ISIC_1",)})
    })  # fmt: skip
    leaks = find_leaks([other], choose(other, [seen], None, False), [fold], None, told=[told])
    assert (leaks.trained_on, leaks.copies) == ((), ())


def test_both_sets_that_were_trained_on_may_come_from_two_options(tmp_path: Path) -> None:
    first, second = mine(tmp_path / "mine"), table(tmp_path / "more")
    seen = trained_on(join([first, Table.of("b", [s for s in second if s.split != "test"])]))
    chosen = choose(second, [seen], None, False)
    leaks = find_leaks([second], chosen, [seen], None, told=[first])
    assert leaks.trained_on == second.ids[:5]


def test_where_nothing_can_be_known_the_way_to_know_is_told(tmp_path: Path) -> None:
    other = elsewhere(tmp_path, Sample("a", "other", tmp_path, "nevus", ""))
    known = bundle(data=[{"name": "isic2017", "sha256": "1" * 64, "images": 2000}])
    leaks = find_leaks([other], choose(other, [known], None, False), [known], None)
    assert leaks.warnings(1) == []
    (note,) = leaks.notes
    assert "isic2017 (2,000 images) is not at hand. --trained-on DATA" in note
    leaks.refuse(1, tmp_path / "overlaps.csv")
    leaks = find_leaks([other], choose(other, [bundle()], None, False), [bundle()], None)
    assert "does not say what it was trained on" in leaks.notes[0]


def test_another_version_of_the_training_set_is_a_suspicion(tmp_path: Path) -> None:
    data = table(tmp_path, name="isic2017")
    seen = bundle(data=[{"name": "isic2017+mine", "sha256": "1" * 64, "images": 9}])
    leaks = find_leaks([data], choose(data, [seen], None, False), [seen], None)
    assert leaks.trained_on is None
    assert "of the same name" in leaks.warnings(6)[0]
    other = table(tmp_path, name="labels")
    named = bundle(data=[{"name": "labels", "sha256": "1" * 64, "images": 9}])
    assert not find_leaks([other], choose(other, [named], None, False), [named], None).same_name


def test_several_sets_are_recognised_joined(tmp_path: Path) -> None:
    one = table(tmp_path / "a", 3)
    samples = [Sample(f"j{s.id}", "b", s.image, s.label, "") for s in table(tmp_path / "b", 4)]
    two = Table.of("b", samples)
    both = join([one, two])
    seen = trained_on(Table.of("mine+b", [s for s in both if s.split != "test"]))
    leaks = find_leaks([one, two], choose(both, [seen], None, False), [seen], None)
    assert len(leaks.trained_on or ()) == 6


def test_the_same_picture_twice_is_counted(tmp_path: Path) -> None:
    data = table(tmp_path)
    data[2].image.write_bytes(data[0].image.read_bytes())
    leaks = find_leaks([data], choose(data, [bundle()], None, False), [bundle()], Fingerprints())
    assert leaks.repeats is not None
    assert ("i0", "i2") in {(o.a_id, o.b_id) for o in leaks.repeats}
