"""`dermedge infer --camera`: camera, chain and store, put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What --camera is given beside it, under the names of the options."""

    frames: int
    profile: Path | None
    store: Path | None
    key: Path | None
    keep_days: float | None
    keep_mb: float | None


def run_camera(source: str, bundle: LoadedBundle, backend: str, settings: CameraSettings) -> None:
    from runtime.capture import console
    from runtime.capture.address import parse_address
    from runtime.capture.camera import Camera
    from runtime.capture.camera_profile import Profile, read_profile
    from runtime.capture.keeping import Keeper
    from runtime.capture.loop import Loop
    from runtime.chain import open_chain
    from runtime.sessions import default_store
    from runtime.store.store import Limits, Store

    profile = Profile() if settings.profile is None else read_profile(settings.profile)
    address = parse_address(source or profile.device)
    limits = Limits(settings.keep_days, settings.keep_mb)
    with Store(settings.store or default_store(), settings.key, limits) as store:
        store.apply_limits()
        with open_chain(bundle, backend) as chain, Camera(address, profile) as camera:
            session = store.begin(
                {
                    "bundle": f"{bundle.spec.name} {bundle.spec.version} ({bundle.digest[:12]})",
                    "backend": chain.backend.name,
                    "camera": address.name,
                    "profile": profile.model_dump(mode="json", by_alias=True, exclude_none=True),
                }
            )
            try:
                with Loop(camera, chain) as loop:
                    console.run(loop, Keeper(store, session, address.name), settings.frames)
            finally:
                store.end(session)
