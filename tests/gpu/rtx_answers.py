"""What TensorRT-RTX answers on this GPU, asked directly: python -m tests.gpu.rtx_answers

`dermedge` refuses a plan on a GPU that TensorRT-RTX does not compile for unasked. Whether it would
run there all the same, and what the library says if not, is what this prints.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from runtime.backends.trt_builder import Order, build_plan
from runtime.backends.trt_flavours import flavour
from runtime.device.driver import Cuda
from tests.bundle_factory import WEIGHTS, member


@click.command()
def main() -> None:
    cuda = Cuda()
    library = flavour("tensorrt_rtx")
    print(f"{library.title} on {cuda.name}, compute capability {cuda.capability}")
    graph = member(WEIGHTS["member_a"])
    content = graph.SerializeToString()
    outputs = ("probabilities",)
    made = build_plan(library, Order("member.onnx", content, "fp32", outputs=outputs))
    print(f"built: {len(made.plan)} bytes")
    logger = library.logger(lambda severity, text: print(f"  {severity}: {text}"))
    with cuda.current():
        runtime = library.module.Runtime(logger)
        if hasattr(runtime, "get_engine_validity"):
            print("validity:", runtime.get_engine_validity(made.plan))
        engine = runtime.deserialize_cuda_engine(made.plan)
        print("deserialised:", engine is not None)
        if engine is not None:
            _run(cuda, library, engine)


def _run(cuda: Cuda, library: Any, engine: Any) -> None:
    context, stream = engine.create_execution_context(), cuda.stream()
    print("context:", context is not None)
    if context is None:
        return
    tensors = library.tensors(engine)
    memory = {t.name: cuda.allocate(4 * int(np.prod(t.shape))) for t in tensors}
    for tensor in tensors:
        if tensor.is_input:
            library.fix_shape(context, engine, tensor.name, tensor.shape)
    library.bind(context, {name: int(room) for name, room in memory.items()})
    print("capturable:", library.capturable(context, int(stream.handle)))
    print("enqueued:", library.enqueue(context, engine, {}, int(stream.handle)))
    cuda.synchronize(stream)
    with cuda.capturing(stream) as captured:
        print("enqueued in a capture:", library.enqueue(context, engine, {}, int(stream.handle)))
    cuda.start(captured[0], stream)
    cuda.synchronize(stream)
    print("ran as a graph")


if __name__ == "__main__":
    main()
