"""Every error dermedge raises on purpose, and the exit code each one ends a command with.

DermedgeError          1   something went wrong that is not the user's input
├── UsageError         2   a bad option, a missing folder, an output that cannot be written
│   └── InputError     2   an image, table or video that cannot be read
├── BundleError        3   a bundle that is damaged, inconsistent or not ours to run
├── BackendError       4   no engine can run here, or an engine refused a graph
└── GateError          5   a candidate bundle lost more than its limits allow

A message says what happened, what was found, what was expected and what to do about it.
Errors of other libraries are wrapped with `raise … from exc` where they are first seen.
"""

from __future__ import annotations


class DermedgeError(Exception):
    """Base of all of ours. `got`, `expected` and `remedy` are printed on lines of their own."""

    exit_code = 1

    def __init__(
        self, what: str, *, got: object = None, expected: object = None, remedy: str | None = None
    ) -> None:
        self.what = what
        self.got = None if got is None else str(got)
        self.expected = None if expected is None else str(expected)
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        for label, text in (("got", self.got), ("expected", self.expected), ("try", self.remedy)):
            if text is not None:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)

    @property
    def one_line(self) -> str:
        """For the `reason` field of a record, where line breaks would be in the way."""
        parts = [self.what.rstrip(".")]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        return "; ".join(parts)


class UsageError(DermedgeError):
    exit_code = 2


class InputError(UsageError):
    pass


class BundleError(DermedgeError):
    exit_code = 3


class BackendError(DermedgeError):
    exit_code = 4


class GateError(DermedgeError):
    exit_code = 5


def missing_extra(package: str, extra: str, purpose: str) -> BackendError:
    """An optional dependency is not installed: name it, and the command that installs it."""
    return BackendError(
        f"{purpose} needs '{package}', which is not installed.",
        remedy=f"pip install 'dermedge[{extra}]'",
    )
