"""`dermedge infer` from its arguments to its files and its exit code."""

from __future__ import annotations

import csv
import json
import os
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from runtime import infer as infer_module
from runtime.bundle_files import fields_of, load_bundle, seal
from runtime.cli import main
from runtime.gate_state import judged_digest
from runtime.reporting.summary import Summary
from runtime.scan import Progress
from runtime.screen import print_folder
from tests.bundle_factory import bundle_fields, explaining, make_bundle, picture
from tests.runtime.scans import bundle_at, infer, records_in, write_pictures


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_at(tmp_path_factory.mktemp("infer") / "bundle")


@pytest.fixture(autouse=True)
def _within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder(bundle: Path) -> None:
    write_pictures(Path("in") / "sub", 12)
    write_pictures(Path("in"), 1)
    Path("in/notes.txt").write_text("x")
    Path("in/broken.jpg").write_bytes(b"\xff\xd8\xff")
    result = infer("--folder", "in", "--bundle", bundle, "--out", "out")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "overlays",
        "report.html",
        "results.csv",
        "results.jsonl",
        "run.json",
    ]
    assert len(records_in(Path("out"))) == 14
    with open("out/results.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 14
    text = " ".join(result.stdout.split())
    assert "14 images" in text
    assert "1 error" in text
    assert "1 image could not be read" in text
    assert "Files passed over: 1 of other kinds." in text
    assert "not a diagnosis" in text
    assert "out/report.html" in text
    run = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert run["images"] == 14
    assert run["unreadable"] == 1
    assert run["counts"]["error"] == 1
    assert run["backend"]["name"] == "fake"
    assert run["finished"]
    assert run["last_session"]["rate"] > 0


def test_a_file_that_changed_has_one_record_and_one_picture(bundle: Path) -> None:
    write_pictures(Path("in"), 3)
    arguments = ("--folder", "in", "--bundle", bundle, "--out", "out")
    infer(*arguments)
    before = {path.name for path in Path("out/overlays").iterdir()}
    Path("in/p000.png").write_bytes(Path("in/p001.png").read_bytes())
    result = infer(*arguments)
    assert result.exit_code == 0, result.output
    records = records_in(Path("out"))
    assert sorted(record["source"] for record in records) == ["p000.png", "p001.png", "p002.png"]
    after = {path.name for path in Path("out/overlays").iterdir()}
    assert len(after) == 3
    assert len(after - before) == 1
    with open("out/results.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert json.loads(Path("out/run.json").read_text(encoding="utf-8"))["images"] == 3


def test_one_image(bundle: Path) -> None:
    write_pictures(Path("in"), 1)
    result = infer("--image", "in/p000.png", "--bundle", bundle)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "p000.png" in text
    assert "melanoma" in text
    assert "not a diagnosis" in text
    (out,) = Path("dermedge-results").iterdir()
    assert out.name.startswith("p000.png-")
    assert str(out / "report.html") in text
    (record,) = records_in(out)
    assert record["source"] == "p000.png"
    again = infer("--image", "in/p000.png", "--bundle", bundle)
    assert again.exit_code == 0
    assert len(records_in(out)) == 1


def test_another_precision_is_another_run(tmp_path: Path) -> None:
    write_pictures(Path("in"), 1)
    made = make_bundle(tmp_path / "b")
    fields = fields_of(made)
    (made.path / "models" / "half.onnx").write_bytes(b"of 16 bits")
    variants = fields["models"]["member_a"]["variants"]
    variants.append({"precision": "fp16", "file": "models/half.onnx"})
    seal(made.path, fields)
    arguments = ("--image", "in/p000.png", "--bundle", made.path)
    for precision in ((), ("--precision", "fp16")):
        assert infer(*arguments, *precision).exit_code == 0
    runs = [
        records_in(out)[0]["backend"]["precision"] for out in Path("dermedge-results").iterdir()
    ]
    assert {run["member_a"] for run in runs} == {"fp32", "fp16"}
    assert {run["member_b"] for run in runs} == {"fp32"}
    assert infer(*arguments, "--precision", "int4").exit_code == 2


def write_video(file: str) -> None:
    writer = cv2.VideoWriter(file, cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for _ in range(10):
        writer.write(picture())
    writer.release()


def test_a_video(bundle: Path) -> None:
    write_video("clip.avi")
    Path("m.csv").write_text("image,age\nclip,50\n")
    result = infer(
        *("--video", "clip.avi", "--every", "0.3", "--bundle", bundle),
        *("--out", "out", "--metadata", "m.csv"),
    )
    assert result.exit_code == 0, result.output
    records = records_in(Path("out"))
    assert [r["source"] for r in records] == [f"clip.avi#frame={i}" for i in (0, 3, 6, 9)]
    assert all(r["metadata"] == {"age": 50.0} for r in records)
    assert "4 frames" in result.stdout


@pytest.mark.parametrize(
    "arguments", [[], ["--image", "a", "--folder", "b"], ["--folder", "b", "--video", "c"]]
)
def test_exactly_one_input(arguments: list[str]) -> None:
    result = infer(*arguments)
    assert result.exit_code == 2
    assert "exactly one of --image, --folder, --video" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--image", "missing.jpg"], 2, "No such file"),
        (["--image", "empty.jpg"], 2, "is empty"),
        (["--image", "in"], 2, "--folder"),
        (["--folder", "missing"], 2, "not a folder"),
        (["--folder", "none"], 2, "holds no images"),
        (["--video", "empty.jpg"], 2, "is an image"),
        (["--video", "empty.mp4"], 2, "got: an empty file"),
        (["--folder", "in", "--bundle", "missing"], 3, "not a bundle"),
        (["--folder", "in", "--backend", "abacus"], 2, "no backend 'abacus'"),
        (["--folder", "in", "--metadata", "missing.csv"], 2, "missing.csv cannot be read"),
        (["--folder", "in", "--out", "empty.jpg"], 2, "cannot be written"),
        (["--folder", "in", "--every", "-1"], 2, "-1"),
        (["--folder", "in", "--every", "nan"], 2, "nan is not a finite number"),
    ],
)
def test_bad_usage(bundle: Path, arguments: list[str], code: int, says: str) -> None:
    write_pictures(Path("in"), 1)
    Path("none").mkdir()
    Path("empty.jpg").write_bytes(b"")
    Path("empty.mp4").write_bytes(b"")
    before = sorted(Path().iterdir())
    result = CliRunner().invoke(
        main, ["infer", "--bundle", str(bundle), "--backend", "fake", *arguments]
    )
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert sorted(Path().iterdir()) == before  # nothing made on the way


def test_another_bundle_is_refused_and_no_resume_replaces(bundle: Path) -> None:
    write_pictures(Path("in"), 3)
    other = make_bundle(Path("other"), bundle_fields() | {"version": "2"}).path
    assert infer("--folder", "in", "--bundle", bundle, "--out", "out").exit_code == 0
    refused = infer("--folder", "in", "--bundle", other, "--out", "out")
    assert refused.exit_code == 2
    assert "another bundle" in refused.stderr
    assert "--no-resume" in refused.stderr
    replaced = infer("--folder", "in", "--bundle", other, "--out", "out", "--no-resume")
    assert replaced.exit_code == 0
    assert {r["bundle"]["version"] for r in records_in(Path("out"))} == {"2"}
    assert len(records_in(Path("out"))) == 3


def test_a_folder_scanned_into_itself(bundle: Path) -> None:
    write_pictures(Path(), 2)
    for count in (2, 3):
        write_pictures(Path(), count)
        result = infer("--folder", ".", "--bundle", bundle, "--out", "out")
        assert result.exit_code == 0, result.output
        sources = [r["source"] for r in records_in(Path("out")) if r["status"] == "ok"]
        assert sorted(sources) == [f"p00{i}.png" for i in range(count)]


def test_names_that_are_hard_to_print(bundle: Path) -> None:
    (name,) = write_pictures(Path("in"), 1)
    data = Path("in", name).read_bytes()
    for odd in ("-dash.png", "two\nlines.png", "[bold]x[red].png", "皮膚 é.png"):
        Path("in", odd).write_bytes(data)
    with open(os.fsencode("in") + b"/caf\xe9.png", "wb") as file:
        file.write(data)
    result = infer("--folder", "in", "--bundle", bundle, "--out", "out")
    assert result.exit_code == 0, result.output
    sources = {r["source"] for r in records_in(Path("out"))}
    assert sources == {
        name, "-dash.png", "two\nlines.png", "[bold]x[red].png", "皮膚 é.png", "caf\\xe9.png"
    }  # fmt: skip
    assert "two\\nlines.png" in result.stdout
    assert "[bold]x[red].png" in result.stdout
    assert len(list(Path("out/overlays").iterdir())) == 6
    one = infer("--image", "in/-dash.png", "--bundle", bundle, "--out", "one")
    assert one.exit_code == 0


@pytest.mark.parametrize(("seconds", "told"), [(0.04, ""), (2.0, "0.5 a second over 2.0 s.")])
def test_a_rate_is_told_of_a_second_and_more(bundle: Path, seconds: float, told: str) -> None:
    console = Console(file=StringIO(), width=100)
    progress = Progress(seen=3, resumed=2, seconds=seconds)
    print_folder(console, Summary(), progress, load_bundle(bundle).spec, "image")
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert told in printed
    assert ("a second over" in printed) == bool(told)


def test_a_byte_and_its_spelling_in_a_name_are_two_files(bundle: Path) -> None:
    (name,) = write_pictures(Path("in"), 1)
    data = Path("in", name).read_bytes()
    for odd in (b"bad\xff.png", b"bad\\xff.png"):
        Path("in", os.fsdecode(odd)).write_bytes(data)
    for more in ((), ("--no-resume",), ()):
        result = infer("--folder", "in", "--bundle", bundle, "--out", "out", *more)
        assert result.exit_code == 0, result.output
        sources = sorted(r["source"] for r in records_in(Path("out")))
        assert sources == ["bad\\\\xff.png", "bad\\xff.png", name]
    assert "3 of them had been recorded before" in result.stdout
    assert len(list(Path("out/overlays").iterdir())) == 3


def test_metadata_notes(bundle: Path) -> None:
    write_pictures(Path("in"), 1)
    Path("m.csv").write_text("image,age,phone\np000,50,1\nq,1,2\n")
    result = infer(*("--folder", "in", "--bundle", bundle, "--out", "out", "--metadata", "m.csv"))
    assert result.exit_code == 0
    assert "column phone" in result.stderr
    assert "1 row without an image here: 'q' (line 3)" in result.stderr
    assert "does not use metadata" in result.stderr
    changed = "image,age\np000,51\n"
    Path("m.csv").write_text(changed)
    again = infer(*("--folder", "in", "--bundle", bundle, "--out", "out", "--metadata", "m.csv"))
    assert again.exit_code == 2
    assert "other metadata" in again.stderr


def test_ctrl_c_says_how_to_carry_on(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.host_chain import HostChain

    write_pictures(Path("in"), 6)
    real, seen = HostChain.analyse, []

    def analyse(chain: HostChain, frame: np.ndarray, *others: object) -> object:
        seen.append(frame)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return real(chain, frame, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("runtime.judging.usable_cores", lambda: 1)  # one after the other
    monkeypatch.setattr(HostChain, "analyse", analyse)
    result = infer("--folder", "in", "--bundle", bundle, "--out", "out")
    assert result.exit_code == 130
    assert "carries on" in result.stderr
    assert len(records_in(Path("out"))) == 3
    assert len(seen) <= 5  # the next may have been begun already


def gated(folder: Path, passed: bool) -> Path:
    """A bundle with the gate's verdict on it as it is."""
    bundle = make_bundle(folder)
    result = {
        "passed": passed,
        "reference": "0" * 64,
        "judged": judged_digest(bundle.spec),
        "report": {"why": None if passed else "loss of\nAUC"},
    }
    return seal(folder, fields_of(bundle) | {"gate": {"result": result}}).path


def edit_threshold(bundle: Path) -> Path:
    manifest = bundle / "bundle.json"
    fields = json.loads(manifest.read_text())
    fields["decision"]["threshold"] = fields["decision"]["threshold"] + 0.1
    manifest.write_text(json.dumps(fields))
    return bundle


@pytest.mark.parametrize("kind", ["--image", "--folder", "--video"])
def test_a_verdict_that_no_longer_fits_the_bundle_is_told(kind: str) -> None:
    write_pictures(Path("in"), 1)
    write_video("v.avi")
    given = {"--image": "in/p000.png", "--folder": "in", "--video": "v.avi"}[kind]
    passed = gated(Path("b"), passed=True)
    assert "gate" not in infer(kind, given, "--bundle", passed, "--out", "a").stderr
    result = infer(kind, given, "--bundle", edit_threshold(passed), "--out", "b2")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if "gate" in line]
    assert "not judged as it is now; passed with other files or another decision" in line


def test_a_refused_bundle_is_told_in_one_line() -> None:
    write_pictures(Path("in"), 1)
    result = infer("--folder", "in", "--bundle", gated(Path("b"), passed=False))
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if "gate" in line]
    assert "refused, against the bundle 000000000000 (loss of\\nAUC)" in line


def test_a_camera_tells_of_the_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.capture.command.run_camera", lambda *given: None)
    bundle = edit_threshold(gated(Path("b"), passed=True))
    result = infer("--camera", "synthetic:", "--bundle", bundle)
    assert result.exit_code == 0, result.output
    assert "not judged as it is now" in result.stderr


def test_an_installation_without_a_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import demo

    monkeypatch.setattr(demo, "BUNDLE", Path("nowhere"))
    write_pictures(Path("in"), 1)
    result = infer("--folder", "in")
    assert result.exit_code == 2
    assert "--bundle" in result.stderr


def test_help_has_examples() -> None:
    result = CliRunner().invoke(infer_module.command, ["--help"])
    assert "dermedge infer --folder" in result.output
    assert "not a diagnosis" in result.output
    assert all(len(line) <= 100 for line in result.output.splitlines())


def test_heat_maps_on_request(tmp_path: Path) -> None:
    make_bundle(tmp_path / "b", explaining(bundle_fields()))
    write_pictures(Path("in"), 2)
    words = ("--folder", "in", "--bundle", tmp_path / "b", "--backend", "openvino", "--out", "out")
    result = CliRunner().invoke(main, ["infer", *map(str, words), "--explain"])
    assert result.exit_code == 0, result.output
    for record in records_in(Path("out")):
        picture_of_it = cv2.imread(str(Path("out") / record["heatmap"]), cv2.IMREAD_COLOR)
        assert picture_of_it is not None
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.count("<summary>Heat map</summary>") == 2
    assert "no outline of disease" in page
    again = CliRunner().invoke(main, ["infer", *map(str, words)])
    assert again.exit_code == 2
    assert "another --explain" in again.output + str(again.exception)


def test_heat_maps_are_not_asked_of_a_camera(bundle: Path) -> None:
    result = infer("--camera", "synthetic:", "--bundle", bundle, "--explain")
    assert result.exit_code == 2
    assert "--web" in str(result.exception) + result.output


def test_heat_maps_of_a_bundle_that_makes_none(bundle: Path) -> None:
    write_pictures(Path("in"), 1)
    result = infer("--folder", "in", "--bundle", bundle, "--out", "out", "--explain")
    assert result.exit_code == 2
    assert not Path("out").exists()
