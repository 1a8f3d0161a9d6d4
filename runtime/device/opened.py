"""A bundle's engines on the GPU: their weights once, for as many chains as run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.backends.engine_cache import EngineCache
from runtime.backends.fit import check_fit
from runtime.backends.registry import choose_variant, read_graph
from runtime.backends.trt_plan import OpenPlan
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.host_chain import models_in_use, refuse_what_no_chain_can_do
from runtime.machine import engine_folder

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from runtime.bundle_files import LoadedBundle

INPUTS, OUTPUTS = ("FLOAT", "HALF"), ("FLOAT",)


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
        plan.require_kinds(INPUTS, OUTPUTS)
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
    """The most frames at once for which every engine of the chain has been built."""
    cache, common = EngineCache(engine_folder()), None
    for name in models_in_use(bundle.spec):
        variant = choose_variant(name, bundle.spec.models[name], backend, precision)
        found = cache.batches(name, variant.sha256, backend)
        common = found if common is None else common & found
    return max(common or {1})
