"""The loop on a tiny bundle with real engines: what it looks at, what it judges, what it counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.bundle_files import LoadedBundle, fields_of, seal
from runtime.capture.address import parse_address
from runtime.capture.camera import Camera
from runtime.capture.counts import Counts
from runtime.capture.fusing import Judged, fuse
from runtime.capture.loop import Loop, NotCaptured
from runtime.capture.station import metadata_of
from runtime.chain import open_chain
from runtime.errors import InputError
from tests.bundle_factory import bundle_fields, make_bundle, operating_point, picture
from tests.runtime.capture.mjpeg_server import NetworkCamera, network_camera
from tests.runtime.capture.test_camera import QUICK
from tests.runtime.capture.waiting import PATIENT_SECONDS, until

THRESHOLD = 0.2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    return make_bundle(tmp_path_factory.mktemp("loop") / "B")


@contextmanager
def running(bundle: LoadedBundle, source: str) -> Iterator[Loop]:
    with (
        open_chain(bundle, "openvino") as chain,
        Camera(parse_address(source), patience=QUICK) as camera,
        Loop(camera, chain) as loop,
    ):
        yield loop


@pytest.fixture
def served() -> Iterator[NetworkCamera]:
    with network_camera() as camera:
        yield camera


def good(loop: Loop, more: int = 1) -> None:
    before = loop.view().camera.counts.good
    until(lambda: loop.view().camera.counts.good >= before + more, str(loop.view()))


def test_it_looks_again_and_again(bundle: LoadedBundle, served: NetworkCamera) -> None:
    with running(bundle, served.url) as loop:
        good(loop, 5)
        view = loop.view()
        assert view.look is not None
        assert view.look.lesion is not None
        assert view.look.hints == ()
        assert view.size == (240, 320)
        assert view.looks_per_second > 0


def test_a_capture_is_judged_with_all_care(bundle: LoadedBundle, served: NetworkCamera) -> None:
    with running(bundle, served.url) as loop:
        good(loop)
        captured = loop.capture({"age": 61}).result(PATIENT_SECONDS)
        result = captured.analysis.result
        assert result.status == "ok"
        assert result.metadata == {"age": 61}
        assert result.frame_age_ms == pytest.approx(captured.age_ms, abs=0.1)
        assert result.capture is not None
        assert (result.capture.frames, result.capture.flip_rate) == (1, 0.0)
        again = loop.judge(captured.frame, {"age": 61}).result(PATIENT_SECONDS).result
        assert again.score == result.score, "the frame is the one that was judged"


def test_of_recent_frames_the_sharpest_is_taken(
    bundle: LoadedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [picture(240, 320) for _ in range(5)]
    for number, frame in enumerate(frames):
        if number != 2:
            frames[number] = cv2.GaussianBlur(frame, (0, 0), 1.0 + number)
    with open_chain(bundle, "openvino") as chain:
        camera = _Still(frames)
        loop = Loop(camera, chain)  # type: ignore[arg-type]
        with loop:
            captured = loop.capture().result(PATIENT_SECONDS)
            assert np.array_equal(captured.frame, frames[2])
            three = loop.capture(frames=3).result(PATIENT_SECONDS)
        assert np.array_equal(three.frame, frames[2])
        assert three.analysis.result.capture is not None
        assert three.analysis.result.capture.frames == 3
        camera.age = 10.0
        with Loop(camera, chain) as loop, pytest.raises(NotCaptured):  # type: ignore[arg-type]
            loop.capture().result(PATIENT_SECONDS)


class _Still:
    """A camera whose last frames are known."""

    def __init__(self, frames: list[np.ndarray]) -> None:
        from runtime.capture.camera import Frame, Status

        self.age = 0.0
        self._frames = [Frame(f, n + 1, 0.0, 0, None) for n, f in enumerate(frames)]  # type: ignore[arg-type]
        self.status = Status("live", 0.0, None, "", Counts(len(frames), len(frames)))

    @contextmanager
    def to_look_at(self, *_: object) -> Iterator[None]:
        time.sleep(0.01)
        yield None

    def wake(self) -> None:
        pass

    @contextmanager
    def recent(self, seconds: float) -> Iterator[list[object]]:
        for frame in self._frames:
            frame.taken = time.monotonic() - self.age
        yield list(self._frames)


def test_several_frames_are_one_judgement(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["decision"] = {"score": "melanoma", **operating_point(THRESHOLD)}
    with open_chain(make_bundle(tmp_path / "B", fields), "openvino") as chain:
        colours = ((150, 60, 60), (40, 45, 70), (120, 50, 60))
        judged = [Judged(f, chain.analyse(f)) for f in (picture(colour=c) for c in colours)]
        fused = fuse(chain, judged).analysis.result
        scores = [one.analysis.result.score or 0.0 for one in judged]
    assert min(scores) < THRESHOLD < max(scores), "they would be decided differently"
    assert fused.score == pytest.approx(np.mean(scores), abs=1e-6)
    assert fused.refer is (fused.score is not None and fused.score >= THRESHOLD)
    assert fused.capture is not None
    assert fused.capture.frames == 3
    assert fused.capture.spread == pytest.approx(np.std(scores))
    others = sum((score >= THRESHOLD) != fused.refer for score in scores)
    assert fused.capture.flip_rate == pytest.approx(others / 3)
    assert sum(fused.probabilities.values()) == pytest.approx(1)
    for name, said in fused.members.items():
        each = [one.analysis.result.members[name]["melanoma"] for one in judged]
        assert said["melanoma"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize("way", ["black", "stalled", "frozen"])
def test_what_cannot_be_judged_is_not_captured(
    bundle: LoadedBundle, served: NetworkCamera, way: str
) -> None:
    with running(bundle, served.url) as loop:
        good(loop)
        served.way = way  # type: ignore[assignment]
        until(lambda: loop.camera.status.state != "live", f"{way} was not noticed")
        with pytest.raises(NotCaptured) as caught:
            loop.capture().result(PATIENT_SECONDS)
        assert "the camera is" in str(caught.value)
        assert loop.view().look is None, "an old outline over no picture"


def test_a_slow_chain_does_not_stall_the_camera(
    bundle: LoadedBundle, served: NetworkCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(bundle, served.url) as loop:
        good(loop)
        judge = loop.chain.analyse

        def slowly(*given: object) -> object:
            time.sleep(2.0)
            return judge(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(loop.chain, "analyse", slowly)
        answer, states = loop.capture(frames=5), set()
        while not answer.done():
            states.add(loop.camera.status.state)
            time.sleep(0.02)
        assert answer.result().analysis.result.status == "ok"
        assert states == {"live"}
        assert loop.camera.status.counts.openings == 1


def test_what_waited_too_long_is_not_captured(
    bundle: LoadedBundle, served: NetworkCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then another lesion may be in sight."""
    with running(bundle, served.url) as loop:
        good(loop)
        with monkeypatch.context() as hurried:
            hurried.setattr("runtime.capture.loop.LATE_SECONDS", 0.3)
            slow = loop._do(lambda: time.sleep(1.0))
            late = loop.capture()
            with pytest.raises(NotCaptured, match="busy for too long"):
                late.result(PATIENT_SECONDS)
        assert slow.done()
        assert loop.capture().result(PATIENT_SECONDS), "in its usual time, however busy this is"


def test_whoever_asked_and_went_away_does_no_harm(
    bundle: LoadedBundle, served: NetworkCamera
) -> None:
    with running(bundle, served.url) as loop:
        good(loop)
        loop._do(lambda: time.sleep(0.3))
        assert loop.capture().cancel()
        assert loop.capture().result(PATIENT_SECONDS)


def test_a_chain_that_fails_tells_who_waits(bundle: LoadedBundle, served: NetworkCamera) -> None:
    raised = False
    try:
        with running(bundle, served.url) as loop:
            good(loop)
            answer = loop._do(lambda: 1 / 0)
            with pytest.raises(NotCaptured, match="chain failed"):
                answer.result(PATIENT_SECONDS)
            until(lambda: loop.failed is not None, "it goes on as if nothing had been")
    except ZeroDivisionError:
        raised = True  # at the end, by the loop itself
    assert raised


def test_every_frame_is_accounted_for(bundle: LoadedBundle, served: NetworkCamera) -> None:
    with running(bundle, served.url) as loop:
        for way in ("well", "burst", "garbage", "half", "well"):
            served.way = way  # type: ignore[assignment]
            time.sleep(0.4)
        good(loop, 3)
        for _ in range(50):
            counts = loop.view().camera.counts
            assert counts.unaccounted == 0
            assert min(counts.as_facts().values()) >= 0
        assert counts.damaged > 0
        # What the camera itself says it sent.
        served.way = "stalled"
        until(lambda: loop.view().camera.counts.received == served.sent, str(loop.view()))
    counts = loop.camera.status.counts
    assert counts.unaccounted == counts.waiting == 0


def test_the_books_show_a_frame_that_was_lost_on_the_way() -> None:
    counts = Counts()
    counts.note(received=1, unread=0, fate="waiting")
    counts.note(received=3, unread=0, fate="frozen")
    assert counts.unaccounted == 1


def test_what_is_no_lesion_is_said(bundle: LoadedBundle) -> None:
    with open_chain(bundle, "openvino") as chain:
        look = chain.look(picture(lesion=False))
        assert look.lesion is None
        assert "No lesion is in sight" in look.hints[0]
        assert chain.look(picture()).hints == ()


def test_limits_of_the_bundle_are_hints(bundle: LoadedBundle) -> None:
    spec = fields_of(bundle)
    spec["quality"] = {"exposure": {"max": 0.01, "hint": "Less light, please."}}
    strict = seal(make_bundle(bundle.path.parent / "strict").path, spec)
    with open_chain(strict, "openvino") as chain:
        assert chain.look(picture()).hints == ("Less light, please.",)


def test_a_request_never_waits_for_ever(bundle: LoadedBundle) -> None:
    with running(bundle, "synthetic:320x240@30") as loop:
        pass
    with pytest.raises(NotCaptured):
        loop.capture().result(PATIENT_SECONDS)


def test_networks_are_told_of_a_patient_what_they_know(bundle: LoadedBundle) -> None:
    patient = {"patient": "p7", "note": "left", "age": 60, "sex": "", "site": "back"}
    assert metadata_of(patient, bundle.spec) == {"age": 60, "site": "back"}
    fields = fields_of(bundle)
    fields["chain"]["metadata"] = {
        "fields": [{"kind": "category", "name": "site", "categories": ["arm"]}]
    }
    spec = seal(make_bundle(bundle.path.parent / "meta").path, fields).spec
    with pytest.raises(InputError, match="site"):
        metadata_of(patient, spec)
