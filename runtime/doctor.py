"""`dermedge doctor`: what this machine has, what is missing, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import BackendError, UsageError

if TYPE_CHECKING:
    from runtime.diagnosis import Finding

MARKS = {"ok": "[green]✓[/]", "absent": "[yellow]–[/]", "broken": "[red]✗[/]"}


@click.command("doctor", cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--cameras", is_flag=True, help="List cameras instead, and what they can do.")
@click.option(
    "--write", type=click.Path(path_type=Path), help="With --cameras: a profile of the first one."
)
def command(as_json: bool, cameras: bool, write: Path | None) -> None:
    """Say what this machine has, what is missing and how to fix it.

    Every engine that is installed is tried on the golden images of the demo bundle. Ends with 0
    if at least one of them can be used, else with 4.

    \b
    Examples:
      dermedge doctor
      dermedge doctor --json > machine.json
      dermedge doctor --cameras --write camera.yaml
    """
    if cameras or write is not None:
        _list_cameras(as_json, write)
        return
    from runtime.diagnosis import examine, summary, usable_backends

    findings = list(examine())
    if as_json:
        _print_json(findings, usable_backends(findings))
    else:
        _print_table(findings)
        click.echo(summary(findings))
    if not usable_backends(findings):
        raise BackendError(
            "No engine can be used on this machine.",
            expected="at least one backend that gives the bundle's golden results",
            remedy="pip install 'dermedge[cpu]'",
        )


def _list_cameras(as_json: bool, write: Path | None) -> None:
    import json

    from runtime.capture.identity import lasting_names
    from runtime.capture.listing import describe, found_cameras, write_profile
    from runtime.capture.v4l2 import Camera

    found = list(found_cameras())
    there = [each for each in found if isinstance(each, Camera)]
    if as_json:
        listed = [{**asdict(each), "names": lasting_names(Path(each.device))} for each in there]
        click.echo(json.dumps(listed, indent=2))
    else:
        for each in found:
            lines = describe(each) if isinstance(each, Camera) else [each]
            for line in lines:
                click.echo(line)
        if not found:
            click.echo("No camera: there is no /dev/video* on this machine.")
    if write is not None:
        if not there:
            raise UsageError("There is no camera to write a profile of.")
        write_profile(there[0], write)
        click.echo(f"Written to {write}: dermedge infer --camera --profile {write}")


def _print_json(findings: list[Finding], usable: list[str]) -> None:
    import json

    from runtime import machine

    report = {
        "machine": machine.facts(),
        "usable_backends": usable,
        "findings": [asdict(finding) for finding in findings],
    }
    click.echo(json.dumps(report, ensure_ascii=False, indent=2))


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("", "bold", "", ""):
        table.add_column(style=style, overflow="fold")
    area = ""
    for finding, following in zip(findings, [*findings[1:], None], strict=True):
        if area and finding.area != area:
            table.add_row()
        shown = "" if finding.area == area else finding.area
        area = finding.area
        table.add_row(shown, escape(finding.what), MARKS[finding.state], escape(finding.found))
        if finding.remedy and (following is None or following.remedy != finding.remedy):
            table.add_row("", "", "", f"[dim]→ {escape(finding.remedy)}[/]")
    Console().print(table)


if __name__ == "__main__":
    command()
