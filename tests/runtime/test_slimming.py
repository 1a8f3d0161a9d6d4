"""A slim bundle: 8-bit files alone where there are some, and the heat maps that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.bundle_files import LoadedBundle, fields_of, load_bundle, seal
from runtime.bundles import command
from runtime.chain import open_chain
from runtime.gate_state import gate_state
from tests.bundle_factory import explaining, picture
from tests.calibration.gating.clinic import quantised, write_reference


@pytest.fixture
def full(tmp_path: Path) -> LoadedBundle:
    """Heat maps come out of the float files."""
    reference = write_reference(tmp_path / "F")
    bundle = seal(reference.path, explaining(fields_of(reference)))
    return quantised(bundle, tmp_path / "Q")


def slim(bundle: LoadedBundle, out: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["slim", str(bundle.path), "--out", str(out), *words])


def test_what_has_8_bits_keeps_nothing_else(full: LoadedBundle, tmp_path: Path) -> None:
    result = slim(full, tmp_path / "S")
    assert result.exit_code == 0, result.stderr
    spec = load_bundle(tmp_path / "S").spec
    for name, model in spec.models.items():
        before = [variant.precision for variant in full.spec.models[name].variants]
        after = [variant.precision for variant in model.variants]
        assert after == (["int8"] if "int8" in before else before)
    assert spec.chain.explain is None
    assert not any(name.endswith("_heatmap") for name in spec.models)
    assert sorted(spec.files) == sorted(
        str(file.relative_to(tmp_path / "S"))
        for file in (tmp_path / "S").rglob("*")
        if file.is_file() and file.name != "bundle.json"
    )
    assert len(spec.files) < len(full.spec.files)


def test_its_card_says_what_is_left(full: LoadedBundle, tmp_path: Path) -> None:
    (full.path / "card.md").write_text("# A card\n\n## How to check it\n\nLook.\n")
    assert slim(seal(full.path, fields_of(full)), tmp_path / "S").exit_code == 0
    card = (tmp_path / "S" / "card.md").read_text(encoding="utf-8")
    files, _, rest = card.partition("## Files")[2].partition("## How to check it")
    assert "Look." in rest
    kept = {line.split(" | ")[1] for line in files.splitlines() if ".onnx" in line}
    assert kept == {file for file in load_bundle(tmp_path / "S").spec.files if "models/" in file}
    assert full.spec.chain.explain is not None
    told = f"no longer draws: {', '.join(full.spec.chain.explain.models)}."
    assert told in files, "without --heat-maps none is drawn"


def test_it_says_the_same_on_every_engine(full: LoadedBundle, tmp_path: Path) -> None:
    assert slim(full, tmp_path / "S").exit_code == 0
    slimmed = load_bundle(tmp_path / "S")
    for backend in ("openvino", "onnxruntime"):
        said = []
        for bundle in (full, slimmed):
            with open_chain(bundle, backend, precision="int8") as chain:
                said.append(chain.process(picture()).probabilities)
        assert said[0] == said[1]


def test_a_heat_map_that_is_asked_for_keeps_its_float_file(
    full: LoadedBundle, tmp_path: Path
) -> None:
    assert slim(full, tmp_path / "S", "--heat-maps", "member_a_heatmap").exit_code == 0
    spec = load_bundle(tmp_path / "S").spec
    assert spec.chain.explain is not None
    assert spec.chain.explain.models == ("member_a_heatmap",)
    assert [v.precision for v in spec.models["member_a"].variants] == ["int8"]
    (kept,) = spec.models["member_a_heatmap"].variants
    assert kept.precision != "int8"
    with open_chain(load_bundle(tmp_path / "S"), "openvino") as chain:
        assert chain.analyse(picture(), explain=True).heat is not None
    result = slim(full, tmp_path / "T", "--heat-maps", "member_z_heatmap")
    assert (result.exit_code, "member_a_heatmap" in result.stderr) == (2, True)


def test_it_has_to_be_gated_again(full: LoadedBundle, tmp_path: Path) -> None:
    assert slim(full, tmp_path / "S").exit_code == 0
    assert gate_state(load_bundle(tmp_path / "S").spec) == "never gated"


def test_a_float_bundle_has_nothing_to_leave_out(tmp_path: Path) -> None:
    result = slim(write_reference(tmp_path / "F"), tmp_path / "S")
    assert (result.exit_code, "quantize" in result.stderr) == (3, True)
    assert not (tmp_path / "S").exists()
