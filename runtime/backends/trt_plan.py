"""A compiled engine on the GPU: its weights once, and a context for each that runs at a time.

Nothing is compiled here. A plan is taken from the cache or refused; what it says of its layers is
compared with what was asked for as soon as a GPU has loaded it. Every status is checked: a call
that says False has computed nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from runtime.backends.base import Graph, Shape, at_batch_one
from runtime.backends.trt_flavours import Flavour, Tensor, flavour
from runtime.errors import BackendError

if TYPE_CHECKING:
    from runtime.backends.engine_key import EngineKey, PlanRecord

REBUILD = "dermedge build --force  (with the same --bundle and --backend)"


class OpenPlan:
    """Make and close it where the GPU's context is current."""

    def __init__(self, graph: Graph, backend: str, batch: int = 1) -> None:
        from runtime.backends.engine_cache import EngineCache
        from runtime.machine import engine_folder

        self.name = graph.name
        self.library = flavour(backend)
        key = plan_key(graph, self.library, batch)
        plan, record = EngineCache(engine_folder()).load(graph.name, key, self.library.portable)
        # On DLA int8 comes from a float file and its ranges.
        self.precision = "int8" if record.key.settings.ranges is not None else graph.precision
        self.device = key.home.gpu
        self._log: list[str] = []
        self._logger = self.library.logger(self._note)
        self._runtime = self.library.module.Runtime(self._logger)
        if record.key.settings.dla is not None:
            self._runtime.DLA_core = record.key.settings.dla
        self.engine = self.library.deserialise(self._runtime, plan)
        self._check_precision(graph, record)
        self.batch = batch
        self.tensors = {tensor.name: tensor for tensor in self.library.tensors(self.engine)}
        shapes = {name: _of_one_frame(t, batch) for name, t in self.tensors.items()}
        self.inputs = {name: shapes[name] for name, t in self.tensors.items() if t.is_input}
        self.outputs = {name: shapes[name] for name, t in self.tensors.items() if not t.is_input}

    def _note(self, severity: str, text: str) -> None:
        if severity in ("ERROR", "INTERNAL_ERROR"):
            self._log = [*self._log[-4:], text]

    def _check_precision(self, graph: Graph, record: PlanRecord) -> None:
        from runtime.backends.layer_precision import check_engine, inspected

        if record.key.settings.dla is None:
            built = inspected(self.library.inspect(self.engine))
            check_engine(graph.file, graph.precision, record.multiplying, built)

    def require_floats(self, halves: Collection[str] = ()) -> None:
        """That its tensors are float32 of fixed shapes; those in `halves` may be float16."""
        for name, tensor in self.tensors.items():
            shape = (self.inputs if tensor.is_input else self.outputs)[name]
            allowed = ("FLOAT", "HALF") if name in halves else ("FLOAT",)
            if tensor.kind not in allowed or any(size < 1 for size in shape):
                raise BackendError(
                    f"The engine of '{self.name}' has a tensor that the chain cannot use.",
                    got=f"'{name}': {tensor.kind} {shape}",
                    expected=f"{' or '.join(allowed).lower()}, of a fixed shape",
                    remedy="export the bundle again",
                )

    def context(self) -> PlanContext:
        return PlanContext(self)

    def refusal(self, what: str) -> BackendError:
        return BackendError(
            f"{self.library.title} refused {what}, for '{self.name}'.",
            got=self._log[-1] if self._log else "no reason was given",
            remedy=REBUILD,
        )

    def close(self) -> None:
        # In this order: each of them needs the next one to go.
        del self.engine, self._runtime


class PlanContext:
    """One run at a time, on tensors that stay where they are."""

    def __init__(self, plan: OpenPlan) -> None:
        self._plan = plan
        self._context = plan.engine.create_execution_context()
        self._addresses: dict[str, int] = {}
        if self._context is None:
            raise BackendError(
                "TensorRT could not make a context.",
                expected="enough free memory on the GPU",
                remedy="end what else uses the GPU; dermedge doctor says how much memory there is",
            )

    def bind(self, addresses: Mapping[str, int]) -> None:
        plan, library = self._plan, self._plan.library
        for name, shape in plan.inputs.items():
            shape = shape if plan.batch == 1 else (plan.batch, *shape[1:])
            if not library.fix_shape(self._context, plan.engine, name, shape):
                raise plan.refusal(f"the shape of '{name}'")
        self._addresses = dict(addresses)
        if not library.bind(self._context, self._addresses):
            raise plan.refusal("the addresses of its inputs and outputs")

    def capturable(self, stream: Any) -> bool:
        return self._plan.library.capturable(self._context, int(stream.handle))

    def enqueue(self, stream: Any) -> None:
        plan, handle = self._plan, int(stream.handle)
        if not plan.library.enqueue(self._context, plan.engine, self._addresses, handle):
            raise plan.refusal("to run")


def _of_one_frame(tensor: Tensor, batch: int) -> Shape:
    fixed = at_batch_one([None if size < 0 else size for size in tensor.shape])
    return fixed if batch == 1 else (1, *fixed[1:])


def plan_key(graph: Graph, library: Flavour, batch: int) -> EngineKey:
    from hashlib import sha256

    from runtime.backends.engine_key import key_for

    digest = sha256(graph.content).hexdigest()
    outputs = (output.name for output in graph.spec.outputs)
    return key_for(digest, graph.precision, library, outputs, batch=batch)
