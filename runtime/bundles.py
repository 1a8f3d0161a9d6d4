"""`dermedge bundle`: is this bundle whole, and what is in it?

dermedge bundle verify BUNDLE     every hash, and every golden image through its networks
dermedge bundle show BUNDLE       classes, networks, threshold, provenance
dermedge bundle slim BUNDLE       without the float files that its 8-bit ones stand in for
dermedge bundle release BUNDLE    mark it as the one to use, if its gate has passed it
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.command import Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.bundle import Bundle, ModelSpec
    from runtime.bundle_files import LoadedBundle

FOLDER = click.argument("folder", metavar="BUNDLE", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Check a bundle, show what is in it, slim it, or release it."""


@command.command(cls=Verb)
@FOLDER
@click.option("--backend", default="auto", show_default=True, help="The engine to test it with.")
@click.option(
    "--files-only", is_flag=True, help="Check hashes and bundle.json, and run no network."
)
def verify(folder: Path, backend: str, files_only: bool) -> None:
    """Check every file of a bundle, load its networks and run its golden images.

    Ends with exit code 0 where all is as it should be, 3 where the bundle is refused, and 4
    where no engine can run here.

    \b
    Examples:
      dermedge bundle verify bundles/ding
      dermedge bundle verify bundles/ding --backend onnxruntime
    """
    from runtime.bundle_files import load_bundle

    bundle = load_bundle(folder)
    click.echo(f"{_title(bundle)}: all {len(bundle.spec.files)} files are what they should be.")
    click.echo(f"Gate: {_gate_line(bundle.spec)}.")
    click.echo(f"Release: {_release_line(bundle.spec)}.")
    if not files_only:
        _self_test(bundle, backend)


def _self_test(bundle: LoadedBundle, backend: str) -> None:
    from runtime.chain import open_chain
    from runtime.golden import chain_precision

    with open_chain(bundle, backend) as chain:
        how = f"{chain.backend.name} in {chain_precision(chain)}"
    count = len(bundle.spec.golden)
    if count:
        images = "1 golden image gives" if count == 1 else f"{count} golden images give"
        click.echo(f"{images} the expected results with {how}.")
    else:
        click.echo(f"Its networks load with {how}, but it has no golden images to test them on.")


@command.command(cls=Verb)
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json as it was understood.")
def show(folder: Path, as_json: bool) -> None:
    """Print what a bundle is: classes, networks, decision, provenance.

    \b
    Examples:
      dermedge bundle show bundles/ding
      dermedge bundle show bundles/ding --json | jq .decision
    """
    from runtime.bundle_files import load_bundle

    bundle = load_bundle(folder)
    if as_json:
        click.echo(bundle.spec.model_dump_json(by_alias=True, indent=1))
        return
    facts = list(_facts(bundle))
    wide = max(len(label) for label, _ in facts) + 2
    for label, text in facts:
        click.echo(click.style(label.ljust(wide), bold=True) + text)


@command.command("slim", cls=Verb)
@FOLDER
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The new bundle's folder."
)
@click.option(
    "--heat-maps",
    multiple=True,
    help="A model that goes on drawing heat maps, with its float file; may be given more than "
    "once. `bundle show --json` has them in chain.explain.",
)
def slim_down(folder: Path, out: Path, heat_maps: tuple[str, ...]) -> None:
    """Leave the float files out of a quantised bundle: a third of the size.

    Every engine then runs the 8-bit files, those without 8-bit kernels too, more slowly. The result
    has no verdict yet: gate it with --folds and --originals.

    \b
    Examples:
      dermedge bundle slim bundles/ding8 --out bundles/ding8-slim
      dermedge bundle slim bundles/edge8 --out bundles/edge --heat-maps whole_heatmap
    """
    from runtime.bundle_files import load_bundle
    from runtime.slimming import slim

    bundle = load_bundle(folder)
    made = slim(bundle, out, heat_maps)
    sizes = [_bytes(each) / 1e6 for each in (bundle, made)]
    click.echo(
        f"{_title(made)}: {sizes[0]:.1f} MB before, {sizes[1]:.1f} MB now. Written to {out}."
    )


def _bytes(bundle: LoadedBundle) -> int:
    return sum((bundle.path / inside).stat().st_size for inside in bundle.spec.files)


@command.command(cls=Verb)
@FOLDER
def release(folder: Path) -> None:
    """Mark a bundle as released: with today's date, in its bundle.json and on its card.

    Ends with exit code 5 unless the gate has passed the bundle as it is now. Whatever is changed in
    it later is not released any more.

    \b
    Example:
      dermedge bundle release bundles/ding8
    """
    from runtime.bundle_files import load_bundle
    from runtime.releasing import release as mark

    bundle = mark(load_bundle(folder))
    click.echo(f"{_title(bundle)}: {_release_line(bundle.spec)}.")


def _facts(bundle: LoadedBundle) -> Iterator[tuple[str, str]]:
    spec = bundle.spec
    yield "bundle", _title(bundle)
    yield "digest", bundle.digest
    yield "created", spec.created.isoformat()
    yield "recipe", spec.recipe
    yield "intended use", spec.intended_use
    yield (
        "classes",
        ", ".join(f"{name} (positive)" if name in spec.positive else name for name in spec.classes),
    )
    for name in dict.fromkeys([*_order(spec), *spec.models]):
        yield f"  {name}", _model_line(spec.models[name])
    yield "chain", " → ".join(_stages(spec))
    yield "decision", _decision_line(spec)
    yield "gate", _gate_line(spec)
    yield "release", _release_line(spec)
    yield "golden", f"{len(spec.golden)} images"
    trained = ", ".join(f"{data.name} ({data.images} images)" for data in spec.provenance.data)
    yield "trained on", (trained or "not stated") + f", code {spec.provenance.revision}"


def _title(bundle: LoadedBundle) -> str:
    return f"{bundle.spec.name} {bundle.spec.version} ({bundle.digest[:12]})"


def _order(spec: Bundle) -> list[str]:
    from runtime.host_chain import models_in_use

    return models_in_use(spec)


def _model_line(model: ModelSpec) -> str:
    inputs = [
        f"{item.preprocess.size[0]}×{item.preprocess.size[1]} {item.preprocess.colour}"
        f" of view '{item.view}'"
        if item.kind == "image"
        else item.kind
        for item in model.inputs
    ]
    roles = ", ".join(output.role for output in model.outputs)
    precisions = ", ".join(
        variant.precision + (f" for {'/'.join(variant.backends)}" if variant.backends else "")
        for variant in model.variants
    )
    return f"{' + '.join(inputs)} to {roles}; {precisions}"


def _stages(spec: Bundle) -> list[str]:
    chain = spec.chain
    return [
        *([f"segment: {chain.segment.model}"] if chain.segment else []),
        *([f"purify: {chain.purify.model or chain.purify.method}"] if chain.purify else []),
        "classify: " + ", ".join(chain.classify),
        *([f"combine: {chain.combine.model}"] if chain.combine else []),
    ]


def _decision_line(spec: Bundle) -> str:
    decision = spec.decision
    line = f"score is P({decision.score}) at temperature {decision.temperature:g}"
    point = decision.operating_point
    if decision.threshold is None or point is None:
        return line + "; no threshold fitted yet (dermedge operate fits one)"
    low, high = point.sensitivity_interval.low, point.sensitivity_interval.high
    covered = decision.coverage
    return (
        f"{line}; refer from {decision.threshold:.3f}: sensitivity {point.sensitivity:.3f} "
        f"({low:.3f} to {high:.3f}), specificity {point.specificity:.3f}, {point.predictions}"
        + (f"; decides {covered.decided:.1%} of real lesions" if covered else "")
    )


def _gate_line(spec: Bundle) -> str:
    from runtime.gate_state import gate_words

    return gate_words(spec)


def _release_line(spec: Bundle) -> str:
    from runtime.releasing import release_words

    return release_words(spec)


if __name__ == "__main__":
    command()
