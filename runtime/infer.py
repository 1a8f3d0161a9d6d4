"""`dermedge infer`, also `python runtime/infer.py`: an image, a folder, a video or a camera."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.command import Number, Verb
from runtime.errors import UsageError

if TYPE_CHECKING:
    from runtime.bundle_files import LoadedBundle
    from runtime.metadata_table import MetadataTable
    from runtime.out_folder import OutFolder
    from runtime.scan import Progress
    from runtime.sources import Sources

DEFAULT_EVERY = 1.0
MOST_FRAMES = 5  # of a capture: fewer than the camera holds

EXAMPLES = """\b
Examples:
  dermedge infer --image lesion.jpg --explain
  dermedge infer --folder PICTURES --out RESULTS --metadata patients.csv
  dermedge infer --video visit.mp4 --every 0.5 --bundle BUNDLE
  dermedge infer --camera
  dermedge infer --camera rtsp://10.0.0.9/live --frames 3 --key KEYFILE
  dermedge infer --camera --web 127.0.0.1:8080
  dermedge infer --camera --preview --button auto

\b
RESULTS gets results.jsonl (one record a line), results.csv, report.html, run.json,
overlays/, and with --explain heatmaps/. A folder is searched with its subfolders; a file
that cannot be read gets a record that says why, and the scan goes on. A scan that was
stopped carries on when the same command is given again.

\b
A record of a video frame is named visit.mp4#frame=123, counted from 0.
The CSV of --metadata has a column 'image' (a path below the folder, a file name, or a
name without suffix) and the bundle's fields, usually age, sex and site.

\b
--camera alone is the one of --profile, or of the variable DERMEDGE_CAMERA, or the first
that there is; a password belongs there and not into SRC, which other users can list.
SRC is an index, /dev/videoN, csi://0, rtsp://…, http://… (MJPEG), gst:PIPELINE,
synthetic: or a video or folder that is played as one.
Enter captures; with --preview Space does, and Esc ends. So does a button: auto is the
camera's own, evdev:/dev/input/eventN a foot pedal or keyboard, of which any key counts and
none reaches another program any more, gpio:gpiochip0/17 a contact between a line of the
board and ground. Captures go into the session store: dermedge sessions --help.
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.option("--image", type=click.Path(path_type=Path), help="One image file.")
@click.option("--folder", type=click.Path(path_type=Path), help="A folder of images.")
@click.option("--video", type=click.Path(path_type=Path), help="A video file.")
@click.option(
    "--camera", is_flag=False, flag_value="", metavar="[SRC]", help="A camera, until it is ended."
)
@click.option("--bundle", type=click.Path(path_type=Path), help="A bundle. [default: the demo]")
@click.option(
    "--backend",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto, openvino, onnxruntime, tensorrt or tensorrt_rtx.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of the files to run, where a model has it. Default: what the bundle means for it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where results go. [default: dermedge-results/INPUT-ID]",
)
@click.option("--metadata", type=click.Path(path_type=Path), help="A CSV of age, sex, site.")
@click.option(
    "--every",
    type=Number(min=0),
    default=DEFAULT_EVERY,
    show_default=True,
    help="Seconds between the frames taken of a video; 0 takes each.",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Carry on with what --out holds of the same run, or replace it.",
)
@click.option(
    "--explain", is_flag=True, help="Add heat maps: where the networks found something to see."
)
@click.option(
    "--frames",
    type=click.IntRange(1, MOST_FRAMES),
    default=1,
    show_default=True,
    help="Judge a capture by the mean of its sharpest frames.",
)
@click.option("--profile", type=click.Path(path_type=Path), help="How to set up the camera (YAML).")
@click.option("--store", type=click.Path(path_type=Path), help="Where captures are kept.")
@click.option("--key", type=click.Path(path_type=Path), help="Encrypt them with this file's key.")
@click.option("--keep-days", type=Number(min=0), help="Remove captures that are older.")
@click.option("--keep-mb", type=Number(min=0), help="Remove the oldest captures beyond that.")
@click.option("--web", metavar="HOST:PORT", help="Show the screen there, as 127.0.0.1:8080.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Ask for this file's token.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Serve by TLS: certificate.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Serve by TLS: its key.")
@click.option("--headless", is_flag=True, help="Read no keys; the screen alone captures.")
@click.option("--preview", is_flag=True, help="Show the picture in a window; Space captures.")
@click.option("--button", metavar="BUTTON", help="Capture by auto, evdev:DEVICE, gpio:CHIP/LINE.")
@click.option("--log", type=click.Path(path_type=Path), help="Note there what happens (JSON).")
def command(
    image: Path | None,
    folder: Path | None,
    video: Path | None,
    camera: str | None,
    bundle: Path | None,
    backend: str,
    precision: str | None,
    out: Path | None,
    metadata: Path | None,
    every: float,
    resume: bool,
    explain: bool,
    **settings: Any,
) -> None:
    """Judge an image, a folder of images, a video or what a camera sees.

    What comes out is decision support for a trained clinician, not a diagnosis.
    """
    given = {"--image": image, "--folder": folder, "--video": video, "--camera": camera}
    _refuse_all_but_one(given)
    from runtime.backends.registry import choose_backend
    from runtime.bundle_files import load_bundle
    from runtime.out_folder import default_folder, open_folder

    if image is not None:
        from runtime.decode import read_image

        read_image(image)  # ends the command here, with the reason, before anything is made
    chosen = choose_backend(backend)
    loaded = load_bundle(_demo() if bundle is None else bundle)
    _tell_state(loaded)
    if camera is not None:
        _refuse_explain(explain)
        from runtime.capture.command import CameraSettings, run_camera

        run_camera(camera, loaded, chosen, CameraSettings(precision=precision, **settings))
        return
    path = image or folder or video
    assert path is not None
    if explain:
        from runtime.chain import require_explain

        require_explain(loaded)
    asked = {"explain": explain, "precision": precision}
    identity = _identity(loaded, chosen, path) | {
        "metadata": _digest(metadata),
        "every": every if video else None,
        **{name: value for name, value in asked.items() if value},
    }
    place = default_folder(path, identity) if out is None else out
    sources = _sources(image, folder, video, every, place)
    table = _metadata(metadata, loaded, sources)
    with open_folder(place, identity, resume) as out_folder:
        try:
            _run(out_folder, (loaded, chosen, precision), sources, table, explain)
        except KeyboardInterrupt:
            click.echo("\nThe same command carries on from here.", err=True)
            raise


def _refuse_all_but_one(given: Mapping[str, Path | str | None]) -> None:
    named = [name for name, value in given.items() if value is not None]
    if len(named) == 1:
        return
    raise UsageError(
        "infer looks at one thing at a time.",
        got=" and ".join(named) or "no input",
        expected="exactly one of " + ", ".join(given),
        remedy="dermedge infer --image FILE",
    )


def _refuse_explain(explain: bool) -> None:
    """Ignored, it would look kept."""
    if explain:
        raise UsageError(
            "--explain is for pictures that are there.",
            got="--camera with --explain",
            remedy="--web HOST:PORT, whose screen draws a capture's heat map on request",
        )


def _demo() -> Path:
    from runtime.demo import BUNDLE

    if not BUNDLE.is_dir():
        raise UsageError(
            "The demo bundle is not part of this installation.",
            got=f"no {BUNDLE}",
            remedy="Name a bundle with --bundle.",
        )
    return BUNDLE


def _tell_state(bundle: LoadedBundle) -> None:
    """The digest in a record says which bundle it was; only this, whether anybody let it be used,
    and that nobody judged it so."""
    from runtime.gate_state import gate_note
    from runtime.releasing import release_words

    spec = bundle.spec
    click.echo(f"bundle {spec.name} {spec.version}: {release_words(spec)}", err=True)
    if note := gate_note(bundle.spec):
        click.echo(note, err=True)


def _identity(bundle: LoadedBundle, backend: str, path: Path) -> dict[str, object]:
    where = str(path.resolve()).encode("utf-8", "backslashreplace").decode()
    return {"bundle": bundle.digest, "backend": backend, "input": where}


def _digest(path: Path | None) -> str | None:
    """Of the metadata file: results with another age are results of another run."""
    import hashlib

    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None  # said properly where the table is read


def _sources(
    image: Path | None, folder: Path | None, video: Path | None, every: float, out: Path
) -> Sources:
    from runtime import sources

    if image is not None:
        return sources.one_image(image)
    if folder is not None:
        found = sources.folder(folder, leave_out=out)
        if not found.total:
            raise UsageError(
                f"{folder} holds no images.",
                got=f"files passed over: {found.passed_over or 'none'}",
                expected="files that end in " + ", ".join(sources.READ),
                remedy="Check the folder's name.",
            )
        return found
    from runtime.video import video as video_sources

    assert video is not None
    return video_sources(video, every)


def _metadata(path: Path | None, bundle: LoadedBundle, sources: Sources) -> MetadataTable:
    from runtime.metadata_table import MetadataTable, load_metadata
    from runtime.reporting.wording import count

    if path is None:
        return MetadataTable()
    spec = bundle.spec.chain.metadata
    table = load_metadata(path, spec, sources.files)
    notes = []
    if spec is None:
        notes.append("this bundle does not use metadata; it is only recorded")
    if table.unknown_columns:
        notes.append("not used: column " + ", ".join(table.unknown_columns))
    if table.without_image:
        shown = ", ".join(f"{name!r} (line {line})" for line, name in table.without_image[:5])
        more = " …" if len(table.without_image) > 5 else ""
        rows = count(len(table.without_image), "row")
        notes.append(f"{rows} without an image here: {shown}{more}")
    for note in notes:
        click.echo(f"{path}: {note}", err=True)
    return table


def _run(
    out: OutFolder,
    what: tuple[LoadedBundle, str, str | None],
    sources: Sources,
    table: MetadataTable,
    explain: bool,
) -> None:
    """`what`: the bundle, the backend and the precision."""
    from runtime.judging import MOST_CHAINS, open_chains
    from runtime.run_facts import start_facts
    from runtime.scan import scan
    from runtime.screen import ProgressView

    noun = "frame" if sources.kind == "video" else "image"
    most = 1 if sources.kind == "image" else MOST_CHAINS
    bundle, backend, precision = what
    with open_chains(bundle, backend, most=most, precision=precision) as chains:
        for note in chains[0].notes:
            click.echo(f"note: {note}", err=True)
        words = [Path(sys.argv[0]).name, *sys.argv[1:]]
        out.save(**start_facts(out, chains[0], shlex.join(words)))
        with ProgressView(sources.total, noun + "s") as view:
            progress = scan(chains, sources, out, table.of, view.show, explain)
    _finish(out, bundle, sources, progress)


def _finish(out: OutFolder, bundle: LoadedBundle, sources: Sources, progress: Progress) -> None:
    from rich.console import Console

    from runtime.report import write_report
    from runtime.reporting.wording import count
    from runtime.results import write_csv
    from runtime.run_facts import end_facts, summarise
    from runtime.screen import print_folder, print_image

    out.settle()
    summary, unreadable = summarise(out.records)
    out.save(**end_facts(summary, unreadable, progress))
    write_csv(out.records, out.path / "results.csv")
    report = write_report(out.path)
    console = Console(highlight=False)
    top = summary.top() or summary.listed()
    if sources.kind == "image" and len(top) == 1:
        print_image(console, top[0], bundle.spec)
    else:
        noun = "frame" if sources.kind == "video" else "image"
        print_folder(console, summary, progress, bundle.spec, noun)
        if unreadable:
            words = f"{count(unreadable, noun)} could not be read: see the reasons in the report."
            click.secho(words, fg="yellow")
    if sources.passed_over:
        click.echo(f"Files passed over: {sources.passed_over}.")
    click.echo(f"Report: {report}")


if __name__ == "__main__":
    command()
