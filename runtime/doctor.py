"""`dermedge doctor`: what this machine has, what is missing, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runtime.command import Verb
from runtime.errors import BackendError

if TYPE_CHECKING:
    from runtime.diagnosis import Finding

MARKS = {"ok": "[green]✓[/]", "absent": "[yellow]–[/]", "broken": "[red]✗[/]"}


@click.command("doctor", cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Say what this machine has, what is missing and how to fix it.

    Every engine that is installed is tried on the golden images of the demo bundle. Ends with 0
    if at least one of them can be used, else with 4.

    \b
    Examples:
      dermedge doctor
      dermedge doctor --json > machine.json
    """
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
