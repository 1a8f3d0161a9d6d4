"""A run becomes a bundle that says on the device what the networks say in PyTorch."""

from __future__ import annotations

import shutil
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.finished_run import FinishedRun
from runtime.bundle_files import LoadedBundle
from runtime.chain import Analysis, open_chain
from runtime.lesion import clean_mask, cut_view, find_lesion
from runtime.preprocess import to_tensor
from tests.export.conftest import export
from tests.export.runs import IDS, write_run
from train import networks
from train.phantom.compose import make_phantom

pytestmark = pytest.mark.slow

TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2}


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return make_phantom(5, 3, (150, 200)).image


@torch.inference_mode()
def in_pytorch(folder: Path, part: str, frame: np.ndarray) -> tuple[np.ndarray, object]:
    """The whole chain as training sees it: no graph, no engine, no bundle."""
    run = FinishedRun.read(folder)
    recipe = run.recipe
    image = torch.from_numpy(to_tensor(frame, networks.segmenter_preprocess(recipe)))
    mask = torch.sigmoid(run.segmenter(part)(image))[0, 0].numpy()
    lesion = find_lesion(clean_mask(mask, 0.5, True), *frame.shape[:2])
    rows = []
    for name, member in recipe.members.items():
        view = cut_view(frame, recipe.views[member.view], lesion)
        seen = torch.from_numpy(to_tensor(view, networks.member_preprocess(recipe, name)))
        rows.append(torch.softmax(run.member(name, part)(seen)[0], dim=1))
    return run.combiner(part)(torch.stack(rows, dim=1))[0].numpy(), lesion


def analysed(bundle: LoadedBundle, engine: str, frame: np.ndarray) -> Analysis:
    with open_chain(bundle, engine, threads=1) as chain:
        return chain.analyse(frame)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(("made", "part"), [("exported", "final"), ("exported_half", "1")])
def test_the_chain_says_what_pytorch_says(
    engine: str,
    made: str,
    part: str,
    run_folder: Path,
    frame: np.ndarray,
    request: pytest.FixtureRequest,
) -> None:
    bundle: LoadedBundle = request.getfixturevalue(made)
    expected, lesion = in_pytorch(run_folder, part, frame)
    analysis = analysed(bundle, engine, frame)
    assert lesion is not None, "without a lesion no crop is tested"
    assert analysis.lesion is not None
    precision = bundle.spec.models["first"].variants[0].precision
    if precision == "fp32":
        assert analysis.lesion.box == lesion.box
    got = list((analysis.combined or {}).values())
    np.testing.assert_allclose(got, expected, atol=TOLERANCE[precision])


def test_other_weights_say_something_else(
    exported: LoadedBundle, exported_half: LoadedBundle, frame: np.ndarray
) -> None:
    """Had export taken one fold's weights for another's, this would be how it shows."""
    final, fold = (analysed(b, "openvino", frame).combined for b in (exported, exported_half))
    assert final is not None
    assert fold is not None
    assert max(abs(final[name] - fold[name]) for name in final) > TOLERANCE["fp16"]


def test_graphs_take_batches_and_have_their_normalisation_folded(exported: LoadedBundle) -> None:
    for name, model in exported.spec.models.items():
        graph = onnx.load(str(exported.path / model.variants[0].file))
        onnx.checker.check_model(graph, full_check=True)
        assert Counter(node.op_type for node in graph.graph.node)["BatchNormalization"] == 0
        assert [item.name for item in graph.graph.input] == [item.name for item in model.inputs]
        assert {o.name for o in graph.graph.output} >= {o.name for o in model.outputs}
        for item in (*graph.graph.input, *graph.graph.output):
            assert item.type.tensor_type.shape.dim[0].dim_param == "batch", name
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        port = session.get_inputs()[0]
        three = np.random.default_rng(1).random((3, *port.shape[1:]), dtype=np.float32)
        together = session.run(None, {port.name: three})
        alone = session.run(None, {port.name: three[1:2]})
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(many[1:2], one, atol=1e-5)


def test_a_fold_says_what_it_has_not_seen(
    exported: LoadedBundle, exported_half: LoadedBundle
) -> None:
    assert exported.spec.provenance.fold is None
    assert exported.spec.provenance.held_out == ()
    assert exported_half.spec.provenance.fold == 1
    assert set(exported_half.spec.provenance.held_out) == set(IDS[1::2])
    assert exported_half.spec.name == "tiny-fold1"


def test_half_the_precision_is_half_the_size(
    exported: LoadedBundle, exported_half: LoadedBundle
) -> None:
    for name, model in exported_half.spec.models.items():
        (variant,) = model.variants
        if name == "ensemble":
            assert variant.precision == "fp32"
            continue
        assert variant.precision == "fp16"
        whole = exported.path / exported.spec.models[name].variants[0].file
        assert (exported_half.path / variant.file).stat().st_size < 0.6 * whole.stat().st_size


def test_the_bundle_tells_where_it_is_from(exported: LoadedBundle) -> None:
    spec = exported.spec
    assert [(d.name, d.images, d.sha256) for d in spec.provenance.data] == [("drawn", 6, "ab" * 32)]
    assert spec.provenance.metrics["auc.all.ensemble.melanoma.low"] == 0.7
    assert spec.provenance.metrics["segmentation.jaccard"] == 0.75
    said = spec.provenance.metrics["parity.fp32.openvino.segmenter.mask"]
    assert isinstance(said, float)
    assert said < 1e-3
    assert spec.decision.threshold is None
    assert len(spec.golden) == 3
    card = (exported.path / "card.md").read_text(encoding="utf-8")
    for text in (
        "no medical device",
        "0.810 (0.700–0.900)",
        "seed: 0",
        "U-Net, width 4",
        "small_se from",
    ):
        assert text in card
    assert "--fold" not in card


def test_nothing_in_a_bundle_tells_of_the_machine(
    exported: LoadedBundle, exported_half: LoadedBundle, run_folder: Path
) -> None:
    root = Path(__file__).parents[2]
    traces = [str(root), str(run_folder), str(Path.home()), str(exported.path), "site-packages"]
    traces += [socket.gethostname()] if len(socket.gethostname()) > 4 else []
    for bundle in (exported, exported_half):
        for file in bundle.path.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            found = [trace for trace in traces if trace.encode() in content]
            assert not found, f"{file.name} holds {found}"


def test_the_result_says_what_comes_next(run_folder: Path, tmp_path: Path) -> None:
    out, images = tmp_path / "bundle", tmp_path / "images"
    images.mkdir()
    shutil.copy(Path(__file__).parents[1] / "golden" / "lesion.png", images / "J_Doe.png")
    done = export("--run", run_folder, "--out", out, "--golden", images, "--name", "mine")
    assert done.exit_code == 0, done.output
    assert "dermedge operate --bundle" in done.output
    assert "mine 1" in done.output
    names = [file.name for file in (out / "golden").iterdir()]
    assert names == ["case1.png"], "a file's own name may say whose picture it is"


def test_a_graph_that_lost_a_weight_is_not_written(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export import build

    whole = build.to_onnx

    def broken(graph: object, shape: tuple[int, ...]) -> onnx.ModelProto:
        model = whole(graph, shape)  # type: ignore[arg-type]
        if len(shape) == 2:  # the ensemble
            tensor = model.graph.initializer[0]
            changed = onnx.numpy_helper.to_array(tensor) + np.float32(0.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
        return model

    monkeypatch.setattr(build, "to_onnx", broken)
    done = export("--run", run_folder, "--out", tmp_path / "bundle")
    assert done.exit_code == 1
    assert "'ensemble' in fp32" in done.output
    assert "expected: at most 0.0001" in done.output
    assert list(tmp_path.iterdir()) == []


def test_other_seeds_are_other_runs(tmp_path: Path, run_folder: Path, frame: np.ndarray) -> None:
    other = write_run(tmp_path / "run", seed=1)
    one, two = (in_pytorch(folder, "final", frame)[0] for folder in (run_folder, other))
    assert np.abs(one - two).max() > TOLERANCE["fp16"]
