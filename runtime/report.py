"""`report.html` of a scan: one file that a doctor can read, print and archive.

write_report(Path("out"))   # reads results.jsonl, run.json and overlays/ there
"""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import InputError, UsageError
from runtime.reporting.page import render
from runtime.reporting.reading import RunFacts, read_results
from runtime.reporting.summary import Summary


def write_report(out_dir: Path) -> Path:
    """Write the report of the scan in `out_dir`, replacing an older one only when complete."""
    results = out_dir / "results.jsonl"
    summary = Summary()
    try:
        for result in read_results(results):
            summary.add(result)
    except OSError as exc:
        raise InputError(
            "The results of the scan cannot be read.",
            got=exc,
            expected=f"the records of a scan in {results}",
            remedy="give the folder that was passed to `dermedge infer --out`",
        ) from exc
    target, unfinished = out_dir / "report.html", out_dir / ".report.html.part"
    facts = RunFacts.read(out_dir / "run.json", summary.first)
    try:
        with unfinished.open("w", encoding="utf-8") as page:
            page.writelines(render(summary, facts, out_dir / "overlays"))
        os.replace(unfinished, target)
    except OSError as exc:
        unfinished.unlink(missing_ok=True)
        raise UsageError(
            f"The report cannot be written to {target}.",
            got=exc,
            remedy="check free space and rights of that folder",
        ) from exc
    return target
