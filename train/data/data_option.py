"""`--data`, as every command takes it that reads labelled images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _option(required: bool) -> Callable[[Command], Command]:
    return click.option(
        "--data",
        required=required,
        multiple=True,
        type=click.Path(path_type=Path),
        help="A data set: a published one's folder, or a CSV of your own. May be repeated.",
    )


data_option, optional_data_option = _option(required=True), _option(required=False)
