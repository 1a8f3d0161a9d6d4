"""`dermedge sessions list|export|verify`: what a camera's loop has captured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import DermedgeError, UsageError

if TYPE_CHECKING:
    from runtime.store.store import Store

STORE = click.option(
    "--store", "folder", type=click.Path(path_type=Path), help="The store. [default: your own]"
)
KEY = click.option(
    "--key", type=click.Path(path_type=Path), help="The file with its key, if it is encrypted."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def command() -> None:
    """List, export or verify the captured sessions of `infer --camera`.

    \b
    Examples:
      dermedge sessions list
      dermedge sessions export --out visits.zip
      dermedge sessions verify
    """


@command.command("list", cls=Verb)
@STORE
def list_(folder: Path | None) -> None:
    """Print the sessions: when, with which bundle and camera, and how many captures.

    \b
    Example:
      dermedge sessions list --store /var/lib/dermedge
    """
    with _open(folder) as store:
        sessions = store.sessions()
    if not sessions:
        click.echo("No session yet.")
    for session in sessions:
        facts = session["facts"]
        kept = session["captures"] - session["removed"]
        words = [session["id"][:8], session["started"][:19], f"{kept:>4} captures"]
        words += [facts["bundle"], facts["camera"]]
        words += [f"({session['removed']} more removed)"] if session["removed"] else []
        words += [] if session["ended"] else ["(not ended in order)"]
        click.echo("  ".join(words))


@command.command(cls=Verb)
@STORE
@KEY
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A file: .csv, .jsonl, or .zip with the pictures as well.",
)
@click.option("--session", help="One session, by the beginning of its id. [default: all]")
def export(folder: Path | None, key: Path | None, out: Path, session: str | None) -> None:
    """Write captures to a file: a table, records, or everything.

    What is written holds patient data, unencrypted.

    \b
    Examples:
      dermedge sessions export --out captures.csv
      dermedge sessions export --session 3fa1 --out visit.zip
    """
    from runtime.store.exporting import write_export

    with _open(folder, key) as store:
        written = write_export(store, _session(store, session), out)
    click.echo(f"{written.captures} captures written to {out}.")
    if written.missing:
        click.echo(f"{len(written.missing)} of them without a picture, as its missing.txt says:")
    for missing in written.missing:
        click.echo(f"  {missing}")


@command.command(cls=Verb)
@STORE
def verify(folder: Path | None) -> None:
    """Check every capture against the audit log, and the log against itself. Needs no key.

    \b
    Example:
      dermedge sessions verify --store /var/lib/dermedge
    """
    with _open(folder) as store:
        found = list(store.problems())
        sessions = store.sessions()
        last = store.last_hash()
    for problem in found:
        click.echo(problem)
    if found:
        raise DermedgeError(
            "The store is not as its audit log says.",
            got=f"{len(found)} problem{'s' if len(found) > 1 else ''}",
            expected="none",
            remedy="keep the folder as it is, and look at who had access to it",
        )
    removed = sum(session["removed"] for session in sessions)
    kept = sum(session["captures"] for session in sessions) - removed
    click.echo(f"{kept} captures are what they were when they were made.")
    if removed:
        click.echo(f"{removed} more were removed, as too old or too much; the log says which.")
    click.echo(f"The audit log ends with {last}: keep that elsewhere, to notice a missing end.")


def default_store() -> Path:
    import os

    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "dermedge" / "sessions"


def _open(folder: Path | None, key: Path | None = None) -> Store:
    from runtime.store.store import Store

    return Store(folder or default_store(), key, writable=False)


def _session(store: Store, beginning: str | None) -> str | None:
    if beginning is None:
        return None
    found = [each["id"] for each in store.sessions() if each["id"].startswith(beginning)]
    if len(found) != 1:
        raise UsageError(
            f"'{beginning}' names {'no session' if not found else 'several sessions'}.",
            got=", ".join(name[:12] for name in found) or None,
            remedy="dermedge sessions list",
        )
    return str(found[0])


if __name__ == "__main__":
    command()
