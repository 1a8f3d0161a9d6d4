"""One code path for every TensorRT: each is asked what it has, and used by that."""

from __future__ import annotations

import hashlib

import pytest

from runtime.backends.engine_key import BuildSettings
from runtime.backends.trt_builder import Order, build_plan
from runtime.backends.trt_flavours import Flavour, flavour
from runtime.errors import BackendError
from tests.runtime.backends.trt_fakes import GENERATIONS, graph, library, plan

NET = graph(("cast", "CAST", "HALF"), ("conv", "CONVOLUTION", "HALF"), ("end", "SOFTMAX", "FLOAT"))
STRICTLY_TYPED = [name for name in GENERATIONS if name != "8.6"]
LEGACY = ["8.6", "10.3"]


def order(content: bytes = NET, precision: str = "fp16", **others: object) -> Order:
    return Order("models/m.onnx", content, precision, **others)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_graph_becomes_a_plan_of_batch_one(generation: str) -> None:
    module, made = library(generation)
    built = build_plan(Flavour("tensorrt", module), order())
    assert built.plan == plan()
    assert made.network.get_input(0).shape == (1, 3, 8, 8)  # and so no profile is needed
    assert ("REQUIRE_USER_ALLOCATION" in made.flags) == (generation == "rtx")
    assert made.config.profiling_verbosity is module.ProfilingVerbosity.DETAILED
    assert "TF32" in made.cleared
    assert "STRIP_PLAN" not in made.flags


@pytest.mark.parametrize("generation", STRICTLY_TYPED)
def test_the_network_is_strongly_typed_where_that_exists(generation: str) -> None:
    module, made = library(generation)
    build_plan(Flavour("tensorrt", module), order())
    flag = module.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert made.network_flags >> int(flag) & 1
    assert made.flags <= {"REQUIRE_USER_ALLOCATION"}  # nothing else is allowed or constrained


def test_without_strong_typing_every_layer_is_held_to_its_type() -> None:
    module, made = library("8.6")
    build_plan(Flavour("tensorrt", module), order())
    assert made.network_flags == 1 << int(module.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    assert made.flags == {"OBEY_PRECISION_CONSTRAINTS", "FP16"}
    held = {row.name: row.precision.name for row in made.network.rows}
    assert held == {"cast": "HALF", "conv": "HALF", "end": "FLOAT"}


def test_quantised_graphs_may_use_integers_without_strong_typing() -> None:
    module, made = library("8.6")
    quantised = graph(
        ("q", "QUANTIZE", "INT8"), ("dq", "DEQUANTIZE", "FLOAT"), ("conv", "CONVOLUTION", "FLOAT")
    )
    build_plan(Flavour("tensorrt", module), order(quantised, "int8"))
    assert made.flags == {"OBEY_PRECISION_CONSTRAINTS", "INT8"}
    module, made = library("8.6")
    build_plan(Flavour("tensorrt", module), order(graph(("c", "CONVOLUTION", "FLOAT")), "fp32"))
    assert made.flags == {"OBEY_PRECISION_CONSTRAINTS"}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_settings_reach_the_builder(generation: str) -> None:
    module, made = library(generation)
    settings = BuildSettings(workspace_mib=64, tf32=True)
    build_plan(Flavour("tensorrt", module), order(settings=settings))
    assert made.pools == {"WORKSPACE": 64 << 20}
    assert made.config.max_aux_streams == 0
    assert made.cleared == set()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_progress_is_told_where_the_release_tells_it(generation: str) -> None:
    module, _ = library(generation)
    told: list[tuple[str, float]] = []
    build_plan(Flavour("t", module), order(), lambda name, share: not told.append((name, share)))
    assert told == ([] if generation == "8.6" else [("Building", 0.5)])


def test_a_build_can_be_stopped() -> None:
    module, _ = library("10.3")
    with pytest.raises(BackendError, match="cannot build"):
        build_plan(Flavour("tensorrt", module), order(), lambda name, share: False)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("given", "taken"), [(b"mine", b"mine"), (b"foreign", b""), (b"", b"")])
def test_timings_are_kept_but_by_rtx_which_has_none(
    generation: str, given: bytes, taken: bytes
) -> None:
    module, made = library(generation)
    built = build_plan(Flavour("tensorrt", module), order(timings=given))
    assert made.timings == ([] if generation == "rtx" else [taken])
    assert built.timings == (None if generation == "rtx" else b"timed")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_the_parser_or_the_builder_refuse_fails_with_their_words(generation: str) -> None:
    module, made = library(generation)
    with pytest.raises(BackendError) as caught:
        build_plan(Flavour("tensorrt", module), order(b"junk"))
    assert "cannot parse models/m.onnx" in str(caught.value)
    assert caught.value.got == "no such operator"
    made.refuse = True
    with pytest.raises(BackendError) as caught:
        build_plan(Flavour("tensorrt", module), order())
    assert "cannot build models/m.onnx" in str(caught.value)
    assert caught.value.got == "Could not find any implementation"


def test_a_graph_that_the_chain_cannot_feed_is_refused() -> None:
    module, _ = library("10.3")
    with pytest.raises(BackendError, match="another type"):
        build_plan(Flavour("t", module), order(graph(("c", "CONVOLUTION", "HALF"), kind="INT32")))
    content = graph(("c", "CONVOLUTION", "HALF")).replace(b"3, 8, 8", b"3, -1, 8")
    with pytest.raises(BackendError, match="other sizes open than the batch"):
        build_plan(Flavour("t", module), order(content))


@pytest.mark.parametrize("generation", LEGACY)
def test_dla_is_given_ranges_beside_the_graph(generation: str) -> None:
    module, made = library(generation)
    ranges = b"TRT-EntropyCalibration2\nimage: 3c000000\n"
    settings = BuildSettings(dla=1, ranges=hashlib.sha256(ranges).hexdigest())
    built = build_plan(
        Flavour("tensorrt", module), order(precision="int8", settings=settings, ranges=ranges)
    )
    assert built.checked_on == "nothing"  # which of them it uses is DLA's choice
    assert made.flags == {"GPU_FALLBACK", "FP16", "INT8"}
    assert (made.config.DLA_core, made.config.default_device_type.name) == (1, "DLA")
    assert made.config.int8_calibrator.read_calibration_cache() == ranges
    assert made.config.int8_calibrator.get_batch(["image"]) is None
    assert not hasattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED") or not (
        made.network_flags >> int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED) & 1
    )


@pytest.mark.parametrize(
    ("generation", "core", "precision", "words"),
    [
        ("11.4", 0, "fp16", "builds nothing for DLA"),
        ("rtx", 0, "fp16", "builds nothing for DLA"),
        ("10.3", 2, "fp16", "no such DLA core"),
        ("10.3", 0, "int8", "needs the ranges"),
    ],
)
def test_dla_is_refused_where_it_cannot_be(
    generation: str, core: int, precision: str, words: str
) -> None:
    module, _ = library(generation)
    with pytest.raises(BackendError, match=words):
        build_plan(
            Flavour("tensorrt", module),
            order(precision=precision, settings=BuildSettings(dla=core)),
        )


def test_a_plan_that_is_not_taken_is_told_with_the_reason_where_there_is_one() -> None:
    for generation, words in (("rtx", "unsupported cc and malformed"), ("10.3", "nothing was")):
        module, _ = library(generation)
        with pytest.raises(BackendError) as caught:
            Flavour("tensorrt", module).deserialise(module.Runtime(None), b"garbage")
        assert words in str(caught.value.got)


def test_a_library_that_is_missing_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    for name, words in (("tensorrt", "system-site-packages"), ("tensorrt_rtx", "dermedge[rtx]")):
        monkeypatch.setitem(sys.modules, name, None)
        flavour.cache_clear()
        with pytest.raises(BackendError, match=name) as caught:
            flavour(name)
        assert words in str(caught.value.remedy)
    flavour.cache_clear()
