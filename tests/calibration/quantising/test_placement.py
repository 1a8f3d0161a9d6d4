"""Which layers get 8 bits, which do not, and how they are grouped."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from calibration.quantising.placement import MOST_GROUPS, find_sites
from tests.bundle_factory import WEIGHTS, model
from tests.bundle_factory import member as plain_member
from tests.calibration.quantising.conv_bundle import member, segmenter

SIDE = 8


def chain(shapes: dict[str, tuple[tuple[int, ...], int]], channels: int = 16) -> onnx.ModelProto:
    """Convolutions one after the other: weight name → shape and number of groups."""
    nodes, below, constants = [], "image", {}
    for number, (name, (shape, groups)) in enumerate(shapes.items()):
        constants[name] = np.ones(shape, dtype=np.float32)
        pads = [size // 2 for size in shape[2:]] * 2
        out = f"out{number}"
        nodes.append(helper.make_node("Conv", [below, name], [out], group=groups, pads=pads))
        below = out
    last = list(shapes.values())[-1][0][0]
    shapes_out = {below: (last, SIDE, SIDE)}
    return model(nodes, {"image": (channels, SIDE, SIDE)}, shapes_out, constants)


def weights(graph: onnx.ModelProto) -> list[str]:
    return [site.weight for site in find_sites(graph)]


def test_stems_heads_and_single_maps_stay_in_float() -> None:
    assert weights(segmenter()) == ["net.smooth.weight"]
    assert weights(member(1)) == [f"net.blocks.{n}.conv.weight" for n in range(3)]


@pytest.mark.parametrize(
    ("shape", "groups", "chosen"),
    [
        ((16, 16, 1, 1), 1, True),
        ((8, 16, 3, 3), 1, False),
        ((16, 1, 3, 3), 16, True),
        ((16, 1, 1, 1), 16, False),  # depthwise, but of one place only
        ((16, 4, 3, 3), 4, True),
    ],
)
def test_width_decides(shape: tuple[int, ...], groups: int, chosen: bool) -> None:
    assert bool(weights(chain({"a.weight": (shape, groups)}))) is chosen


def test_gates_behind_a_pooling_stay_in_float() -> None:
    nodes = [
        helper.make_node("Conv", ["image", "conv"], ["x"]),
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Conv", ["pooled", "squeeze"], ["few"]),
        helper.make_node("Relu", ["few"], ["on"]),
        helper.make_node("Conv", ["on", "excite"], ["gate"]),
        helper.make_node("Sigmoid", ["gate"], ["open"]),
        helper.make_node("Mul", ["x", "open"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "after"], ["out"]),
    ]
    square = np.ones((32, 32, 1, 1), dtype=np.float32)
    constants = dict.fromkeys(("conv", "squeeze", "excite", "after"), square)
    graph = model(nodes, {"image": (32, SIDE, SIDE)}, {"out": (32, SIDE, SIDE)}, constants)
    assert weights(graph) == ["conv", "after"]


def test_a_graph_without_such_a_layer_has_no_site() -> None:
    assert find_sites(plain_member(WEIGHTS["member_a"])) == []


def test_groups_are_blocks_by_name() -> None:
    names = [f"net.trunk.blocks.{block}.conv{n}.weight" for block in range(20) for n in range(3)]
    sites = find_sites(chain(dict.fromkeys(names, ((16, 16, 1, 1), 1))))
    assert [site.group for site in sites[:4]] == ["blocks.0"] * 3 + ["blocks.1"]
    assert len({site.group for site in sites}) == 20


def test_neighbours_are_grouped_where_names_say_nothing() -> None:
    names = [f"onnx::Conv_{n}" for n in range(70)]
    sites = find_sites(chain(dict.fromkeys(names, ((16, 16, 1, 1), 1))))
    groups = list(dict.fromkeys(site.group for site in sites))
    assert 1 < len(groups) <= MOST_GROUPS
    assert groups[0] == "layers 1–3"
    assert [site.group for site in sites] == sorted(
        (site.group for site in sites), key=groups.index
    )


def test_a_residual_sum_is_known_by_its_other_side() -> None:
    (last,) = (site for site in find_sites(member(1)) if site.shortcut is not None)
    assert last.key == "block2"
    assert last.shortcut == ("sum", "block1.on")
