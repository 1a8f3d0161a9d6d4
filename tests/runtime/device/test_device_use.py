"""The GPU's chain where it is used: opened as any other, scanned with, on real networks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from runtime import demo, infer
from runtime.bundle_files import load_bundle, seal
from runtime.chain import open_chain
from runtime.device.device_chain import DeviceChain
from runtime.device.layouts import Format
from runtime.errors import UsageError
from runtime.golden import check_golden
from runtime.host_chain import HostChain
from runtime.judging import judge_ahead, open_chains
from runtime.sources import folder
from tests.bundle_factory import (
    WEIGHTS,
    add_golden,
    bundle_fields,
    explaining,
    make_bundle,
    member,
    picture,
    told_mean,
    write_models,
)
from tests.float_demo import make_float_demo
from tests.runtime.device.simulated_gpu import Maker, SimulatedGpu
from tests.runtime.device.simulated_trt import write_plans

pytest.importorskip("onnxruntime")


def test_it_is_what_a_compiled_backend_opens(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = add_golden(make_bundle(tmp_path / "bundle"), ("onnxruntime",))
    write_plans(bundle)
    with open_chain(bundle, "tensorrt") as chain:
        assert isinstance(chain, DeviceChain)
        assert chain.backend.mode == "graph"
        check_golden(chain)
    assert gpu.memory == {}


def test_a_scan_takes_the_largest_batch_there_is(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    photos = tmp_path / "photos"
    photos.mkdir()
    frames = [picture(60 + 7 * number, 90) for number in range(7)]
    for number, frame in enumerate(frames):
        cv2.imwrite(str(photos / f"{number}.png"), frame)
    (photos / "3b.png").write_bytes(b"no picture")
    for batch in (1, 3):
        write_plans(bundle, batch=batch)
    gpu.refuse.add("cuGraphInstantiate")
    words = ["--bundle", str(bundle.path), "--backend", "tensorrt", "--folder", str(photos)]
    done = CliRunner().invoke(infer.command, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "note: the GPU's chain does not run as graph: " in done.output
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    records = {record["source"]: record for record in map(json.loads, lines)}
    assert len(records) == 8
    assert records["3b.png"]["status"] == "error"
    with HostChain(bundle, "onnxruntime") as host:
        for number, frame in enumerate(frames):
            record = records[f"{number}.png"]
            assert record["backend"]["mode"] == "enqueue"
            assert record["score"] == pytest.approx(host.process(frame).score, abs=1e-4)


def test_only_batches_of_every_engine_count(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    write_plans(bundle)
    with open_chains(bundle, "tensorrt", self_test=False) as chains:
        assert [chain.batch for chain in chains] == [1, 1]
    write_plans(bundle, batch=4)
    folder_of_plans = tmp_path / "cache" / "engines"
    with open_chains(bundle, "tensorrt", self_test=False) as chains:
        assert [chain.batch for chain in chains] == [4, 4]
        with pytest.raises(UsageError, match="More frames"):
            chains[0].analyse_batch([picture()] * 5, [{}] * 5)
    for plan in folder_of_plans.glob("member_a-*.batch4.*"):
        plan.unlink()
    with open_chains(bundle, "tensorrt", self_test=False) as chains:
        assert chains[0].batch == 1


def test_plans_of_another_version_are_no_batch(gpu: SimulatedGpu, tmp_path: Path) -> None:
    """They would be refused, and what is there for one frame would not be used either."""
    bundle = make_bundle(tmp_path / "bundle")
    for batch in (1, 4):
        write_plans(bundle, batch=batch)
    for sidecar in (tmp_path / "cache" / "engines").glob("*.batch4.*.json"):
        sidecar.write_text(sidecar.read_text().replace('"10.3.0"', '"10.2.0"'))
    with open_chains(bundle, "tensorrt", self_test=False) as chains:
        assert chains[0].batch == 1


def test_what_is_unreadable_does_not_wait_for_a_batch(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    write_plans(bundle, batch=4)
    (tmp_path / "photos").mkdir()
    for number in range(30):
        (tmp_path / "photos" / f"{number}.png").write_bytes(b"no picture")
    items = list(folder(tmp_path / "photos").items)
    taken = 0

    def loading() -> object:
        nonlocal taken
        for item in items:
            taken += 1
            yield item, item.load(lambda source, sha256: False)

    with open_chains(bundle, "tensorrt", self_test=False) as chains:
        judged = judge_ahead(chains, loading(), lambda file: {})  # type: ignore[arg-type]
        next(judged)
        assert taken < 10
        judged.close()


@pytest.mark.parametrize("told", ["member_a", "ensemble"])
def test_one_frames_metadata_is_no_other_frames_matter(
    gpu: SimulatedGpu, told: str, tmp_path: Path
) -> None:
    fields = bundle_fields()
    age = {"kind": "number", "name": "age", "low": 0, "high": 100}
    fields["chain"]["metadata"] = {"fields": [age]}
    fields["models"][told]["inputs"].append({"kind": "metadata", "name": "metadata"})
    write_models(tmp_path / "bundle")
    graph = member(WEIGHTS[told], metadata=2) if told in WEIGHTS else told_mean(len(WEIGHTS), 2)
    onnx.save(graph, str(tmp_path / "bundle" / "models" / f"{told}.onnx"))
    bundle = seal(tmp_path / "bundle", fields)
    write_plans(bundle, batch=3)
    rows = [{"age": 20}, {"age": "old"}, {"age": 80}]
    with open_chains(bundle, "tensorrt", self_test=False) as (chain, _):
        got = chain.analyse_batch([picture()] * 3, rows)
    with HostChain(bundle, "onnxruntime") as host:
        for one, row in zip(got, rows, strict=True):
            expected = host.analyse(picture(), row)
            assert one.result.status == expected.result.status
            assert one.result.reason == expected.result.reason
            assert one.combined == pytest.approx(expected.combined, abs=1e-4)
    assert got[0].combined != got[2].combined


def test_heat_maps(gpu: SimulatedGpu, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", explaining(bundle_fields()))
    write_plans(bundle)
    write_plans(bundle, models=("member_a_heatmap", "member_b_heatmap"))
    with open_chain(bundle, "tensorrt", self_test=False) as chain:
        got = chain.analyse(picture(), explain=True)
    with HostChain(bundle, "onnxruntime") as host:
        expected = host.analyse(picture(), explain=True)
    assert got.heat is not None
    assert expected.heat is not None
    np.testing.assert_allclose(got.heat, expected.heat, atol=1e-4)
    assert gpu.memory == {}


CODES = {Format.YUYV: cv2.COLOR_YUV2BGR_YUY2, Format.NV12: cv2.COLOR_YUV2BGR_NV12}


@pytest.mark.parametrize("format", CODES)
def test_a_frame_as_a_camera_sent_it(gpu: SimulatedGpu, tmp_path: Path, format: Format) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    write_plans(bundle)
    planes = cv2.cvtColor(picture(), cv2.COLOR_BGR2YUV_I420)
    height, width = 120, 160
    light, colours = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    if format is Format.NV12:
        raw = np.concatenate([light, np.moveaxis(colours, 0, -1).reshape(height // 2, width)])
    else:
        doubled = np.moveaxis(colours, 0, -1).repeat(2, axis=0).reshape(height, width)
        raw = np.stack([light, doubled], axis=-1)
    raw = np.ascontiguousarray(raw)
    with open_chain(bundle, "tensorrt", self_test=False) as chain:
        assert isinstance(chain, DeviceChain)
        got = chain.measure(raw, format=format)
    with HostChain(bundle, "onnxruntime") as host:
        expected = host.analyse(cv2.cvtColor(raw, CODES[format]))
    assert got.failure is None
    assert got.combined is not None
    assert expected.combined is not None
    np.testing.assert_allclose(got.combined, list(expected.combined.values()), atol=1e-4)
    assert got.lesion is not None
    assert expected.lesion is not None
    assert got.lesion.box == expected.lesion.box


@pytest.mark.slow
def test_the_demo_passes_its_golden_images(make_gpu: Maker) -> None:
    """As it ships, in 8 bits."""
    bundle = load_bundle(demo.BUNDLE)
    make_gpu(1)
    write_plans(bundle, precision="int8")
    open_chain(bundle, "tensorrt").close()


@pytest.mark.slow
def test_the_demo_says_what_it_says_on_the_host(make_gpu: Maker, tmp_path: Path) -> None:
    """Real networks, in 16 bits, on their own sample frames, in two orders of events."""
    bundle = make_float_demo(tmp_path / "B")
    frames = [cv2.imread(str(path)) for path in sorted(demo.FRAMES.glob("*.*"))[:2]]
    with HostChain(bundle, "onnxruntime", precision="fp16") as host:
        expected = [host.analyse(frame) for frame in frames]
    for seed in (1, 2):
        make_gpu(seed)
        write_plans(bundle, precision="fp16")
        with open_chain(bundle, "tensorrt", precision="fp16") as chain:  # which passes them
            for frame, wanted in zip(frames, expected, strict=True):
                got = chain.analyse(frame)
                assert got.combined == pytest.approx(wanted.combined, abs=2e-3)
                assert got.lesion is not None
                assert wanted.lesion is not None
                assert (got.lesion.mask != wanted.lesion.mask).mean() < 1e-3
