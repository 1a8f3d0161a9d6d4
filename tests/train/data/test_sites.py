"""One set of words for places on the body, of which ZooME's recipe knows every one."""

from __future__ import annotations

from pathlib import Path

from train.data.open_dataset import open_dataset
from train.data.sites import site_of
from train.data.table import metadata
from train.recipe_files import load_recipe


def test_finer_words_become_broader_ones() -> None:
    assert [site_of(word) for word in ("Back", "posterior torso", "torso")] == ["torso"] * 3
    assert site_of("ear") == site_of("head/neck") == "head/neck"
    assert (site_of(None), site_of("left knee")) == (None, "left knee")


def test_a_recipe_knows_the_sites_of_every_set(real_data: Path) -> None:
    told = load_recipe("zoome").metadata
    assert told is not None
    for name in ("ham10000", "isic2020"):
        for sample in open_dataset(real_data / name):
            assert told.encode(metadata(sample)).shape == (1, told.width)
