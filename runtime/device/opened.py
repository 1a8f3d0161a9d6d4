"""A bundle's engines on the GPU: their weights once, for as many chains as run them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from runtime.backends.engine_cache import EngineCache
from runtime.backends.engine_key import key_for
from runtime.backends.fit import check_fit
from runtime.backends.registry import choose_variant, read_graph
from runtime.backends.trt_flavours import flavour
from runtime.backends.trt_plan import OpenPlan
from runtime.closing import Closing
from runtime.device.driver import Cuda
from runtime.device.kernels import Kernels
from runtime.errors import BundleError
from runtime.host_chain import models_in_use, refuse_what_no_chain_can_do
from runtime.machine import engine_folder

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.bundle_files import LoadedBundle


class OpenedBundle(Closing):
    """Close it after the chains that were made of it."""

    def __init__(
        self, bundle: LoadedBundle, backend: str, precision: str | None = None, batch: int = 1
    ) -> None:
        refuse_what_no_chain_can_do(bundle.spec)
        _refuse_classical_purification(bundle.spec)
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


def _refuse_classical_purification(spec: Bundle) -> None:
    if spec.chain.purify is not None and spec.chain.purify.only_on_host:
        raise BundleError(
            "The GPU's chain cannot do classical purification: OpenCV does that on the host.",
            got="chain.purify: classical",
            expected="a model, or no purification",
            remedy="--backend openvino, or a recipe whose purifier is a model",
        )


def largest_batch(bundle: LoadedBundle, backend: str, precision: str | None = None) -> int:
    """The most frames at once for which this machine has every engine of the chain."""
    cache, library = EngineCache(engine_folder()), flavour(backend)
    common: set[int] | None = None
    for name in models_in_use(bundle.spec):
        model = bundle.spec.models[name]
        variant = choose_variant(name, model, backend, precision)
        outputs = [output.name for output in model.outputs]
        key = partial(key_for, variant.sha256, variant.precision, library, outputs)
        found = {
            batch
            for batch in cache.batches(name, key())
            if cache.fits(name, key(batch=batch), library.portable)
        }
        common = found if common is None else common & found
    return max(common or {1})
