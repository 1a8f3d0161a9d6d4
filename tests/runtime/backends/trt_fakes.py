"""Stand-ins for TensorRT by generation: each has what its release has, no more.

A config refuses attributes that its release lacks, so a call meant for another release fails here
as it would there. Numbers of enumerations differ on purpose. Graphs are JSON: a list of layers.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

GENERATIONS = ("8.6", "10.3", "11.4", "rtx")
TYPES = ("FLOAT", "HALF", "INT8", "INT32", "BOOL", "BF16", "FP8", "INT64")
KINDS = (
    "CONVOLUTION", "MATRIX_MULTIPLY", "ACTIVATION", "SOFTMAX", "CONSTANT", "QUANTIZE", "DEQUANTIZE",
    "CAST", "SHAPE",
)  # fmt: skip


def enum(name: str, members: tuple[str, ...], start: int = 0) -> Any:
    return IntEnum(name, list(members), start=start)


class Strict:
    """An object that has only what its release has."""

    def __init__(self, has: dict[str, Any]) -> None:
        object.__setattr__(self, "_has", has)

    def __getattr__(self, name: str) -> Any:
        has = object.__getattribute__(self, "_has")
        if name not in has:
            raise AttributeError(name)
        return has[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._has:
            raise AttributeError(f"this release has no {name}")
        self._has[name] = value


def graph(*layers: tuple[str, str, str], batch: int = -1, kind: str = "FLOAT") -> bytes:
    """Layers as (name, kind, type); each reads what the one before it wrote."""
    return json.dumps({"layers": layers, "input": [batch, 3, 8, 8], "type": kind}).encode()


def plan(kind: str = "FLOAT") -> bytes:
    return b"plan of " + kind.encode()


class Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.rows, self.ports = flags, [], []

    def fill(self, content: bytes) -> None:
        described = json.loads(content)
        types = enum("DataType", TYPES)
        kinds = enum("LayerType", KINDS)
        before = SimpleNamespace(
            name="image", shape=described["input"], dtype=types[described["type"]]
        )
        self.ports = [before]
        for name, kind, precision in described["layers"]:
            made = SimpleNamespace(name=f"{name}_out", dtype=types[precision])
            self.rows.append(_layer(name, kinds[kind], before, made))
            before = made

    num_layers = property(lambda self: len(self.rows))
    num_inputs = property(lambda self: len(self.ports))

    def get_layer(self, index: int) -> Any:
        return self.rows[index]

    def get_input(self, index: int) -> Any:
        return self.ports[index]


def _layer(name: str, kind: Any, source: Any, made: Any) -> Any:
    layer = SimpleNamespace(name=name, type=kind, num_inputs=1, num_outputs=1, precision=None)
    layer.get_input = lambda index: source
    layer.get_output = lambda index: made
    layer.set_output_type = lambda index, value: setattr(layer, "output_type", value)
    return layer


class Parser:
    def __init__(self, network: Network, logger: Any) -> None:
        self.network = network
        self.num_errors = 0

    def parse(self, content: bytes) -> bool:
        if content.startswith(b"{"):
            self.network.fill(content)
            return True
        self.num_errors = 1
        return False

    def get_error(self, index: int) -> Any:
        return SimpleNamespace(desc=lambda: "no such operator")


def config_of(generation: str, made: SimpleNamespace) -> Strict:
    """Only the attributes that the release has; `made` notes what was done to it."""
    modern = generation != "8.6"
    has: dict[str, Any] = {
        "profiling_verbosity": None,
        "max_aux_streams": -1,
        "set_flag": lambda flag: made.flags.add(flag.name),
        "clear_flag": lambda flag: made.cleared.add(flag.name),
        "set_memory_pool_limit": lambda pool, size: made.pools.update({pool.name: size}),
        "create_timing_cache": lambda content: None if content == b"foreign" else content,
        "set_timing_cache": lambda cache, ignore_mismatch: made.timings.append(cache),
        "get_timing_cache": lambda: SimpleNamespace(serialize=lambda: b"timed"),
        "default_device_type": None,
        "DLA_core": -1,
    }
    if generation in ("8.6", "10.3"):
        has["int8_calibrator"] = None
    if modern:
        has["progress_monitor"] = None
    return Strict(has)


class Builder:
    """`serialised` is what a build gives; None is a refusal."""

    def __init__(self, generation: str, logger: Any, made: SimpleNamespace) -> None:
        self.generation, self.logger, self.made = generation, logger, made
        self.num_DLA_cores = 2 if generation in ("8.6", "10.3") else 0

    def create_network(self, flags: int) -> Network:
        self.made.network_flags = flags
        self.made.network = Network(flags)
        return self.made.network

    def create_builder_config(self) -> Strict:
        self.made.config = config_of(self.generation, self.made)
        return self.made.config

    def build_serialized_network(self, network: Network, config: Strict) -> bytes | None:
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building", None, 2)
            if not monitor.step_complete("Building", 0):
                return None
            monitor.phase_finish("Building")
        if self.made.refuse:
            severities = enum("Severity", ("INTERNAL_ERROR", "ERROR", "WARNING"))
            self.logger.log(severities.ERROR, "Could not find any implementation\nmore")
            return None
        return self.made.plan


def library(generation: str) -> tuple[Any, SimpleNamespace]:
    """A fake module, and the notes of what was done through it."""
    made = SimpleNamespace(
        flags=set(), cleared=set(), pools={}, timings=[], refuse=False, plan=plan()
    )
    old, rtx = generation == "8.6", generation == "rtx"
    typed, legacy = not old, generation in ("8.6", "10.3")
    flags = ("TF32", "GPU_FALLBACK", "STRIP_PLAN", "OBEY_PRECISION_CONSTRAINTS")
    flags += ("FP16", "INT8") if legacy else ()
    flags += ("REQUIRE_USER_ALLOCATION",) if rtx else ()
    batch = ("EXPLICIT_BATCH",) if legacy else ()
    version = {"rtx": "1.7.1"}.get(generation, f"{generation}.0")
    module: Any = ModuleType("tensorrt_rtx" if rtx else "tensorrt")
    module.__version__ = version
    module.ILogger = type("ILogger", (), {"__init__": lambda self: None})
    module.Builder = lambda logger: Builder(generation, logger, made)
    module.OnnxParser = Parser
    module.NetworkDefinitionCreationFlag = enum(
        "NetworkDefinitionCreationFlag", (*batch, *(("STRONGLY_TYPED",) if typed else ()))
    )
    module.BuilderFlag = enum("BuilderFlag", flags, start=GENERATIONS.index(generation))
    module.ProfilingVerbosity = enum("ProfilingVerbosity", ("NONE", "DETAILED"))
    module.MemoryPoolType = enum("MemoryPoolType", ("WORKSPACE",), start=4)
    module.DeviceType = enum("DeviceType", ("GPU", "DLA"))
    module.LayerInformationFormat = enum("LayerInformationFormat", ("ONELINE", "JSON"))
    module.ExecutionContextAllocationStrategy = enum("Strategy", ("STATIC", "USER_MANAGED"))
    module.Runtime = lambda logger: Runtime(generation)
    if not old:
        module.IProgressMonitor = type("IProgressMonitor", (), {"__init__": lambda self: None})
    if legacy:
        calibrator = type("IInt8EntropyCalibrator2", (), {"__init__": lambda self: None})
        module.IInt8EntropyCalibrator2 = calibrator
    if rtx:
        module.ComputeCapability = enum("ComputeCapability", ("NONE", "SM86"))
        reasons = ("UNSUPPORTED_CC", "MALFORMED_ENGINE")
        module.EngineInvalidityDiagnostics = IntEnum(
            "EngineInvalidityDiagnostics", {name: 1 << bit for bit, name in enumerate(reasons)}
        )
    return module, made


REPORTS = {
    "FLOAT": [{"Name": "conv", "Inputs": [{"Format/Datatype": "Row major linear FP32 format"}]}],
    "HALF": [{"Name": "conv", "Inputs": [{"Format/Datatype": "Row major linear FP16 format"}]}],
}


class Runtime:
    def __init__(self, generation: str) -> None:
        self.generation = generation
        if generation == "rtx":
            self.get_engine_validity = lambda content: (SimpleNamespace(name="INVALID"), 3)

    def deserialize_cuda_engine(self, content: bytes) -> Any:
        if not content.startswith(b"plan of "):
            return None
        kind = content.removeprefix(b"plan of ").decode()
        return engine(self.generation, kind)


def engine(generation: str, kind: str = "FLOAT", answers: bool = True) -> Strict:
    """Doubles its input. `8.5` knows bindings only; `answers` is what every call gives back."""
    types, modes = enum("DataType", TYPES), enum("TensorIOMode", ("NONE", "INPUT", "OUTPUT"))
    names = ("image", "logits")
    inspector = SimpleNamespace(
        get_engine_information=lambda form: json.dumps({"Layers": REPORTS[kind]})
    )
    has: dict[str, Any] = {"create_engine_inspector": lambda: inspector}
    if generation == "8.5":
        has |= {
            "num_bindings": 2,
            "get_binding_name": lambda index: names[index],
            "binding_is_input": lambda index: index == 0,
            "get_binding_shape": lambda index: (1, 4),
            "get_binding_dtype": lambda index: types.FLOAT,
            "get_binding_index": names.index,
        }
    else:
        has |= {
            "num_io_tensors": 2,
            "get_tensor_name": lambda index: names[index],
            "get_tensor_mode": lambda name: modes.INPUT if name == "image" else modes.OUTPUT,
            "get_tensor_shape": lambda name: (-1, 4) if name == "image" else (1, 4),
            "get_tensor_dtype": lambda name: types.FLOAT,
        }
    contexts: list[Strict] = []

    def create(strategy: Any = None) -> Strict:
        contexts.append(context(generation, answers, strategy))
        return contexts[-1]

    has |= {"create_execution_context": create, "contexts": contexts}
    return Strict(has)


def context(generation: str, answers: bool, strategy: Any) -> Strict:
    addresses: dict[str, int] = {}

    def double(source: int, target: int, stream: int) -> bool:
        put(stream, lambda: np.multiply(numbers(source), 2, out=numbers(target)))
        return answers

    has: dict[str, Any] = {"strategy": strategy, "addresses": addresses}
    if generation == "8.5":
        has["set_binding_shape"] = lambda index, shape: answers
        has["execute_async_v2"] = lambda bindings, stream: double(*bindings, stream)
    else:
        has["set_input_shape"] = lambda name, shape: answers
        has["set_tensor_address"] = lambda name, at: not addresses.update({name: at}) and answers
        has["execute_async_v3"] = lambda stream: double(
            addresses["image"], addresses["logits"], stream
        )
    return Strict(has)


def put(stream: int, work: Callable[[], None]) -> None:
    """Where an engine's work goes: tests set the simulated GPU's own in its place."""
    work()


def numbers(address: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_float * 4).from_address(address))
