"""The GPU's figures on the screen, and the sentences that say what they are to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

MOST_OVER_LIMIT, MOST_HOST_MS, LEAST_SHARE = 1.15, 0.3, 0.9
"""What we hold ourselves to: chain over limit, host's milliseconds a frame, batch over engines."""

SPENT = {"gpu_ms": "GPU", "wall_ms": "until the host has it", "host_ms": "of the host's time"}


def device_table(found: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table("ms on the GPU", box=None, pad_edge=False)
    for header in ("p50", "p90", "p99", "scatter"):
        table.add_column(header, justify="right")
    for name, row in found["engines"].items():
        _add(table, name, row)
    _add(table, "all engines, side by side", found["engines_together"])
    for mode, row in found["modes"].items():
        for key, words in SPENT.items():
            if key in row:
                _add(table, f"[bold]chain as {mode}[/], {words}", row[key])
    return table


def _add(table: Table, name: str, row: dict[str, float]) -> None:
    times = [f"{row[key]:.3f}" for key in ("p50", "p90", "p99")]
    table.add_row(name, *times, f"{row['cv']:.1%}")


def device_sentences(found: dict[str, Any]) -> list[str]:
    rows, columns = found["frame"]
    mode, first = next(iter(found["modes"].items()))
    host = first.get("host_ms", first["wall_ms"])["p50"]
    batch = found["batch"]
    rates = batch["frames_per_second"]
    return [
        f"One {columns} × {rows} frame on {found['gpu']}; engines one after the other "
        f"{found['sum_ms']:.3f} ms.",
        f"The longest way is through {found['longest_branch']}: {found['limit_ms']:.3f} ms. The "
        f"chain takes {found['ratio']:.2f} times that "
        f"({_verdict(found['ratio'] <= MOST_OVER_LIMIT, f'{MOST_OVER_LIMIT:g} at most')}), and "
        f"{found['over_engines']:.2f} times what its engines take side by side.",
        f"A frame costs the host {host:.3f} ms as {mode} "
        f"({_verdict(host <= MOST_HOST_MS, f'{MOST_HOST_MS:g} at most')}).",
        f"{batch['frames_at_once']} at once, as {batch['mode']}: {rates['chain']:.0f} frames a "
        f"second, {batch['share']:.0%} of the engines' {rates['engines']:.0f} "
        f"({_verdict(batch['share'] >= LEAST_SHARE, f'{LEAST_SHARE:.0%} at least')}).",
        *(f"Not as {way}: {why}." for way, why in found["refused"].items()),
    ]


def _verdict(met: bool, wanted: str) -> str:
    return f"{'met' if met else 'missed'}: {wanted}"
