"""Which file `dermedge build` compiles, and that a chain opened with the same words runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runtime import build
from runtime.backends.engine_key import BuildSettings
from runtime.backends.registry import choose_variant
from runtime.build_worker import Job, variant_for
from runtime.bundle_files import LoadedBundle
from runtime.errors import BackendError


def job(bundle: LoadedBundle, cache: Path, **others: Any) -> Job:
    return Job(bundle=bundle.path, model="segmenter", backend="tensorrt_rtx", cache=cache, **others)


def test_golden_images_are_tried_where_engines_can_run(
    sealed: LoadedBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.backends import registry

    names = list(sealed.spec.models)
    opened: list[tuple[str, str, str | None]] = []

    @contextmanager
    def open_chain(bundle: LoadedBundle, backend: str, precision: str | None) -> Iterator[None]:
        yield opened.append((os.environ["DERMEDGE_CACHE"], backend, precision))

    monkeypatch.setenv("DERMEDGE_CACHE", "elsewhere")
    monkeypatch.setattr("runtime.chain.open_chain", open_chain)
    monkeypatch.setattr(registry, "why_unusable", lambda name: "no GPU")
    usual = job(sealed, tmp_path)
    build._self_test(sealed, names, usual, tmp_path)
    monkeypatch.setattr(registry, "why_unusable", lambda name: None)
    build._self_test(sealed, names[:1], usual, tmp_path)
    assert opened == []
    build._self_test(sealed, names, usual, tmp_path)
    build._self_test(sealed, names, job(sealed, tmp_path, precision="fp32"), tmp_path)
    build._self_test(sealed, names, job(sealed, tmp_path, settings=BuildSettings(dla=0)), tmp_path)
    assert [precision for *_, precision in opened] == [None, "fp32", "fp16"]
    assert {others[:2] for others in opened} == {(str(tmp_path), "tensorrt_rtx")}


@pytest.mark.parametrize(
    ("dla", "precision"),
    [(None, None), (None, "fp32"), (None, "fp16"), (None, "int8"),
     (0, None), (0, "fp16"), (0, "int8")],
)  # fmt: skip
@pytest.mark.parametrize(
    "files", ["fp32", "fp16", "int8 fp16", "int8 fp32", "int8 fp32 fp16", "fp32 int8", "fp16 fp32"]
)
def test_what_was_built_is_what_is_opened(
    sealed: LoadedBundle, tmp_path: Path, dla: int | None, precision: Any, files: str
) -> None:
    model = sealed.spec.models["segmenter"]
    variants = tuple(
        model.variants[0].model_copy(update={"file": kind, "precision": kind})
        for kind in files.split()
    )
    model = model.model_copy(update={"variants": variants})
    settings, ranges = BuildSettings(dla=dla), None if dla is None else tmp_path / "m.cache"
    asked = job(sealed, tmp_path, precision=precision, settings=settings, ranges=ranges)
    opened = choose_variant("segmenter", model, "tensorrt_rtx", asked.opened_with)
    assert variant_for(asked, model) == opened


@pytest.mark.parametrize(
    ("precision", "ranges", "file"),
    [(None, False, "half"), ("fp16", False, "half"), ("int8", True, "half"),
     ("int8", False, None), ("fp32", False, None)],
)  # fmt: skip
def test_dla_takes_float_graphs(
    sealed: LoadedBundle, tmp_path: Path, precision: Any, ranges: bool, file: str | None
) -> None:
    model = sealed.spec.models["segmenter"]
    named = {"half": "fp16", "quantised": "int8"}
    variants = tuple(
        model.variants[0].model_copy(update={"file": name, "precision": kind})
        for name, kind in reversed(named.items())
    )
    both = model.model_copy(update={"variants": variants})
    cache = tmp_path / "segmenter.cache" if ranges else None
    settings = BuildSettings(dla=0)
    asked = job(sealed, tmp_path, precision=precision, settings=settings, ranges=cache)
    if file is None:
        with pytest.raises(BackendError, match="DLA cannot run"):
            variant_for(asked, both)
    else:
        assert variant_for(asked, both).file == file
    usual = job(sealed, tmp_path, precision=precision)
    nearest = {None: "int8", "fp32": "fp16"}.get(precision, precision)
    assert variant_for(usual, both).precision == nearest
