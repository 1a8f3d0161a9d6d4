"""A bundle's engines on the GPU: their weights once, for as many chains as run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.backends.engine_cache import EngineCache
from runtime.backends.fit import check_fit
from runtime.backends.registry import read_graph
from runtime.backends.trt_flavours import flavour
from runtime.backends.trt_plan import OpenPlan, plan_key
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.host_chain import models_in_use, refuse_what_no_chain_can_do
from runtime.machine import engine_folder

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from runtime.bundle_files import LoadedBundle


class OpenedBundle:
    """Close it after the chains that were made of it."""

    def __init__(
        self, bundle: LoadedBundle, backend: str, precision: str | None = None, batch: int = 1
    ) -> None:
        refuse_what_no_chain_can_do(bundle.spec)
        self.bundle, self.backend, self.precision, self.batch = bundle, backend, precision, batch
        self.cuda = Cuda()
        self.plans: dict[str, OpenPlan] = {}
        try:
            with self.cuda.current():
                self.kernels = Kernels(self.cuda)
                for name in models_in_use(bundle.spec):
                    self.plans[name] = self._open(name)
            check_fit(bundle.spec, self.plans)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> OpenPlan:
        spec = self.bundle.spec
        graph = read_graph(
            self.backend, self.bundle.path, name, spec.models[name],
            precision=self.precision, classes=len(spec.classes),
        )  # fmt: skip
        plan = OpenPlan(graph, self.backend, self.batch)
        images = [item.name for item in spec.models[name].inputs if item.kind == "image"]
        plan.require_floats(images)
        return plan

    def close(self) -> None:
        with self.cuda.current():
            for plan in self.plans.values():
                plan.close()
        self.plans.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def largest_batch(bundle: LoadedBundle, backend: str, precision: str | None = None) -> int:
    """The most frames at once for which this machine has every engine of the chain."""
    cache, library = EngineCache(engine_folder()), flavour(backend)
    common: set[int] | None = None
    for name in models_in_use(bundle.spec):
        graph = read_graph(
            backend, bundle.path, name, bundle.spec.models[name], precision=precision
        )
        found = {
            batch
            for batch in cache.batches(name, plan_key(graph, library, 1))
            if cache.fits(name, plan_key(graph, library, batch), library.portable)
        }
        common = found if common is None else common & found
    return max(common or {1})
