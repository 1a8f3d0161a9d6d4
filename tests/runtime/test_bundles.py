"""`dermedge bundle verify|show` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.bundle_files import LoadedBundle
from runtime.bundles import command
from tests.bundle_factory import add_golden, bundle_fields, make_bundle


def run(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_a_whole_bundle_is_verified(sealed: LoadedBundle) -> None:
    result = run("verify", sealed.path, "--backend", "onnxruntime")
    assert result.exit_code == 0
    assert sealed.digest[:12] in result.output
    assert "all 4 files" in result.output
    assert "no golden images" in result.output


def test_golden_images_are_counted(tmp_path: Path) -> None:
    bundle = add_golden(make_bundle(tmp_path / "b"))
    assert "1 golden image gives" in run("verify", bundle.path).output
    assert "golden" not in run("verify", bundle.path, "--files-only").output


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_a_damaged_bundle_ends_with_3(bundle_folder: Path, verb: str) -> None:
    (bundle_folder / "models" / "ensemble.onnx").write_bytes(b"x")
    result = run(verb, bundle_folder)
    assert result.exit_code == 3
    assert "models/ensemble.onnx" in result.output
    assert "Traceback" not in result.output


def test_no_such_backend_ends_with_2(sealed: LoadedBundle) -> None:
    assert run("verify", sealed.path, "--backend", "abacus").exit_code == 2


def test_long_names_of_networks_stay_apart_from_what_they_do(tmp_path: Path) -> None:
    name = "a_member_with_a_long_name"
    fields = json.loads(json.dumps(bundle_fields()).replace('"member_a"', f'"{name}"'))
    result = run("show", make_bundle(tmp_path / "B", fields).path)
    assert f"{name}  32×32" in result.output


def test_show_prints_what_matters(sealed: LoadedBundle) -> None:
    result = run("show", sealed.path)
    assert result.exit_code == 0
    for words in (
        "tiny 1",
        sealed.digest,
        "melanoma (positive), nevus",
        "32×32 rgb of view 'crop'",
        "segment: segmenter → classify: member_a, member_b → combine: ensemble",
        "refer from 0.500: sensitivity 0.900 (0.700 to 0.950)",
        "never gated",
    ):
        assert words in result.output


def test_show_json_is_the_bundle(sealed: LoadedBundle) -> None:
    shown = json.loads(run("show", sealed.path, "--json").output)
    assert shown == json.loads((sealed.path / "bundle.json").read_text())


@pytest.mark.parametrize("words", [("--help",), ("verify", "--help"), ("show", "-h")])
def test_help(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 0
    assert "undle" in result.output
