"""One ONNX graph into one plan: parsed, typed as the graph is, for one batch, and checked.

The same steps for every TensorRT; how each is done with which release stands in trt_flavours.py.
The precision lies in the graph, so nothing is chosen here: a network is built as it is typed.
Accelerator cores (DLA) are the exception, on the releases that have them: they take ranges beside
the graph and are told what types they may use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.backends.engine_key import BuildSettings, CheckedOn
from runtime.backends.layer_precision import (
    Layer,
    check_engine,
    check_network,
    layers_of,
    multiplying,
    reported,
)
from runtime.backends.trt_flavours import Flavour, type_name
from runtime.errors import BackendError

Step = Callable[[str, float], bool]
"""Told a phase and its share that is done; False stops the build."""

SERIOUS = ("ERROR", "INTERNAL_ERROR")
GIVEN = ("FLOAT", "HALF")  # what the kernels can make an image of


@dataclass(frozen=True, slots=True)
class Order:
    """What to build."""

    file: str  # for messages
    content: bytes
    precision: str
    settings: BuildSettings = field(default_factory=BuildSettings)
    ranges: bytes | None = None  # an INT8 calibration cache, for DLA
    timings: bytes = b""
    outputs: tuple[str, ...] = ()  # to build, of those in the file; none named: all
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Made:
    plan: bytes
    layers: list[Layer]
    timings: bytes | None
    checked_on: CheckedOn  # the engine, where the builder tells enough of its layers


@dataclass
class Log:
    """The library's messages: errors for ours, and its account of the layers it made."""

    errors: list[str] = field(default_factory=list)
    layers: str = ""

    def __call__(self, severity: str, text: str) -> None:
        if severity in SERIOUS:
            self.errors.append(text)
        elif text.startswith("Layers:"):
            self.layers = text


def build_plan(flavour: Flavour, order: Order, step: Step = lambda phase, share: True) -> Made:
    log = Log()
    logger = flavour.logger(log)
    builder = flavour.builder(logger)
    on_dla = order.settings.dla is not None
    if on_dla:
        _refuse_without_dla(flavour, builder, order)
    network = flavour.network(builder, typed=not on_dla)
    _parse(flavour, network, logger, order, log)
    _drop_unasked(network, order)
    _fix_batch(network, order)
    layers = layers_of(network)
    if not on_dla:
        check_network(order.file, order.precision, layers)
    config = builder.create_builder_config()
    flavour.configure(config, order.settings)
    if order.settings.dla is not None:
        flavour.use_dla(config, order.settings.dla, order.ranges)
    elif not flavour.strongly_typed:
        flavour.constrain_types(config, network)
    flavour.give_timings(config, order.timings)
    monitor = flavour.watch(config, step)  # held until the build is over
    serialised = builder.build_serialized_network(network, config)
    del monitor
    if serialised is None:
        raise _refused(flavour, "build", order.file, log.errors)
    built = reported(log.layers)
    checked_on: CheckedOn = "nothing" if on_dla else "network"
    if built and not on_dla:
        typed = multiplying(layers)
        if check_engine(order.file, order.precision, typed, built):
            checked_on = "engine"
    return Made(
        plan=bytes(serialised),
        layers=layers,
        timings=flavour.take_timings(config),
        checked_on=checked_on,
    )


def _parse(flavour: Flavour, network: Any, logger: Any, order: Order, log: Log) -> None:
    problems = flavour.parse(network, logger, order.content)
    if not problems and network.num_layers == 0:  # an empty file is a graph, to the parser
        problems = ["there is no layer in it"]
    if problems:
        raise _refused(flavour, "parse", order.file, problems + log.errors)
    for index in range(network.num_inputs):
        port = network.get_input(index)
        if type_name(port.dtype) not in GIVEN:
            raise BackendError(
                f"{order.file} takes another type than the chain gives.",
                got=f"{type_name(port.dtype)} for '{port.name}'",
                expected=" or ".join(GIVEN).lower(),
                remedy="export the bundle again",
            )


def _drop_unasked(network: Any, order: Order) -> None:
    if not order.outputs:
        return
    every = [network.get_output(index) for index in range(network.num_outputs)]
    if missing := set(order.outputs) - {port.name for port in every}:
        raise BackendError(
            f"{order.file} lacks an output that the bundle describes.",
            got=", ".join(port.name for port in every),
            expected=", ".join(sorted(missing)),
            remedy="export the bundle again",
        )
    for port in every:
        if port.name not in order.outputs:
            network.unmark_output(port)


def _fix_batch(network: Any, order: Order) -> None:
    """Every size is fixed in the network itself: what is known is what can be planned for, and an
    engine without open sizes needs no profile, of which each context would want one of its own."""
    for index in range(network.num_inputs):
        port = network.get_input(index)
        shape = tuple(int(size) for size in port.shape)
        batched = bool(shape) and shape[0] in (-1, order.batch)
        fixed = (order.batch, *shape[1:]) if batched else shape
        if any(size < 1 for size in fixed) or not (batched or order.batch == 1):
            raise BackendError(
                f"{order.file} leaves other sizes open than the batch."
                if batched
                else f"{order.file} is for a batch of its own.",
                got=f"'{port.name}' {shape}",
                expected="fixed sizes but for the first, which is open",
                remedy="export the bundle again",
            )
        port.shape = fixed


def _refused(flavour: Flavour, verb: str, file: str, problems: list[str]) -> BackendError:
    told = [_readable(text) for text in problems]
    return BackendError(
        f"{flavour.title} cannot {verb} {file}.",
        got="\n       ".join(dict.fromkeys(told)) or "no reason was given",
        expected="operators and types that it knows, and enough memory to build with",
        remedy="--workspace MIB where memory ran out; else run this model on --backend openvino",
    )


def _readable(text: str) -> str:
    """Without the place in the vendor's sources, which tells a reader nothing."""
    text = re.sub(r"\(In \w+ at [^\s)]+(:\d+)?\s*", "(", text.strip())
    return text.splitlines()[0][:400] if text else ""


def _refuse_without_dla(flavour: Flavour, builder: Any, order: Order) -> None:
    core = order.settings.dla or 0
    if not flavour.calibrates:
        raise BackendError(
            f"{flavour.title} builds nothing for DLA from a graph and its ranges.",
            expected="TensorRT 8.6 or 10 on a board that has DLA",
            remedy="leave --dla out",
        )
    cores = int(getattr(builder, "num_DLA_cores", 0))
    if core >= cores:
        raise BackendError(
            "There is no such DLA core.",
            got=f"--dla {core}",
            expected=f"0 to {cores - 1}" if cores else "a board that has DLA",
            remedy="leave --dla out",
        )
    if order.precision == "int8" and order.ranges is None:
        raise BackendError(
            f"DLA needs the ranges of {order.file} beside it to run it in INT8.",
            expected="an INT8 calibration cache of TensorRT's",
            remedy="--calibration FOLDER with MODEL.cache in it, or --precision fp16",
        )
