"""The device's chain against the host's, on a simulated GPU that does things in any allowed order.

The kernels are the real sources, the engines are run by ONNX Runtime on both sides: what differs is
what runtime/device is answerable for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from runtime.bundle_files import LoadedBundle, seal
from runtime.chain import Analysis, Chain
from runtime.device.device_chain import DeviceChain
from runtime.device.lanes import Lanes
from runtime.device.launching import WAYS, Mode
from runtime.device.opened import OpenedBundle
from runtime.errors import BundleError
from runtime.host_chain import HostChain
from tests.bundle_factory import (
    bundle_fields,
    explaining,
    make_bundle,
    make_purifying,
    picture,
    purifying,
    without_segmenter,
    write_models,
)
from tests.runtime.device.simulated_gpu import Maker, SimulatedGpu
from tests.runtime.device.simulated_trt import write_plans

pytest.importorskip("onnxruntime")


@pytest.fixture
def bundle(tmp_path: Path) -> LoadedBundle:
    return make_bundle(tmp_path / "bundle")


@contextmanager
def on_device(
    bundle: LoadedBundle, ways: tuple[Mode, ...] = WAYS, batch: int = 1
) -> Iterator[DeviceChain]:
    write_plans(bundle, batch=batch)
    with OpenedBundle(bundle, "tensorrt", batch=batch) as opened, DeviceChain(opened, ways) as made:
        yield made


def on_host(bundle: LoadedBundle, frame: np.ndarray, row: Mapping[str, object] = {}) -> Analysis:
    with HostChain(bundle, "onnxruntime") as chain:
        return chain.analyse(frame, row)


def same(got: Analysis, expected: Analysis) -> None:
    assert got.result.status == expected.result.status, got.result.reason
    assert got.result.reason == expected.result.reason
    assert got.combined == pytest.approx(expected.combined, abs=1e-4)
    for name, said in expected.result.members.items():
        assert got.result.members[name] == pytest.approx(said, abs=1e-4)
    assert got.result.lesion == expected.result.lesion
    if expected.lesion is not None:
        assert got.lesion is not None
        np.testing.assert_array_equal(got.lesion.mask, expected.lesion.mask)
        assert got.lesion.next_largest == expected.lesion.next_largest


FRAMES = [picture(), picture(300, 200), picture(48, 640), picture(lesion=False), picture(31, 17)]


@pytest.mark.parametrize("way", WAYS)
def test_it_judges_as_the_host_does(make_gpu: Maker, bundle: LoadedBundle, way: Mode) -> None:
    for seed in range(6):
        gpu = make_gpu(seed)
        with on_device(bundle, (way,)) as chain:
            assert chain.backend.mode == way
            assert chain.launcher.why == []
            for frame in FRAMES:
                same(chain.analyse(frame), on_host(bundle, frame))
        assert gpu.memory == {}, "memory that was not given back"
        assert gpu.executables == gpu.graphs == {}


def test_a_graph_is_one_call_a_frame(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    with on_device(bundle) as chain:
        frame = chain.frame_memory(120, 160)
        frame[...] = picture()
        chain.analyse(frame)
        gpu.calls.clear()
        chain.analyse(frame)
        chain.find(frame)
        called = [call for call in gpu.calls if call != "record"]
    assert called == ["memcpy_htod_async", "cuGraphLaunch", "synchronize"] * 2


def test_an_integrated_gpu_reads_the_frame_where_it_is(
    make_gpu: Maker, bundle: LoadedBundle
) -> None:
    gpu = make_gpu(integrated=True)
    with on_device(bundle) as chain:
        same(chain.analyse(picture()), on_host(bundle, picture()))
        gpu.calls.clear()
        same(chain.analyse(picture(64, 64)), on_host(bundle, picture(64, 64)))
    assert gpu.calls[:4] == ["record", "cuGraphLaunch", "record", "synchronize"]


def test_the_lesion_alone(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    with on_device(bundle) as chain, HostChain(bundle, "onnxruntime") as host:
        for frame in FRAMES:
            got, expected = chain.find(frame), host.find(frame)
            assert (got is None) == (expected is None)
            if got is not None and expected is not None:
                assert got.box == expected.box
                np.testing.assert_array_equal(got.mask, expected.mask)
        looks = chain.look(FRAMES[0]), host.look(FRAMES[0])
        assert looks[0].quality == looks[1].quality


def changed(**chain: Any) -> dict[str, Any]:
    fields = bundle_fields()
    return fields | {"chain": fields["chain"] | chain}


def black() -> dict[str, Any]:
    fields = bundle_fields()
    return fields | {"views": fields["views"] | {"crop": {"background": "black"}}}


def middle(background: str = "keep") -> dict[str, Any]:
    fields = bundle_fields()
    return fields | {
        "views": fields["views"] | {"crop": {"area": "middle", "background": background}}
    }


def black_middle() -> dict[str, Any]:
    return middle("black")


def middle_without_lesion() -> dict[str, Any]:
    return changed(segment=None) | {"views": {"whole": {}, "crop": {"area": "middle"}}}


def whole_and_crop() -> dict[str, Any]:
    """One member that need not wait for the lesion, with the picture that the segmenter has."""
    fields = bundle_fields()
    fields["models"]["member_b"]["inputs"][0]["view"] = "whole"
    return fields


def without_lesion() -> dict[str, Any]:
    return without_segmenter(bundle_fields())


def of_logits() -> dict[str, Any]:
    """A member that gives logits only, and so does the host's softmax on the device."""
    fields = bundle_fields()
    fields["models"]["member_a"]["outputs"] = [{"name": "logits", "role": "logits"}]
    return fields


def of_features() -> dict[str, Any]:
    fields = changed(combine={"model": "ensemble", "takes": "features"})
    for name in ("member_a", "member_b"):
        outputs = [{"name": "probabilities", "role": "features"}]
        outputs.append({"name": "logits", "role": "logits"})
        fields["models"][name]["outputs"] = outputs
    return fields


def alone() -> dict[str, Any]:
    return changed(classify=["member_b"], combine=None)


def unfilled() -> dict[str, Any]:
    return changed(segment={"model": "segmenter", "threshold": 0.3, "fill_holes": False})


def purified() -> dict[str, Any]:
    return purifying(bundle_fields())


def purified_and_black() -> dict[str, Any]:
    fields = purified()
    fields["views"]["pure"] = {"source": "purified", "area": "middle", "background": "black"}
    return fields


def purified_without_lesion() -> dict[str, Any]:
    """And a member that need not wait for the picture."""
    return without_segmenter(purified())


def seven_channels() -> dict[str, Any]:
    """A segmenter that takes hue, saturation, value and luminance beside red, green and blue."""
    fields = bundle_fields()
    (image,) = fields["models"]["segmenter"]["inputs"]
    image["preprocess"] |= {"colour": "rgb_hsv_l", "mean": [0.0] * 7, "std": [1.0] * 7}
    return fields


KINDS = [
    seven_channels, black, middle, black_middle, middle_without_lesion, whole_and_crop,
    without_lesion, of_logits, of_features, alone, unfilled, purified, purified_and_black,
    purified_without_lesion,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_bundle(make_gpu: Maker, tmp_path: Path, kind: Any) -> None:
    bundle = make_bundle(tmp_path / "bundle", kind())
    ring = picture()
    ring[50:70, 60:80] = 200  # a hole in it
    for seed in range(4):
        make_gpu(seed)
        with on_device(bundle) as chain:
            for frame in (*FRAMES, ring):
                same(chain.analyse(frame), on_host(bundle, frame))


def test_several_frames_a_launch(make_gpu: Maker, bundle: LoadedBundle) -> None:
    expected = [on_host(bundle, frame) for frame in FRAMES]
    for seed in range(4):
        make_gpu(seed)
        with on_device(bundle, batch=3) as chain:
            got = chain.analyse_batch(FRAMES[:3], [{}] * 3)
            got += chain.analyse_batch(FRAMES[3:], [{}] * 2)  # fewer than there is room for
            for one, other in zip(got, expected, strict=True):
                same(one, other)


def test_two_chains_on_threads_of_their_own(make_gpu: Maker, bundle: LoadedBundle) -> None:
    """Their engines are the same, their memory is not."""
    make_gpu(3)
    write_plans(bundle)
    expected = [on_host(bundle, frame) for frame in FRAMES]

    def judge(chain: Chain) -> list[Analysis]:
        return [chain.analyse(frame) for frame in FRAMES]

    with (
        OpenedBundle(bundle, "tensorrt") as opened,
        DeviceChain(opened) as one,
        DeviceChain(opened) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        both = pool.submit(judge, one), pool.submit(judge, other)
        for done in both:
            for got, wanted in zip(done.result(), expected, strict=True):
                same(got, wanted)


def test_who_need_not_wait_runs_beside_the_segmentation(gpu: SimulatedGpu, tmp_path: Path) -> None:
    fields = whole_and_crop()
    fields["models"]["member_a"]["inputs"][0]["view"] = "whole"
    fields["views"].pop("crop")
    bundle = make_bundle(tmp_path / "bundle", fields)
    with on_device(bundle, ("enqueue",)) as chain:
        chain.analyse(FRAMES[0])
        gpu.calls.clear()
        same(chain.analyse(FRAMES[0]), on_host(bundle, FRAMES[0]))
    begun = [call for call in gpu.calls if call in ("launch", "execute_async_v3")]
    assert begun[:5] == ["launch", *["execute_async_v3"] * 3, "launch"]


def test_images_in_sixteen_bits(gpu: SimulatedGpu, tmp_path: Path) -> None:
    """An engine that takes them is given them; beside one that takes thirty-two of the same."""
    folder = tmp_path / "bundle"
    write_models(folder)
    graph = onnx.load(str(folder / "models" / "member_a.onnx"))
    (image,) = (item for item in graph.graph.input if item.name == "image")
    image.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for node in graph.graph.node:
        node.input[:] = ["wide" if name == "image" else name for name in node.input]
    to_wide = onnx.helper.make_node("Cast", ["image"], ["wide"], to=onnx.TensorProto.FLOAT)
    graph.graph.node.insert(0, to_wide)
    onnx.save(graph, str(folder / "models" / "member_a.onnx"))
    bundle = seal(folder, bundle_fields())
    expected = on_host(make_bundle(tmp_path / "same"), FRAMES[0])
    with on_device(bundle) as chain:
        got = chain.analyse(FRAMES[0])
        assert len(chain.slot.targets.late) == 2
    assert got.combined == pytest.approx(expected.combined, abs=2e-3)


def test_nothing_grows(gpu: SimulatedGpu, bundle: LoadedBundle) -> None:
    with on_device(bundle) as chain:
        for frame in FRAMES:
            chain.process(frame)
        rooms, asked = len(gpu.memory), gpu.calls.count("mem_alloc")
        for number in range(60):
            chain.process(FRAMES[number % len(FRAMES)])
        assert (len(gpu.memory), gpu.calls.count("mem_alloc")) == (rooms, asked)


def test_what_is_not_a_number_is_an_error(
    gpu: SimulatedGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = ((float("nan"), 0.0), (0.0, 0.0), (0.0, 0.0))
    bundle = make_bundle(tmp_path / "bundle", weights={"member_b": nan})
    with on_device(bundle) as chain:
        same(chain.analyse(FRAMES[0]), on_host(bundle, FRAMES[0]))
        assert "did not give numbers" in (chain.process(FRAMES[0]).reason or "")


@pytest.mark.parametrize("missing", ["join", "fork"])
def test_an_order_that_is_not_kept_would_be_noticed(
    make_gpu: Maker, bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The simulation's own test: without the waits between streams, results are wrong."""
    if missing == "join":
        monkeypatch.setattr(Lanes, "join", lambda lanes: None)
    else:
        monkeypatch.setattr(
            Lanes, "fork", lambda lanes, count: [row[0] for row in lanes._beside[:count]]
        )
    expected = on_host(bundle, FRAMES[0]).combined
    wrong = 0
    for seed in range(8):
        make_gpu(seed)
        with on_device(bundle, ("graph", "enqueue")) as chain:
            if missing == "join":
                assert chain.backend.mode == "enqueue"  # such a thing cannot be captured
            got = chain.analyse(FRAMES[0])
            wrong += got.combined != pytest.approx(expected, abs=1e-4)
    assert wrong > 0


@pytest.mark.parametrize("way", WAYS)
def test_purification_in_every_way_and_several_at_once(
    make_gpu: Maker, tmp_path: Path, way: Mode
) -> None:
    bundle = make_bundle(tmp_path / "bundle", explaining(purified()))
    expected = [on_host(bundle, frame) for frame in FRAMES]
    for seed in range(3):
        make_gpu(seed)
        with on_device(bundle, (way,), batch=3) as chain:
            got = chain.analyse_batch(FRAMES[:3], [{}] * 3)
            got += chain.analyse_batch(FRAMES[3:], [{}] * 2)
            for one, other in zip(got, expected, strict=True):
                same(one, other)
            if way == "staged":
                assert "purify" in got[0].result.timing_ms


def test_a_heat_map_of_what_was_painted(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", explaining(purified()))
    with on_device(bundle) as chain, HostChain(bundle, "onnxruntime") as host:
        write_plans(bundle, models=["purifier", "member_a_heatmap"])
        for frame in FRAMES[:2]:
            lesion = host.find(frame)
            made = (each.explain_part("member_a_heatmap", frame, lesion) for each in (chain, host))
            (box, got), (expected_box, expected) = made
            assert box == expected_box
            np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_picture_that_is_none_is_that_frames_error(gpu: SimulatedGpu, tmp_path: Path) -> None:
    """What is dark divides by nothing; a frame beside it that is not dark is judged."""
    nodes = [
        onnx.helper.make_node("GlobalMaxPool", ["image"], ["lightest"]),
        onnx.helper.make_node("Div", ["lightest", "lightest"], ["one"]),
        onnx.helper.make_node("Mul", ["image", "one"], ["picture"]),
    ]
    bundle = make_purifying(tmp_path / "bundle", nodes)
    frames = [picture(), np.zeros((40, 40, 3), np.uint8)]
    with on_device(bundle, batch=2) as chain:
        for _ in range(2):
            got = chain.analyse_batch(frames, [{}, {}])
            assert got[0].result.status == "ok"
            assert "'purifier' did not give a picture" in (got[1].result.reason or "")
            for one, frame in zip(got, frames, strict=True):
                same(one, on_host(bundle, frame))


def test_what_the_device_cannot_do_it_refuses_by_name(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", changed(purify={"method": "classical"}))
    with pytest.raises(BundleError, match="purification"):
        OpenedBundle(bundle, "tensorrt")
