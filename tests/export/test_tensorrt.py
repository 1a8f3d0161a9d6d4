"""Every exported graph through NVIDIA's real parser and builder, which need no GPU for that."""

from __future__ import annotations

from types import ModuleType

import onnx
import pytest

from runtime.bundle_files import LoadedBundle

pytestmark = pytest.mark.slow

GRAPHS = ("segmenter", "first", "second", "ensemble")


@pytest.fixture(scope="module")
def tensorrt() -> ModuleType:
    return pytest.importorskip(
        "tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'dermedge[rtx]'"
    )


def build(tensorrt: ModuleType, content: bytes) -> tuple[bytes | None, list[str]]:
    """The engine's plan, or None, and what the parser had to say."""
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(content):
        return None, [parser.get_error(n).desc() for n in range(parser.num_errors)]
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for n in range(network.num_inputs):
        port = network.get_input(n)
        shape = (1, *tuple(port.shape)[1:])
        assert port.dtype == tensorrt.float32
        assert profile.set_shape(port.name, shape, shape, shape) is not False
    assert config.add_optimization_profile(profile) >= 0
    for n in range(network.num_outputs):
        assert network.get_output(n).dtype == tensorrt.float32
    plan = builder.build_serialized_network(network, config)
    return (None if plan is None else bytes(plan)), []


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("made", ["exported", "exported_half"])
def test_it_is_parsed_and_built(
    tensorrt: ModuleType, request: pytest.FixtureRequest, made: str, name: str
) -> None:
    bundle: LoadedBundle = request.getfixturevalue(made)
    content = (bundle.path / bundle.spec.models[name].variants[0].file).read_bytes()
    plan, errors = build(tensorrt, content)
    assert errors == []
    assert plan


def test_the_builder_does_refuse(tensorrt: ModuleType, exported: LoadedBundle) -> None:
    graph = onnx.load(str(exported.path / "models" / "first.onnx"))
    graph.graph.node[0].op_type = "NoSuchOperator"
    plan, errors = build(tensorrt, graph.SerializeToString())
    assert plan is None
    assert errors
