"""How every verb ends: one place that turns errors into messages and exit codes.

`dermedge infer …` and `python runtime/infer.py …` run the same click command, so what is handled
here is handled alike in both. An error of ours is printed without a traceback and ends with its
own code (runtime/errors.py); anything else is a defect and keeps its traceback, with exit code 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from runtime.errors import DermedgeError, missing_extra

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended: 128 + SIGINT

EXTRA_OF = {
    "cv2": "cpu",
    "openvino": "cpu",
    "onnxruntime": "ort",
    "torch": "train",
    "torchvision": "train",
    "timm": "train",
    "segmentation_models_pytorch": "train",
    "lightning": "train",
    "scipy": "calibration",
    "sklearn": "calibration",
    "yaml": "camera",
    "evdev": "camera",
    "gpiod": "camera",
    "onnx": "export",
    "onnxscript": "export",
    "matplotlib": "calibration",
    "starlette": "web",
    "uvicorn": "web",
    "cryptography": "sign",
}
"""Which extra installs an optional module, for the message where it is missing."""


def print_error(error: DermedgeError) -> None:
    # A file name may hold bytes that are no text; showing the message must not fail on them.
    text = str(error).encode("utf-8", "backslashreplace").decode("utf-8")
    click.echo(click.style("Error: ", fg="red", bold=True) + text, err=True)


@contextmanager
def errors_reported(context: click.Context) -> Iterator[None]:
    """Run a verb's body (or its import) and end with the exit code its error asks for."""
    try:
        yield
    except DermedgeError as error:
        print_error(error)
        context.exit(error.exit_code)
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA_OF:
            raise
        wrapped = missing_extra(module, EXTRA_OF[module], f"'{context.command_path}'")
        print_error(wrapped)
        context.exit(wrapped.exit_code)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        context.exit(INTERRUPTED)


class Number(click.FloatRange):
    """A number within limits. NaN, which is neither below nor above any limit, is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Verb(click.Command):
    """The class of every verb: `@click.command(cls=Verb)`."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        settings["context_settings"] = context_settings | (settings.get("context_settings") or {})
        super().__init__(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        with errors_reported(ctx):
            return super().invoke(ctx)
