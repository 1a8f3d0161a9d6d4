"""From a PyTorch network to an ONNX graph as bundles hold it.

One file, float32, an open batch axis, batch normalisation folded into convolutions, the softmax or
sigmoid inside. Nothing in the file tells of the machine it was made on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import onnx
import torch
from torch import nn

from train.models.heat_maps import HEAT_MAPS
from train.models.member import Member
from train.models.mirrored import ask_mirrored
from train.models.purification import PurificationNet
from train.models.unlikeness import Unlikeness, pooled_depths
from train.models.visual_backprop import VisualBackProp
from train.models.zoome import ZooMe
from train.networks import Combiner, cut_trunk
from train.recipe_parts.members import HeatMap

OPSET = 18
IR_VERSION = 8  # the one that came with opset 18: engines of that time read it
BATCH = "batch"
SAMPLE_BATCH = 2  # a batch of one would be taken for a constant


class SegmenterGraph(nn.Module):
    inputs, outputs = ("image",), ("mask",)

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.net(image))


class PurifierGraph(nn.Module):
    inputs, outputs = ("image",), ("picture",)

    def __init__(self, net: PurificationNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.clamp(self.net(image), 0.0, 1.0)


class MemberGraph(nn.Module):
    """What it decides with, and the heat map, which a bundle runs as a model of its own: one file
    holds the weights for both, and an engine computes what its model is asked for."""

    inputs, decides, explains = ("image",), ("probabilities", "logits", "features"), "heatmap"
    doubts = "ood"

    def __init__(
        self,
        net: Member,
        size: tuple[int, int],
        heatmap: HeatMap,
        unlikeness: Unlikeness | None = None,
        mirror_images: int = 1,
    ) -> None:
        super().__init__()
        self.doubting = _Doubting(HEAT_MAPS[heatmap](net, size), unlikeness)
        self.mirror_images = mirror_images
        self.outputs = (*self.deciding(unlikeness is not None), self.explains)

    @classmethod
    def deciding(cls, doubted: bool) -> tuple[str, ...]:
        """What is no heat map. `doubted`: whether it says how unlike an image is."""
        return (*cls.decides, cls.doubts) if doubted else cls.decides

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, features, heat, *doubt = ask_mirrored(self.doubting, image, self.mirror_images)
        return torch.softmax(logits, dim=1), logits, features, *doubt, heat


class DecidingGraph(nn.Module):
    """A member as PyTorch computes it where nobody asks for a heat map, as engines do."""

    inputs = MemberGraph.inputs

    def __init__(self, graph: MemberGraph) -> None:
        super().__init__()
        self.doubting = _Doubting(graph.doubting.member, graph.doubting.unlikeness)
        self.mirror_images = graph.mirror_images
        self.outputs = MemberGraph.deciding(self.doubting.unlikeness is not None)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, features, *doubt = ask_mirrored(self.doubting, image, self.mirror_images)
        return torch.softmax(logits, dim=1), logits, features, *doubt


class _Doubting(nn.Module):
    """What `asked`, which runs the member once, says of an image; and how unlike it is, if that is
    measured."""

    def __init__(self, asked: Member | VisualBackProp, unlikeness: Unlikeness | None) -> None:
        super().__init__()
        self.asked, self.unlikeness = asked, unlikeness

    @property
    def member(self) -> Member:
        return self.asked if isinstance(self.asked, Member) else self.asked.net

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.unlikeness is None:
            said: tuple[torch.Tensor, ...] = self.asked(image)
            return said
        with pooled_depths(cut_trunk(self.member)) as pooled:
            said = self.asked(image)
        return *said, self.unlikeness(torch.cat(pooled, dim=1))


class ZooMeGraph(nn.Module):
    """An image, and where it was trained so what is known of the patient; no heat map."""

    decides = outputs = MemberGraph.decides

    def __init__(self, net: ZooMe) -> None:
        super().__init__()
        self.net = net
        self.inputs = ("image",) if net.gate is None else ("image", "metadata")

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> Any:
        logits, features = self.net(image, metadata)
        return torch.softmax(logits, dim=1), logits, features


class EnsembleGraph(nn.Module):
    outputs = ("probabilities",)

    def __init__(self, net: Combiner, told: int) -> None:
        """`told`: how many numbers of the patient it is given."""
        super().__init__()
        self.net = net
        self.inputs = ("members", "metadata") if told else ("members",)

    def forward(self, members: torch.Tensor, metadata: torch.Tensor | None = None) -> Any:
        return self.net(members) if metadata is None else self.net(members, metadata)


Graph = SegmenterGraph | PurifierGraph | MemberGraph | ZooMeGraph | EnsembleGraph


def to_onnx(graph: Graph, *shapes: tuple[int, ...]) -> onnx.ModelProto:
    """`shapes` are those of the inputs, without their batch."""
    samples = tuple(torch.zeros(SAMPLE_BATCH, *shape) for shape in shapes)
    batch = torch.export.Dim(BATCH, min=1)
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            samples,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple({0: batch} for _ in samples),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export gives a program unless it is given a file")
    model = program.model_proto
    _forget_the_machine(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _forget_the_machine(model: onnx.ModelProto) -> None:
    """Stack traces and doc strings hold paths and source code, and are as large as small nets."""
    model.producer_name, model.producer_version = "dermedge", version("dermedge")
    model.ir_version = IR_VERSION
    model.graph.name = "graph"
    del model.graph.value_info[:]  # follows from the rest
    for part in _parts(model):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _parts(model: onnx.ModelProto) -> Iterator[Any]:
    graph = model.graph
    together: Iterable[Any] = (*graph.node, *graph.initializer, *graph.input, *graph.output)
    yield from (model, graph, *together)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's talk about its own insides would bury what a user can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def count_parameters(net: nn.Module) -> int:
    """What was trained; running statistics are not."""
    return sum(parameter.numel() for parameter in net.parameters())
