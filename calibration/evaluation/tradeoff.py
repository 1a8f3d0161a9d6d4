"""How good bundles are by how long a frame takes, of what `evaluate` and `bench` wrote.

python -m calibration.evaluation.tradeoff --point NAME R/evaluation.json bench.json … --out O.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from calibration.evaluation.bootstrap import Estimate
from calibration.evaluation.measured import Bench, Evaluated, read
from calibration.evaluation.wording import span_of, title_of, value_of
from runtime.command import Verb
from runtime.errors import UsageError
from runtime.reporting.wording import number

LONGEST = 24  # letters of a name: so much fits on one side of a mark, wherever that is
HEAD = ("chain p50, ms", "p95, ms", "machine", "backend", "precision")


@dataclass(frozen=True)
class Point:
    """A bundle, or the bundles of a run's folds, of which one was timed."""

    name: str
    evaluated: Evaluated
    bench: Bench
    measure: str

    @property
    def area(self) -> Estimate:
        return self.evaluated.metrics[self.measure]

    @property
    def ends(self) -> list[float]:
        found = (self.area.low, self.area.value, self.area.high)
        return [end for end in found if end is not None]

    @property
    def ms(self) -> float:
        return self.bench.times.p50

    @property
    def machine(self) -> str:
        return self.bench.place


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


def check(points: Sequence[Point]) -> None:
    """Refuse what would look like a comparison and is none."""
    for point in points:
        _check_name(point.name)
        _check_bundle(point)
        _check_measure(point)
        if trained_on := point.evaluated.leakage.trained_on:
            raise UsageError(
                f"{point.name} was evaluated on images that it was trained on.",
                got=f"{trained_on:,} of them",
                expected="images that its networks have not seen",
                remedy="`dermedge evaluate` without --all-images",
            )
    first = points[0]
    for other in points[1:]:
        asked = [point.evaluated.asked(first.measure) for point in (first, other)]
        if asked[0] != asked[1]:
            raise UsageError(
                f"{first.name} and {other.name} were not asked the same of the same images.",
                got=" and ".join(map(str, asked)),
                expected="the same images, told apart into the same classes",
                remedy="evaluate all with the same --data and --split; --measure auc asks for the "
                "positives alone, whatever the others are called",
            )
    seen = [(point.name, point.machine) for point in points]
    if twice := [pair for pair in seen if seen.count(pair) > 1]:
        raise UsageError(
            "Two points have the same name on the same machine.",
            got=" on ".join(twice[0]),
            expected="a name of its own for each",
        )


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST:
        raise UsageError(
            "A point's name has to fit beside it.",
            got=f"'{name}', {len(name)} letters",
            expected=f"1 to {LONGEST} letters",
        )


def _check_bundle(point: Point) -> None:
    timed, judged = point.bench.bundle, point.evaluated.bundles
    if timed.digest not in {bundle.digest for bundle in judged}:
        raise UsageError(
            f"{point.name}: the bundle that was timed is not the one that was evaluated.",
            got=f"{timed.name} {timed.version}, {timed.digest[:12]}",
            expected=" or ".join(f"{b.name} {b.version}, {b.digest[:12]}" for b in judged),
            remedy="`dermedge bench --bundle` with the bundle that was evaluated, or one of its "
            "folds, unchanged since",
        )


def _check_measure(point: Point) -> None:
    areas = [name for name in point.evaluated.metrics if name.partition(".")[0] == "auc"]
    if point.measure not in areas or point.area.value is None:
        raise UsageError(
            f"{point.name} has no value of the measure '{point.measure}'.",
            expected=", ".join(n for n in areas if point.evaluated.metrics[n].value is not None),
            remedy="choose another --measure",
        )


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
