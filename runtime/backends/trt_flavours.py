"""TensorRT 8.6, 10 and 11 and TensorRT-RTX, behind one set of calls.

Every difference between them stands in this file and is found out by asking an object what it has,
never by comparing version numbers: a release that gains or loses something is then right at once.
Nothing here decides anything about engines; runtime/backends/trt_builder.py and trt_engine.py do.

Numbers of enumerations differ between releases, so they are always looked up by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime.errors import BackendError, missing_extra

if TYPE_CHECKING:
    from types import ModuleType

    from runtime.backends.engine_key import BuildSettings

Sink = Callable[[str, str], None]
"""Told the severity and the text of every message of the library."""

NAMES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
EXTRAS = {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    is_input: bool
    shape: tuple[int, ...]
    kind: str  # FLOAT, HALF, …


class Flavour:
    """One imported library, and how each thing is done with it."""

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.module = module
        self.version = str(module.__version__)

    @property
    def title(self) -> str:
        return f"{NAMES.get(self.name, self.name)} {self.version}"

    @property
    def portable(self) -> bool:
        """Whether a plan is compiled for families of GPUs, and finished where it is loaded."""
        return hasattr(self.module, "ComputeCapability")

    @property
    def strongly_typed(self) -> bool:
        return hasattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    @property
    def calibrates(self) -> bool:
        """Whether ranges can be handed over beside the graph, as DLA needs them."""
        return hasattr(self.module, "IInt8EntropyCalibrator2")

    # Building

    def logger(self, sink: Sink) -> Any:
        base = self.module.ILogger

        class Log(base):  # type: ignore[misc, valid-type]
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, text: str) -> None:
                sink(_last(severity), text)

        return Log()

    def builder(self, logger: Any) -> Any:
        try:
            made = self.module.Builder(logger)
        except (RuntimeError, TypeError) as exc:  # without a driver, pybind has nothing to return
            raise BackendError(
                f"{self.title} cannot build engines here.",
                got=str(exc).splitlines()[0],
                expected="an NVIDIA GPU with its driver",
                remedy="build on the machine that will run it; dermedge doctor says what it has",
            ) from exc
        return made

    def network(self, builder: Any, typed: bool = True) -> Any:
        flags = self.module.NetworkDefinitionCreationFlag
        wanted = ["EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if typed else [])]
        bits = 0
        for name in wanted:
            if hasattr(flags, name):
                bits |= 1 << int(getattr(flags, name))
        return builder.create_network(bits)

    def parse(self, network: Any, logger: Any, content: bytes) -> list[str]:
        """What the parser objects to; nothing where it took the graph."""
        parser = self.module.OnnxParser(network, logger)
        if parser.parse(content):
            return []
        found = [_parser_error(parser.get_error(n)) for n in range(parser.num_errors)]
        return found or ["it gave no reason"]

    def configure(self, config: Any, settings: BuildSettings) -> None:
        flags = self.module.BuilderFlag
        config.profiling_verbosity = self.module.ProfilingVerbosity.DETAILED
        if hasattr(flags, "TF32") and not settings.tf32:
            config.clear_flag(flags.TF32)
        if settings.workspace_mib is not None:
            pool = self.module.MemoryPoolType.WORKSPACE
            config.set_memory_pool_limit(pool, settings.workspace_mib << 20)
        if hasattr(config, "max_aux_streams"):
            config.max_aux_streams = 0  # what runs side by side does so on streams of ours
        if hasattr(flags, "REQUIRE_USER_ALLOCATION"):
            config.set_flag(flags.REQUIRE_USER_ALLOCATION)  # an engine that allocates is no graph

    def constrain_types(self, config: Any, network: Any) -> None:
        """What strong typing does by itself, for a TensorRT that has none.

        Each layer is held to the type that the graph gives it: allowing 16 bits alone would leave
        the choice to whatever is faster.
        """
        flags = self.module.BuilderFlag
        config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)
        half, quantised = False, False
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            kind = _last(layer.type)
            quantised |= kind in ("QUANTIZE", "DEQUANTIZE")
            if kind in ("CONSTANT", "SHAPE", "QUANTIZE", "DEQUANTIZE") or not layer.num_outputs:
                continue
            tensor = layer.get_output(0)
            if tensor is not None and _last(tensor.dtype) in ("FLOAT", "HALF"):
                half |= _last(tensor.dtype) == "HALF"
                layer.set_output_type(0, tensor.dtype)
                layer.precision = tensor.dtype
        for name, needed in (("FP16", half), ("INT8", quantised)):
            if needed and hasattr(flags, name):
                config.set_flag(getattr(flags, name))

    def use_dla(self, config: Any, core: int, ranges: bytes | None) -> None:
        """The deep-learning accelerator; what it cannot run goes to the GPU."""
        flags = self.module.BuilderFlag
        config.default_device_type = self.module.DeviceType.DLA
        config.DLA_core = core
        config.set_flag(flags.GPU_FALLBACK)
        config.set_flag(flags.FP16)
        if ranges is not None:
            config.set_flag(flags.INT8)
            config.int8_calibrator = self._calibrator(ranges)

    def _calibrator(self, ranges: bytes) -> Any:
        base = self.module.IInt8EntropyCalibrator2

        class Ranges(base):  # type: ignore[misc, valid-type]
            """Hands over ranges that were found before: it has no images to find any with."""

            def __init__(self) -> None:
                base.__init__(self)

            def get_batch_size(self) -> int:
                return 1

            def get_batch(self, names: list[str]) -> None:
                return None

            def read_calibration_cache(self) -> bytes:
                return ranges

            def write_calibration_cache(self, cache: bytes) -> None:
                pass

        return Ranges()

    def watch(self, config: Any, step: Callable[[str, float], bool]) -> Any:
        """Have `step` told each phase and the share of it that is done; False stops the build.

        The monitor must outlive the build: keep what is returned.
        """
        if not hasattr(config, "progress_monitor"):
            return None
        base = self.module.IProgressMonitor

        class Monitor(base):  # type: ignore[misc, valid-type]
            def __init__(self) -> None:
                base.__init__(self)
                self.steps: dict[str, int] = {}

            def phase_start(self, name: str, parent: str | None, steps: int) -> None:
                self.steps[name] = steps

            def step_complete(self, name: str, done: int) -> bool:
                return step(name, (done + 1) / max(self.steps.get(name, 1), 1))

            def phase_finish(self, name: str) -> None:
                self.steps.pop(name, None)

        config.progress_monitor = Monitor()
        return config.progress_monitor

    @property
    def times_tactics(self) -> bool:
        """TensorRT-RTX still has the timing cache's calls, which do nothing but warn."""
        return not self.portable

    def give_timings(self, config: Any, content: bytes) -> None:
        """A cache that does not fit this library or GPU is not taken; then none is."""
        if not self.times_tactics:
            return
        cache = config.create_timing_cache(content) or config.create_timing_cache(b"")
        if cache is not None:
            config.set_timing_cache(cache, ignore_mismatch=False)

    def take_timings(self, config: Any) -> bytes | None:
        cache = config.get_timing_cache() if self.times_tactics else None
        return None if cache is None else bytes(cache.serialize())

    # Running

    def deserialise(self, runtime: Any, plan: bytes) -> Any:
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is not None:
            return engine
        got = None
        if hasattr(runtime, "get_engine_validity"):
            validity, why = runtime.get_engine_validity(plan)
            got = f"{_last(validity)}, {_diagnostics(self.module, why)}"
        raise BackendError(
            f"{self.title} cannot load a plan from the cache.",
            got=got or "nothing was made of it",
            remedy="dermedge build --force  (with the same --bundle)",
        )

    def tensors(self, engine: Any) -> list[Tensor]:
        if hasattr(engine, "num_io_tensors"):
            names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
            return [
                Tensor(
                    name,
                    _last(engine.get_tensor_mode(name)) == "INPUT",
                    tuple(engine.get_tensor_shape(name)),
                    _last(engine.get_tensor_dtype(name)),
                )
                for name in names
            ]
        return [
            Tensor(
                engine.get_binding_name(index),
                bool(engine.binding_is_input(index)),
                tuple(engine.get_binding_shape(index)),
                _last(engine.get_binding_dtype(index)),
            )
            for index in range(engine.num_bindings)
        ]

    def fix_shape(self, context: Any, engine: Any, name: str, shape: tuple[int, ...]) -> bool:
        if hasattr(context, "set_input_shape"):
            return context.set_input_shape(name, shape) is not False
        index = engine.get_binding_index(name)
        return context.set_binding_shape(index, shape) is not False

    def bind(self, context: Any, addresses: Mapping[str, int]) -> bool:
        """Where every tensor is. Older ones are told at each run instead."""
        if not hasattr(context, "set_tensor_address"):
            return True
        return all(
            context.set_tensor_address(name, address) is not False
            for name, address in addresses.items()
        )

    def enqueue(self, context: Any, engine: Any, addresses: Mapping[str, int], stream: int) -> bool:
        if hasattr(context, "execute_async_v3"):
            return bool(context.execute_async_v3(stream))
        ordered = [0] * engine.num_bindings
        for name, address in addresses.items():
            ordered[engine.get_binding_index(name)] = address
        return bool(context.execute_async_v2(ordered, stream))

    def capturable(self, context: Any, stream: int) -> bool:
        """Whether a run can become part of a graph, where the library knows beforehand."""
        ask = getattr(context, "is_stream_capturable", None)
        return ask is None or bool(ask(stream))

    def inspect(self, engine: Any) -> dict[str, Any]:
        """The engine's own account of its layers."""
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(self.module.LayerInformationFormat.JSON)
        try:
            found = json.loads(text)
        except (TypeError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


@cache
def flavour(name: str) -> Flavour:
    """The library, imported. Both read the same graphs and never each other's plans."""
    try:
        library: ModuleType = import_module(name)
    except ImportError as exc:
        error = missing_extra(name, EXTRAS[name], f"The backend '{name}'")
        if name == "tensorrt":
            error.remedy = "on a Jetson make the venv with --system-site-packages; elsewhere " + (
                "pip install tensorrt, of the CUDA version that the driver has"
            )
        raise error from exc
    return Flavour(name, library)


def type_name(value: Any) -> str:
    """`DataType.HALF` as HALF: how a value of an enumeration is called in every release."""
    return _last(value)


def _last(value: Any) -> str:
    return str(getattr(value, "name", value)).rpartition(".")[2]


def _parser_error(error: Any) -> str:
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    where = f"'{name}' ({operator}): " if name and operator else ""
    return where + error.desc().strip()


def _diagnostics(library: Any, bits: int) -> str:
    """RTX's reasons are bits, whose numbers are looked up as all others are."""
    kinds = getattr(library, "EngineInvalidityDiagnostics", None)
    members = getattr(kinds, "__members__", {})
    names = [name for name, value in members.items() if int(value) & int(bits)]
    return " and ".join(names).lower().replace("_", " ") or "without a reason"
