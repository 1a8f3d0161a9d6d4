"""`dermedge infer --camera`: camera, chain and store, put together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.capture.address import Address
    from runtime.capture.button import Button
    from runtime.capture.camera import Camera
    from runtime.capture.camera_profile import Profile
    from runtime.capture.preview import Preview
    from runtime.capture.station import Station
    from runtime.capture.watch import Journal
    from runtime.store.store import Store
    from runtime.web.server import Listening


VARIABLE = "DERMEDGE_CAMERA"  # of the environment: an address, where none is given


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What --camera is given beside it, under the names of the options."""

    precision: str | None
    frames: int
    profile: Path | None
    store: Path | None
    key: Path | None
    keep_days: float | None
    keep_mb: float | None
    web: str | None
    token_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    headless: bool
    preview: bool
    button: str | None
    log: Path | None


def run_camera(source: str, bundle: LoadedBundle, backend: str, settings: CameraSettings) -> None:
    from runtime.capture import console
    from runtime.capture.camera import Camera
    from runtime.capture.camera_profile import Profile, read_profile
    from runtime.capture.loop import Loop
    from runtime.capture.memory import keep_flat
    from runtime.capture.station import Station
    from runtime.capture.watch import Journal
    from runtime.chain import open_chain
    from runtime.sessions import default_store
    from runtime.store.store import Limits, Store

    keep_flat()
    _check_window(settings.preview)
    listening = _listening(settings)
    profile = Profile() if settings.profile is None else read_profile(settings.profile)
    address = _address(source, profile, settings.headless)
    camera = Camera(address, profile)
    button = _button(settings.button, camera)
    journal = Journal(settings.log)
    limits = Limits(settings.keep_days, settings.keep_mb)
    with Store(settings.store or default_store(), settings.key, limits) as store:
        store.apply_limits()
        # The camera first: its reader starts while the engines load.
        with camera, open_chain(bundle, backend, precision=settings.precision) as chain:
            for note in chain.notes:
                click.echo(f"note: {note}", err=True)
            journal.note("started", bundle=bundle.spec.name, digest=bundle.digest)
            session = store.begin(
                {
                    "bundle": f"{bundle.spec.name} {bundle.spec.version} ({bundle.digest[:12]})",
                    "backend": chain.backend.name,
                    "camera": address.name,
                    "profile": _told(profile, address),
                }
            )
            try:
                with Loop(camera, chain) as loop:
                    station = Station(
                        loop,
                        store,
                        session,
                        address.name,
                        frames=settings.frames,
                        profile=profile,
                        journal=journal,
                    )
                    with (
                        _screen(station, listening),
                        button or nullcontext(),
                        _window(settings.preview, station) as window,
                    ):
                        console.run(station, settings.headless, button, window)
            finally:
                _end(store, session, journal)
                journal.note("ended")
                journal.close()


def _end(store: Store, session: str, journal: Journal) -> None:
    """Where it cannot be noted, the session is as one that a power cut broke off, and the next
    start goes on with it: the loop has ended in order all the same."""
    from runtime.store.database import StoreBroken

    try:
        store.end(session)
    except StoreBroken as error:
        journal.note("session not ended", why=error.got)
        click.echo(str(error), err=True)


def _address(source: str, profile: Profile, headless: bool) -> Address:
    """An address with a password has other ways in than the command's words, which all can see."""
    from runtime.capture.address import parse_address

    given = source or profile.device or os.environ.get(VARIABLE, "")
    address = parse_address(given, absent=headless)
    if source and address.has_secret:
        click.echo(
            "The address holds a password or a key, and every user of this machine can list it. "
            f"Write it into a profile (device: …, with --profile) or into {VARIABLE}.",
            err=True,
        )
    return address


def _check_window(wanted: bool) -> None:
    if wanted:
        from runtime.capture.preview import check_window

        check_window()


def _window(wanted: bool, station: Station) -> AbstractContextManager[Preview | None]:
    if not wanted:
        return nullcontext()
    from runtime.capture.preview import Preview

    return Preview(station.loop.camera, station.bundle)


def _button(given: str | None, camera: Camera) -> Button | None:
    from runtime.capture.button import parse_button

    return None if given is None else parse_button(given, lambda: _bus(camera))


def _bus(camera: Camera) -> str | None:
    """Where a camera hangs; None for those that have no button of their own."""
    from runtime.capture.v4l2 import examine

    if camera.address.kind != "v4l2":
        return None
    with suppress(OSError):
        found = examine(Path(camera.device or camera.address.where))
        if found is not None:
            return found.bus
    return camera.address.name  # it is away, and its button with it


def _told(profile: Profile, address: Address) -> dict[str, object]:
    """For the records: as the camera was set up, and no password of its address."""
    shown = profile.model_copy(update={"device": address.name})
    return shown.model_dump(mode="json", by_alias=True, exclude_none=True)


def _listening(settings: CameraSettings) -> Listening | None:
    """Checked before anything is opened."""
    if settings.web is None:
        if settings.token_file or settings.tls_cert or settings.tls_key:
            raise UsageError("A token and TLS are for a screen.", remedy="--web HOST:PORT")
        return None
    from runtime.web.server import parse_listening, read_token

    read_token(settings.token_file)
    return parse_listening(settings.web, settings.token_file, settings.tls_cert, settings.tls_key)


@contextmanager
def _screen(station: Station, listening: Listening | None) -> Iterator[None]:
    if listening is None:
        yield
        return
    from runtime.web.server import serving

    with serving(station, listening) as address:
        click.echo(f"The screen is at {address}", err=True)
        yield
