"""`--data`, as every command takes it that reads labelled images."""

from __future__ import annotations

from pathlib import Path

import click

data_option = click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A data set: a published one's folder, or a CSV of your own. May be repeated.",
)
