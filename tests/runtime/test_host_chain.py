"""The host chain's own: what feeds what, what is shared, what it refuses, how members fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from runtime import host_chain
from runtime.backends.base import Engine
from runtime.bundle_files import LoadedBundle, load_bundle, seal
from runtime.errors import BackendError, BundleError
from runtime.host_chain import HostChain, models_in_use
from runtime.lesion import find_lesion
from runtime.preprocess import to_tensor
from tests.bundle_factory import (
    SIZE,
    WEIGHTS,
    bundle_fields,
    image_input,
    make_bundle,
    member,
    model,
    model_fields,
    picture,
    purifying,
    write_models,
)

Fields = dict[str, Any]
AGE = {"fields": [{"kind": "number", "name": "age", "low": 0, "high": 100}]}


def save(folder: Path, name: str, graph: onnx.ModelProto) -> None:
    onnx.save(graph, str(folder / "models" / f"{name}.onnx"))


def one_member(folder: Path, *roles: str) -> LoadedBundle:
    """No segmenter and no ensemble: the least that is a bundle."""
    fields = bundle_fields() | {"views": {"whole": {}}}
    fields["models"] = {"only": model_fields("only", [image_input("whole")], *roles)}
    fields["chain"] = {"classify": ["only"]}
    (folder / "models").mkdir(parents=True)
    save(folder, "only", member(WEIGHTS["member_a"]))
    return seal(folder, fields)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("roles", [("probabilities",), ("logits",)])
def test_one_network_is_a_chain(tmp_path: Path, backend: str, roles: tuple[str]) -> None:
    with HostChain(one_member(tmp_path / "b", *roles), backend) as chain:
        result = chain.process(picture())
    colour = picture().mean(axis=(0, 1))[::-1] / 255
    logits = colour @ np.asarray(WEIGHTS["member_a"])
    expected = np.exp(logits) / np.exp(logits).sum()
    assert result.status == "ok"
    assert list(result.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-4)
    assert result.disagreement is None
    assert result.lesion is None


@pytest.mark.parametrize(
    ("background", "view", "tensors"),
    [
        ("keep", "crop", 2),  # the segmenter's, and one for both members
        ("keep", "whole", 2),  # one for the segmenter and this member, one for the other
        ("black", "whole", 3),  # what the segmenter looks at before the mask is known
    ],
)
def test_what_is_looked_at_in_the_same_way_is_prepared_once(
    background: str, view: str, tensors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(*given: Any) -> Any:
        made.append(to_tensor(*given))
        return made[-1]

    fields = bundle_fields()
    fields["views"]["whole"] = {"background": background}
    fields["models"]["member_b"]["inputs"] = [image_input(view)]
    monkeypatch.setattr(host_chain, "to_tensor", counted)
    with HostChain(make_bundle(tmp_path / "bundle", fields), "fake") as chain:
        chain.process(picture())
    assert len(made) == tensors


@pytest.mark.parametrize("view", [{"area": "lesion", "background": "black"}, {"area": "middle"}])
def test_members_may_look_at_different_views(view: dict[str, Any], tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["views"]["other"] = view
    fields["models"]["member_b"]["inputs"] = [image_input("other")]
    seen = []
    for name, changed in (("same", bundle_fields()), ("other", fields)):
        with HostChain(make_bundle(tmp_path / name, changed), "onnxruntime") as chain:
            seen.append(chain.process(picture()).members)
    assert seen[0]["member_a"] == seen[1]["member_a"]
    assert seen[0]["member_b"] != seen[1]["member_b"]


@pytest.mark.parametrize("area", ["middle", "lesion"])
def test_the_segmenter_sees_the_whole_frame_or_is_refused(area: str, tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["views"]["whole"] = {"area": area}
    with pytest.raises(BundleError, match="only look at the whole frame"):
        HostChain(make_bundle(tmp_path, fields), "onnxruntime")


def with_age(folder: Path) -> LoadedBundle:
    fields = bundle_fields()
    fields["chain"]["metadata"] = AGE
    fields["models"]["member_b"]["inputs"].append({"kind": "metadata", "name": "metadata"})
    write_models(folder)
    save(folder, "member_b", member(WEIGHTS["member_b"], metadata=2))
    return seal(folder, fields)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "fake"])
def test_metadata_reaches_the_member_that_takes_it(tmp_path: Path, backend: str) -> None:
    with HostChain(with_age(tmp_path / "b"), backend) as chain:
        young, old = chain.process(picture(), {"age": 5}), chain.process(picture(), {"age": 95})
        unknown = chain.process(picture())
    assert young.members["member_a"] == old.members["member_a"] == unknown.members["member_a"]
    said = [r.members["member_b"]["melanoma"] for r in (young, old, unknown)]
    assert len(set(said)) == 3


def test_metadata_the_bundle_does_not_know_is_this_frames_error(tmp_path: Path) -> None:
    with HostChain(with_age(tmp_path / "b"), "onnxruntime") as chain:
        result = chain.process(picture(), {"age": "old"})
        assert result.status == "error"
        assert "age is not a number" in (result.reason or "")
        assert chain.process(picture(), {"age": 50}).status == "ok"


def combining(folder: Path, takes: str, graph: onnx.ModelProto) -> LoadedBundle:
    fields = bundle_fields()
    fields["chain"]["combine"]["takes"] = takes
    write_models(folder)
    save(folder, "ensemble", graph)
    if takes == "features":
        for name in WEIGHTS:
            fields["models"][name]["outputs"].append({"name": "colour", "role": "features"})
            graph = member(WEIGHTS[name])
            shape = ["batch", 3]
            graph.graph.output.append(
                helper.make_tensor_value_info("colour", onnx.TensorProto.FLOAT, shape)
            )
            save(folder, name, graph)
    return seal(folder, fields)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_an_ensemble_of_logits(tmp_path: Path, backend: str) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["members"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["probabilities"], axis=1),
    ]
    graph = model(nodes, {"members": (2, 2)}, {"probabilities": (2,)}, {})
    with HostChain(combining(tmp_path / "b", "logits", graph), backend) as chain:
        analysis = chain.analyse(picture())
    members = [list(said.values()) for said in analysis.result.members.values()]
    mean = np.exp(np.log(members).mean(axis=0))
    assert analysis.combined is not None
    assert list(analysis.combined.values()) == pytest.approx((mean / mean.sum()).tolist(), abs=1e-5)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_an_ensemble_of_features(tmp_path: Path, backend: str) -> None:
    nodes = [
        helper.make_node("Flatten", ["members"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = np.ones((6, 2), dtype=np.float32) * np.float32([1, -1])
    graph = model(nodes, {"members": (2, 3)}, {"probabilities": (2,)}, {"weights": weights})
    with HostChain(combining(tmp_path / "b", "features", graph), backend) as chain:
        analysis = chain.analyse(picture())
    assert analysis.result.status == "ok"
    assert analysis.combined is not None
    assert analysis.combined["melanoma"] > 0.5


def test_the_most_surprised_member_gives_ood(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["models"]["member_a"]["outputs"].append({"name": "doubt", "role": "ood"})
    fields["decision"]["abstain"] = {"ood": 0.01}
    write_models(tmp_path / "b")
    graph = member(WEIGHTS["member_a"])
    graph.graph.node.append(
        helper.make_node("ReduceMax", ["colour"], ["doubt"], axes=[1], keepdims=1)
    )
    kind = onnx.TensorProto.FLOAT
    graph.graph.output.append(helper.make_tensor_value_info("doubt", kind, ["batch", 1]))
    save(tmp_path / "b", "member_a", graph)
    with HostChain(seal(tmp_path / "b", fields), "onnxruntime") as chain:
        result = chain.process(picture())
    assert result.ood is not None
    assert 0.1 < result.ood < 1
    assert result.status == "abstained"
    assert "unlike" in (result.reason or "")


@pytest.mark.parametrize("broken", ["segmenter", "member_a", "ensemble"])
def test_a_network_that_fails_is_this_frames_error(
    sealed: LoadedBundle, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostChain(sealed, "fake") as chain:
        whole = chain.process(picture())
        run = Engine.run

        def failing(engine: Engine, feeds: Any) -> Any:
            if engine.name == broken:
                raise BackendError(f"'{broken}' failed in fake", got="no more memory")
            return run(engine, feeds)

        with monkeypatch.context() as patch:
            patch.setattr(Engine, "run", failing)
            result = chain.process(picture())
        assert result.status == "error"
        assert broken in (result.reason or "")
        assert "no more memory" in (result.reason or "")
        assert result.score is None
        assert chain.process(picture()).probabilities == whole.probabilities


def test_a_vendors_error_becomes_one_of_ours(
    sealed: LoadedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostChain(sealed, "fake") as chain:

        def failing(engine: Engine, feeds: Any) -> Any:
            raise RuntimeError("Exception from x.cpp:1:\nthe vendor's own words")

        monkeypatch.setattr("runtime.backends.fake.FakeEngine._run", failing)
        result = chain.process(picture())
    assert result.status == "error"
    assert result.reason == "'segmenter' failed in fake; got the vendor's own words"


def test_a_mask_of_nan_is_an_error(tmp_path: Path) -> None:
    write_models(tmp_path / "b")
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Div", ["nothing", "nothing"], ["nan"]),
        helper.make_node("Add", ["grey", "nan"], ["mask"]),
    ]
    constants = {"nothing": np.float32(0)}
    graph = model(nodes, {"image": (3, SIZE, SIZE)}, {"mask": (1, SIZE, SIZE)}, constants)
    save(tmp_path / "b", "segmenter", graph)
    with HostChain(seal(tmp_path / "b", bundle_fields()), "onnxruntime") as chain:
        result = chain.process(picture())
    assert result.status == "error"
    assert "'segmenter' did not give a mask" in (result.reason or "")


def purifier_of_a_crop(fields: Fields) -> None:
    fields |= purifying(fields)
    fields["models"]["purifier"]["inputs"] = [image_input("crop")]


def segmenter_of_what_is_purified(fields: Fields) -> None:
    fields |= purifying(fields)
    fields["views"]["pure frame"] = {"source": "purified"}
    fields["models"]["segmenter"]["inputs"] = [image_input("pure frame")]


def segmenter_of_a_crop(fields: Fields) -> None:
    fields["models"]["segmenter"]["inputs"] = [image_input("crop")]


def logits_of_none(fields: Fields) -> None:
    fields["chain"]["combine"]["takes"] = "logits"
    fields["models"]["member_b"]["outputs"] = [{"name": "probabilities", "role": "probabilities"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (purifier_of_a_crop, "The purifier 'purifier' can only look at the whole frame"),
        (segmenter_of_what_is_purified, "The segmenter 'segmenter' can only look at the whole"),
        (segmenter_of_a_crop, "'crop'"),
        (logits_of_none, "'member_b' does not give"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(tmp_path: Path, change: Any, words: str) -> None:
    fields = bundle_fields()
    change(fields)
    with pytest.raises(BundleError) as caught:
        HostChain(make_bundle(tmp_path / "b", fields), "fake")
    assert words in str(caught.value)
    assert caught.value.remedy is not None


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_the_result(sealed: LoadedBundle, backend: str, threads: int) -> None:
    with HostChain(sealed, backend, threads=threads) as chain:
        got = chain.process(picture()).probabilities
    with HostChain(sealed, backend) as chain:
        assert chain.process(picture()).probabilities == pytest.approx(got, abs=1e-6)


def test_closing_frees_every_engine(sealed: LoadedBundle) -> None:
    with HostChain(sealed, "fake") as chain:
        engines = list(chain._engines.values())
    assert not any(engine._open for engine in engines)


def test_models_in_the_order_of_a_frame(sealed: LoadedBundle) -> None:
    loaded = load_bundle(sealed.path)
    assert models_in_use(loaded.spec) == ["segmenter", "member_a", "member_b", "ensemble"]


@pytest.mark.parametrize("method", [None, "classical"])
def test_a_given_lesion_is_judged_as_if_it_had_been_found(
    method: str | None, tmp_path: Path
) -> None:
    fields = purifying(bundle_fields(), method) if method else bundle_fields()
    frame = picture()
    with HostChain(make_bundle(tmp_path / "b", fields), "onnxruntime") as chain:
        found = chain.analyse(frame, {"age": 40})
        assert found.lesion is not None
        again = chain.analyse_given(frame, found.lesion, {"age": 40})
        assert again.result.model_copy(update={"timing_ms": {}}) == found.result.model_copy(
            update={"timing_ms": {}}
        )
        corner = np.zeros_like(found.lesion.mask)
        corner[:4, :4] = 1
        elsewhere = chain.analyse_given(frame, find_lesion(corner, *frame.shape[:2]))
        assert elsewhere.result.lesion is not None
        assert elsewhere.result.lesion.box == (0, 0, 20, 15)
        assert elsewhere.result.members != found.result.members, "members see the given crop"
        nothing = chain.analyse_given(frame, None).result
        assert (nothing.status, nothing.lesion) == ("abstained", None)
