"""Where a trunk's first weights come from: a model hub, a local file, or nowhere.

No hub in reach is a normal place to be (a hospital, a train, a build machine), so `train`
asks before it trains anything, and ends with the two ways out instead of minutes of retries.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from torch import nn

from runtime.errors import InputError, UsageError
from train.models.trunks import OWN_TRUNKS

HUB_TIMEOUT_S = 3.0


def parse_weights(options: tuple[str, ...], backbones: set[str]) -> dict[str, Path]:
    """`--weights FILE` where the recipe has one backbone, `--weights BACKBONE=FILE` else."""
    chosen: dict[str, Path] = {}
    trunks = sorted(backbones - OWN_TRUNKS.keys())
    for option in options:
        backbone, file = option.split("=", 1) if "=" in option else ("", option)
        if not backbone:
            if len(trunks) != 1:
                raise UsageError(
                    "--weights does not say which backbone the file is for.",
                    got=option,
                    expected=f"BACKBONE=FILE with one of {', '.join(trunks)}",
                )
            backbone = trunks[0]
        if backbone not in trunks:
            raise UsageError(
                "--weights names a backbone that the recipe does not use.",
                got=backbone,
                expected=", ".join(trunks),
            )
        if not Path(file).is_file():
            raise UsageError("The weights file does not exist.", got=file)
        chosen[backbone] = Path(file)
    return chosen


@contextmanager
def hub_access(backbone: str, *, wanted: bool) -> Iterator[None]:
    """Turn a hub that cannot be reached into an error that names the two ways out."""
    if not wanted:
        yield
        return
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if not _reachable(constants.ENDPOINT):  # cached files still load; no retries for the others
        constants.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        raise UsageError(
            f"ImageNet weights for {backbone} cannot be fetched: the model hub does not answer.",
            got=type(exc).__name__,
            expected=f"{constants.ENDPOINT} reachable, or the file in the hub's cache",
            remedy="--weights FILE (a state dict in safetensors format), or --no-pretrained to "
            "start from random weights",
        ) from exc


def _reachable(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    proxy = None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)
    if proxy:  # then only the proxy can be asked
        url = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    try:
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        socket.create_connection(address, timeout=HUB_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def load_trunk(trunk: nn.Module, file: Path) -> None:
    """Fill a trunk from a backbone's state dict. Every tensor of the trunk must be in the file.

    The file may hold more (a head, stages behind the cut). Names are compared behind the prefixes
    that our wrappers put before the backbone's own.
    """
    from safetensors.torch import load_file

    try:
        stored = load_file(file)
    except Exception as exc:  # safetensors has no error class of its own to name
        raise InputError(
            "The weights file is not in safetensors format.", got=f"{file}: {exc}"
        ) from exc
    wanted = trunk.state_dict()
    found = {_plain(name): tensor for name, tensor in stored.items()}
    renamed = {name: name.removeprefix("net.").removeprefix("model.") for name in wanted}
    missing = [
        own for own in renamed.values() if _plain(own) not in found and "num_batches" not in own
    ]
    if missing:
        raise InputError(
            f"{file} does not hold this backbone.",
            got=f"{len(missing)} of {len(wanted)} tensors missing, the first {missing[0]!r}",
            remedy="Use a file saved from the same timm backbone.",
        )
    try:
        trunk.load_state_dict(
            {name: found.get(_plain(own), wanted[name]) for name, own in renamed.items()}
        )
    except RuntimeError as exc:
        raise InputError(f"{file} has tensors of other shapes.", got=exc) from exc


def _plain(name: str) -> str:
    """timm joins names with an underscore where it takes a network's stages out of their parent."""
    return name.replace(".", "_")
