"""How good bundles are by how long a frame takes, of what `evaluate` and `bench` wrote.

python -m calibration.evaluation.tradeoff --point NAME R/evaluation.json bench.json … --out O.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from calibration.evaluation.comparing import Point, check
from calibration.evaluation.measured import Bench, Evaluated, read
from calibration.evaluation.wording import span_of, title_of, value_of
from runtime.command import Verb
from runtime.reporting.wording import number

HEAD = ("chain p50, ms", "p95, ms", "machine", "backend", "precision")


@click.command("tradeoff", cls=Verb)
@click.option(
    "--point",
    "points",
    multiple=True,
    required=True,
    type=(str, click.Path(path_type=Path), click.Path(path_type=Path)),
    metavar="NAME EVALUATION BENCH",
    help="A name, evaluation.json, and what `dermedge bench --out` wrote. Once for each point.",
)
@click.option("--measure", default="auc.mean", show_default=True, help="Or auc, or auc.CLASS.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The drawing, as SVG.")
@click.option(
    "--table", type=click.Path(path_type=Path), help="As Markdown.  [default: OUT, ending in .md]"
)
def command(
    points: tuple[tuple[str, Path, Path], ...], measure: str, out: Path, table: Path | None
) -> None:
    """Draw what bundles tell apart by the time that a frame takes them.

    Areas are of the engine that `evaluate` ran, on all its images; times are medians of the chain,
    from a frame to its result, on the machine that `bench` ran on.
    """
    from calibration.evaluation.charts import alone
    from calibration.evaluation.tradeoff_chart import drawing
    from runtime.out_folder import write_whole
    from runtime.results import writing

    found = [Point(n, read(e, Evaluated), read(b, Bench), measure) for n, e, b in points]
    check(found)
    drawn = alone(drawing(found, title_of(measure)))
    beside = table or out.with_suffix(".md")
    for path, content in ((out, drawn), (beside, as_table(found, title_of(measure)).encode())):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        click.echo(path)


def as_table(points: Sequence[Point], area: str) -> str:
    """The quickest first."""
    rows = [["name", "images", area, "95 % interval", *HEAD], ["---"] * 9]
    for point in sorted(points, key=lambda point: point.ms):
        times, backend = point.bench.times, point.bench.backend
        rows.append(
            [
                point.name.replace("|", r"\|"),
                f"{point.area.n:,}",
                value_of(point.area),
                span_of(point.area),
                number(times.p50),
                number(times.p95),
                point.machine,
                backend.name,
                ", ".join(sorted(set(backend.precision.values()))),
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    command()
