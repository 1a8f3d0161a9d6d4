"""What every engine promises, and what each does with a file that is no graph."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime.backends.base import Engine, at_batch_one, first_line, shape_text
from runtime.backends.fake import FakeEngine
from runtime.backends.registry import (
    available_backends,
    choose_backend,
    choose_variant,
    open_engine,
)
from runtime.bundle import ModelSpec
from runtime.errors import BackendError, BundleError, DermedgeError, UsageError
from tests.bundle_factory import WEIGHTS, image_input, member, model_fields

REAL = ["openvino", "onnxruntime"]
ALL = [*REAL, "fake"]


def written(folder: Path, content: bytes, precision: str = "fp32", **others: object) -> ModelSpec:
    """A model of one file with this content, described as a member."""
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "m.onnx").write_bytes(content)
    fields = model_fields("m", [image_input("crop")], "probabilities", "logits")
    digest = hashlib.sha256(content).hexdigest()
    fields["variants"] = [
        {"precision": precision, "file": "models/m.onnx", "sha256": digest, **others}
    ]
    return ModelSpec.model_validate(fields)


def graph(half: bool = False) -> bytes:
    content: bytes = member(WEIGHTS["member_a"], half=half).SerializeToString()
    return content


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 3, 32, 32), dtype=np.float32)


@pytest.fixture(params=ALL)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return open_engine(request.param, tmp_path, "m", written(tmp_path, graph()), threads=1)


def test_an_engine_says_what_it_takes_and_gives(engine: Engine) -> None:
    with engine:
        assert engine.name == "m"
        assert engine.precision == "fp32"
        assert engine.inputs == {"image": (1, 3, 32, 32)}
        assert engine.outputs == {"probabilities": (1, 2), "logits": (1, 2)}
        assert engine.device


def test_results_are_fresh_and_follow_the_input(engine: Engine) -> None:
    with engine:
        first = engine.run({"image": image(0)})
        kept = {name: array.copy() for name, array in first.items()}
        other = engine.run({"image": image(1) * 0.5})
        again = engine.run({"image": image(0)})
    for name in engine.outputs:
        assert first[name].dtype == np.float32
        assert first[name].shape == (1, 2)
        np.testing.assert_array_equal(first[name], kept[name])
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.allclose(first[name], other[name])


def test_an_input_may_be_read_only_and_strided(engine: Engine) -> None:
    wide = np.repeat(image(), 2, axis=3)
    strided = wide[..., ::2]
    strided.flags.writeable = False
    with engine:
        np.testing.assert_array_equal(
            engine.run({"image": strided})["logits"], engine.run({"image": image()})["logits"]
        )


def test_a_backend_is_handed_arrays_without_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device is given an address and a size: a strided array would be other numbers there."""
    handed = []
    run = FakeEngine._run
    monkeypatch.setattr(
        FakeEngine, "_run", lambda self, feeds: handed.append(feeds) or run(self, feeds)
    )
    with open_engine("fake", tmp_path, "m", written(tmp_path, graph())) as engine:
        engine.run({"image": np.repeat(image(), 2, axis=3)[..., ::2]})
    assert handed[0]["image"].flags.c_contiguous


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"picture": image()},
        {"image": image(), "more": image()},
        {"image": image()[0]},
        {"image": image()[..., :31]},
        {"image": np.concatenate([image(), image()])},
        {"image": image().astype(np.float64)},
    ],
)
def test_wrong_feeds_are_refused(engine: Engine, feeds: dict[str, np.ndarray]) -> None:
    with engine, pytest.raises(DermedgeError) as caught:
        engine.run(feeds)
    assert "'m'" in str(caught.value)
    assert caught.value.got is not None


def test_a_closed_engine_does_not_run(engine: Engine) -> None:
    with engine:
        pass
    engine.close()  # twice is once
    with pytest.raises(DermedgeError, match="closed"):
        engine.run({"image": image()})


@pytest.mark.parametrize("half", [False, True])
def test_real_engines_agree_with_arithmetic(tmp_path: Path, half: bool) -> None:
    model = written(tmp_path, graph(half), "fp16" if half else "fp32")
    logits = image().mean(axis=(2, 3)) @ np.asarray(WEIGHTS["member_a"])
    for backend in REAL:
        with open_engine(backend, tmp_path, "m", model) as engine:
            got = engine.run({"image": image()})["logits"]
        np.testing.assert_allclose(got, logits, atol=2e-3 if half else 1e-5)


@pytest.mark.parametrize("backend", REAL)
@pytest.mark.parametrize("content", [b"", b"not a graph", graph()[:-60]])
def test_a_corrupted_graph_is_the_bundles_fault(
    tmp_path: Path, backend: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BundleError) as caught:
        open_engine(backend, tmp_path, "m", written(tmp_path, content))
    assert "models/m.onnx" in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("backend", REAL)
def test_an_unknown_operator_is_refused_by_name_of_the_file(tmp_path: Path, backend: str) -> None:
    broken = onnx.load_from_string(graph())
    broken.graph.node[0].op_type = "Divination"
    with pytest.raises(DermedgeError, match=r"models/m\.onnx"):
        open_engine(backend, tmp_path, "m", written(tmp_path, broken.SerializeToString()))


def test_a_file_that_changed_after_verifying_is_not_loaded(tmp_path: Path) -> None:
    model = written(tmp_path, graph())
    (tmp_path / "models" / "m.onnx").write_bytes(graph(half=True))
    with pytest.raises(BundleError, match="not the file"):
        open_engine("openvino", tmp_path, "m", model)
    (tmp_path / "models" / "m.onnx").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        open_engine("openvino", tmp_path, "m", model)


@pytest.mark.parametrize(("backend", "extra"), [("openvino", "cpu"), ("onnxruntime", "ort")])
def test_a_missing_package_is_named_with_its_remedy(
    tmp_path: Path, backend: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.backends.registry.find_spec", lambda name: None)
    assert extra in (available_backends()[backend] or "")
    assert available_backends()["fake"] is None
    with pytest.raises(BackendError) as caught:
        open_engine(backend, tmp_path, "m", written(tmp_path, graph()))
    assert caught.value.remedy == f"pip install 'dermedge[{extra}]'"
    with pytest.raises(BackendError, match="No engine can run here"):
        choose_backend()


@pytest.mark.parametrize("backend", REAL)
def test_a_package_that_cannot_be_imported_is_as_good_as_missing(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.backends import openvino_engine

    openvino_engine._core.cache_clear()
    monkeypatch.setattr("runtime.backends.registry.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(BackendError, match=backend) as caught:
        open_engine(backend, tmp_path, "m", written(tmp_path, graph()))
    assert caught.value.remedy is not None


def test_auto_takes_the_first_that_works_and_never_the_fake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_backend() == "openvino"
    monkeypatch.setattr(
        "runtime.backends.registry.find_spec", lambda name: None if name == "openvino" else object()
    )
    assert choose_backend("auto") == "onnxruntime"


def test_an_unknown_backend_is_bad_usage() -> None:
    with pytest.raises(UsageError) as caught:
        choose_backend("abacus")
    assert "openvino" in str(caught.value)


def test_the_first_variant_that_suits_is_taken(tmp_path: Path) -> None:
    model = written(tmp_path, graph())
    (tmp_path / "models" / "h.onnx").write_bytes(graph(half=True))
    half = model.variants[0].model_copy(
        update={
            "precision": "fp16",
            "file": "models/h.onnx",
            "sha256": hashlib.sha256(graph(half=True)).hexdigest(),
            "backends": ("onnxruntime", "tensorrt"),
        }
    )
    both = model.model_copy(update={"variants": (half, *model.variants)})

    def precision(backend: str, wanted: str | None = None) -> str:
        with open_engine(backend, tmp_path, "m", both, precision=wanted) as engine:
            return engine.precision

    assert precision("onnxruntime") == "fp16"
    assert precision("openvino") == "fp32"
    assert precision("openvino", "fp16") == "fp16"  # asked for: whatever it is meant for
    assert precision("onnxruntime", "fp32") == "fp32"
    assert precision("openvino", "int8") == "fp32"  # asked for, but there is none
    only_half = model.model_copy(update={"variants": (half,)})
    with pytest.raises(BundleError, match="no file of 'm'"):
        open_engine("openvino", tmp_path, "m", only_half)


@pytest.mark.parametrize(
    ("files", "asked", "taken"),
    [
        (("int8", "fp16"), "fp32", "fp16"),
        (("int8", "fp32"), "fp16", "fp32"),  # of two as near, the finer
        (("fp32",), "int8", "fp32"),
        (("int8", "fp32"), None, "int8"),
    ],
)
def test_of_precisions_that_are_not_there_the_nearest_is_taken(
    files: tuple[str, ...], asked: str | None, taken: str
) -> None:
    fields = model_fields("m", [image_input("whole")], "probabilities")
    fields["variants"] = [
        {"precision": name, "file": f"models/{name}.onnx", "sha256": "0" * 64} for name in files
    ]
    spec = ModelSpec.model_validate(fields)
    assert choose_variant("m", spec, "openvino", asked).precision == taken


def test_shapes_and_messages() -> None:
    assert at_batch_one([None, 3, None]) == (1, 3, -1)
    assert at_batch_one([1, 3]) == (1, 3)
    assert shape_text((1, -1, 3)) == "1×?×3"
    assert first_line(RuntimeError("Exception from a.cpp:1:\n\nNo such op\nmore")) == "No such op"
    assert first_line(ValueError()) == "ValueError"
