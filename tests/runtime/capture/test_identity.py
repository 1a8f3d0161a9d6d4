"""Which camera a device is, on a made-up sysfs: numbers change hands, cameras do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.capture import identity
from runtime.capture.address import Address
from runtime.capture.camera import Camera
from runtime.capture.identity import device_of, identity_of, lasting_names, located
from runtime.capture.messages import Lost, Message, Opened
from runtime.capture.source import SourceLost
from tests.runtime.capture.test_camera import QUICK
from tests.runtime.capture.waiting import until


@dataclass
class Machine:
    """What the kernel and udev make when a camera is plugged in."""

    root: Path

    def plug(self, number: int, port: str, serial: str = "", name: str = "Scope") -> Path:
        place = self.root / "sys" / "devices" / "usb1" / port
        hardware = place / f"{port}:1.0"
        node = hardware / "video4linux" / f"video{number}"
        node.mkdir(parents=True)
        for file, text in (("idVendor", "1b3f"), ("idProduct", "2002"), ("serial", serial)):
            if text:
                (place / file).write_text(text + "\n")
        (node / "name").write_text(name + "\n")
        (node / "index").write_text("0\n")
        (node / "device").symlink_to(hardware)
        (self.root / "class" / f"video{number}").symlink_to(node)
        device = self.root / "dev" / f"video{number}"
        device.write_text("")
        links = {"by-id": f"usb-{name}_{serial}-video-index0", "by-path": f"usb-{port}-index0"}
        for folder, link in links.items():
            path = self.root / "dev" / "v4l" / folder / link
            path.unlink(missing_ok=True)
            path.symlink_to(device)
        return device

    def unplug(self, device: Path) -> None:
        shutil.rmtree((self.root / "class" / device.name).resolve().parents[2])
        (self.root / "class" / device.name).unlink()
        device.unlink()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for folder in ("class", "dev/v4l/by-id", "dev/v4l/by-path"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(identity, "SYS", tmp_path / "class")
    monkeypatch.setattr(identity, "DEV", tmp_path / "dev")
    return Machine(tmp_path)


def at(device: Path) -> Address:
    return Address(kind="v4l2", where=str(device), name=str(device))


def test_one_with_a_serial_number_is_known_at_every_port(machine: Machine) -> None:
    device = machine.plug(0, "1-4", serial="A7")
    known = identity_of(device)
    assert known == "Scope, USB 1b3f:2002 serial A7, video 0"
    machine.unplug(device)
    assert identity_of(device) is None
    assert device_of(known) is None
    moved = machine.plug(3, "1-2.1", serial="A7")
    assert identity_of(moved) == known
    assert device_of(known) == moved


def test_one_without_is_known_by_its_port(machine: Machine) -> None:
    first, second = machine.plug(0, "1-4"), machine.plug(1, "1-5")
    known = identity_of(first)
    assert known == "Scope, USB 1b3f:2002 at USB port 1-4, video 0"
    assert identity_of(second) != known


def test_a_link_is_the_camera_that_it_leads_to(machine: Machine) -> None:
    device = machine.plug(2, "1-4", serial="A7")
    by_id, by_path = lasting_names(device)
    assert by_id.endswith("/v4l/by-id/usb-Scope_A7-video-index0")
    assert by_path.endswith("/v4l/by-path/usb-1-4-index0")
    assert identity_of(Path(by_id)) == identity_of(device)


def test_what_is_no_usb_camera(machine: Machine) -> None:
    node = machine.root / "sys" / "devices" / "platform" / "vi" / "video4linux" / "video0"
    node.mkdir(parents=True)
    (node / "device").symlink_to(machine.root / "sys" / "devices" / "platform" / "vi")
    (machine.root / "class" / "video0").symlink_to(node)
    known = identity_of(machine.root / "dev" / "video0")
    assert known == "at platform/vi, video 0"


def test_a_number_that_changed_hands_is_not_followed(machine: Machine) -> None:
    device = machine.plug(0, "1-4", serial="A7")
    address, known = located(at(device), None)
    assert address == at(device)
    machine.unplug(device)
    with pytest.raises(SourceLost, match="is away"):
        located(address, known)
    machine.plug(0, "1-4", serial="B1")
    with pytest.raises(SourceLost, match="is another camera now") as caught:
        located(address, known)
    assert "serial B1" in caught.value.one_line
    assert "serial A7" in caught.value.one_line
    back = machine.plug(1, "1-5", serial="A7")
    assert located(address, known) == (Address(**{**dict(address), "where": str(back)}), known)
    assert located(address, known)[0].name == str(device), "records go on with one name"


def test_without_sysfs_all_is_as_before(machine: Machine) -> None:
    address = at(machine.root / "dev" / "video0")
    assert located(address, None) == (address, None)
    other = Address(kind="synthetic", where="320x240@30", name="synthetic")
    assert located(other, "anything") == (other, None)


class Reader:
    """In place of a process: it says what the real one would, of the cameras that are there."""

    asked: list[str | None] = []
    has_ended = True

    def __init__(self, address: Address, profile: object, slots: int, known: str | None) -> None:
        self.asked.append(known)
        try:
            found, which = located(address, known)
            words: Message = Opened(what="", identity=which, device=found.where)
        except SourceLost as error:
            words = Lost(why=error.one_line)
        self._words = [words, Lost(why="unplugged")]

    def hear(self, timeout: float) -> Message:
        return self._words.pop(0)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def watching(device: Path) -> Iterator[Camera]:
    with Camera(at(device), patience=QUICK) as camera:
        yield camera


def test_a_camera_that_is_watched_stays_the_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.capture.camera.ReaderProcess", Reader)
    device = machine.plug(0, "1-4", serial="A7")
    with watching(device) as camera:
        until(lambda: camera.device == str(device), "it is not opened")
        machine.unplug(device)
        machine.plug(0, "1-4", serial="B1")
        until(lambda: "another camera now" in (camera.status.why or ""), str(camera.status))
        back = machine.plug(1, "1-5", serial="A7")
        until(lambda: camera.device == str(back), str(camera.status))
    assert set(Reader.asked[1:]) == {"Scope, USB 1b3f:2002 serial A7, video 0"}
