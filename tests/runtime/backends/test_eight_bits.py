"""The shipped bundle in 8 bits: right on whatever processor this is."""

from __future__ import annotations

import pytest

from runtime import demo
from runtime.backends import openvino_engine
from runtime.bundle_files import load_bundle
from runtime.chain import open_chain

pytest.importorskip("openvino")


def test_the_shipped_bundle_passes_its_own_test_here() -> None:
    """Its golden images in the precision that it runs in: a start would be refused."""
    with open_chain(load_bundle(demo.BUNDLE), "openvino") as chain:
        assert chain.backend.precision["segmenter"] == "int8"


@pytest.mark.parametrize(
    ("machine", "abilities", "mode"),
    [
        ("x86_64", ["avx512_vnni", "amx_int8"], None),
        ("x86_64", ["avx512_vnni", "avx_vnni"], "NO"),
        ("AMD64", ["avx2"], "NO"),
        ("aarch64", ["i8mm"], None),
    ],
)
def test_its_kernels_are_used_where_they_are_right(
    machine: str, abilities: list[str], mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "cpu", lambda: ("a processor", abilities))
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert openvino_engine._settings(None).get("LP_TRANSFORMS_MODE") == mode
