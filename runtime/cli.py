"""`dermedge VERB …`: a table of verbs, each imported only when it is called.

So `dermedge --help` is there at once, and a verb whose libraries are not installed takes none of
the others with it.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from runtime.command import errors_reported

VERBS = {
    "infer": ("runtime.infer", "Judge an image, a folder of images or a video."),
    "sessions": ("runtime.sessions", "List, export or verify what a camera captured."),
    "build": ("runtime.build", "Compile a bundle's engines for this machine."),
    "bench": ("runtime.bench", "Measure how fast a bundle runs on this machine."),
    "doctor": ("runtime.doctor", "Say what this machine has, what is missing, how to fix it."),
    "bundle": ("runtime.bundles", "Verify or show a bundle."),
    "phantoms": ("train.phantoms", "Write a synthetic data set in ISIC 2017 layout."),
    "strangers": ("train.strangers", "Write pictures that are no dermoscopy, to try a bundle on."),
    "audit": ("train.audit", "Find images that data sets have in common."),
    "train": ("train.fit", "Train a recipe's networks on a data set."),
    "reproduce": ("train.reproduce", "Train what a paper compares; its tables beside ours."),
    "export": ("export.make_bundle", "Turn trained networks, or ONNX files, into a bundle."),
    "quantize": ("calibration.quantize", "Turn a bundle's networks to 8 bits, within a budget."),
    "finetune": ("train.finetune", "Bring 8-bit networks back to what the float ones say."),
    "operate": ("calibration.operating_point", "Fit a bundle's temperature and threshold."),
    "tones": ("calibration.tones", "Set lesions on skin of eighteen tones, as a data set."),
    "evaluate": ("calibration.evaluate", "Measure how good a bundle is on labelled images."),
    "gate": ("calibration.gate", "Refuse a candidate bundle that lost too much."),
}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verbs(click.Group):
    """Lists verbs from the table, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        with errors_reported(ctx):
            return super().invoke(ctx)


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"dermedge {version('dermedge')}")
    except PackageNotFoundError:
        click.echo("dermedge, not installed: run from its sources")
    ctx.exit()


@click.group(cls=Verbs, context_settings=SETTINGS)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """A skin-lesion model from PyTorch to the machine beside a dermatoscope.

    Decision support for trained clinicians, not a diagnosis.

    \b
    dermedge infer --folder PICTURES     judge pictures with the demo bundle
    dermedge doctor                      see what this machine can run
    dermedge VERB --help                 options and examples of a verb
    """


if __name__ == "__main__":
    main(prog_name="dermedge")
