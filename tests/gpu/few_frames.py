"""A few frames through the GPU's chain, for a tool that watches: BUNDLE BACKEND."""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.bundle_files import load_bundle
from runtime.device.device_chain import DeviceChain
from runtime.device.opened import OpenedBundle
from tests.bundle_factory import picture


def main(folder: str, backend: str) -> None:
    bundle = load_bundle(Path(folder))
    with OpenedBundle(bundle, backend) as opened, DeviceChain(opened) as chain:
        for shape in ((120, 160), (300, 200), (48, 640)):
            result = chain.process(picture(*shape))
            assert result.status != "error", result.reason


if __name__ == "__main__":
    main(*sys.argv[1:])
