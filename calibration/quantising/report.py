"""What quantising found out, for people: sensitivity.csv and its plot, and a part of the card."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from calibration.quantising.record import CalibrationRecord, ModelRecord, TuningRecord
from runtime.card_section import put_section

CSV, PLOT = "sensitivity.csv", "sensitivity.png"
HEADING = "## Precision"
COLUMNS = (
    "model", "method", "loss, mean", "worst", "blocks in 16 bits", "size, of fp32", "int8 run by"
)  # fmt: skip
UNITS = {
    "probability": "mean change of a class probability",
    "mask": "mean part of the mask that changes",
}


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("onnx", "onnxruntime", "openvino", "numpy")}


def write_files(folder: Path, record: CalibrationRecord) -> None:
    _write_table(folder / CSV, record)
    _write_plot(folder / PLOT, record)
    put_section(folder, HEADING, list(_section(record)))


def _write_table(file: Path, record: CalibrationRecord) -> None:
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(["model", "group", "layers", "measure", "mean", "worst", "precision"])
        for name, model in record.models.items():
            for group in model.groups:
                loss = (f"{group.loss.mean:.6f}", f"{group.loss.worst:.6f}")
                writer.writerow(
                    [name, group.name, group.layers, model.measure, *loss, group.precision]
                )


def _write_plot(file: Path, record: CalibrationRecord) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = {name: model for name, model in record.models.items() if model.groups}
    tall = sum(0.16 * len(model.groups) + 1.0 for model in models.values())
    figure = Figure(figsize=(8, max(tall, 2.5)), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [len(model.groups) + 4 for model in models.values()]
    axes = figure.subplots(len(models), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axis, (name, model) in zip(axes, models.items(), strict=True):
        colours = ["#c0392b" if g.precision == "fp16" else "#2980b9" for g in model.groups]
        places = range(len(model.groups))
        axis.barh(places, [group.loss.mean for group in model.groups], color=colours)
        axis.set_yticks(places, [group.name for group in model.groups], fontsize=6)
        axis.invert_yaxis()
        axis.set_title(f"{name} ({model.method})", loc="left", fontsize=9)
        axis.set_xlabel(UNITS[model.measure or "probability"], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
    figure.suptitle("Loss when one block alone has 8 bits (red: it stays in 16)", fontsize=10)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def _section(record: CalibrationRecord) -> Iterator[str]:
    yield (
        f"Quantised to 8 bits after training, on {len(record.images)} images without labels "
        "(`calibration.json` lists them by SHA-256). Weights and activations of most layers have 8 "
        "bits; what does not bear it, and what is too small to gain by it, has 16. A loss is the "
        "mean change of a class probability, for the segmenter the part of the mask that changes. "
        "No accuracy was measured here: `dermedge gate` does that, against the float bundle.\n"
    )
    if record.tuning is not None:
        yield _tuning_sentence(record, record.tuning) + "\n"
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * len(COLUMNS)
    for name, model in record.models.items():
        yield "| " + " | ".join((name, *cells(model))) + " |"
    yield ""
    if record.chain is not None:
        yield chain_sentence(record) + "\n"


def _tuning_sentence(record: CalibrationRecord, tuning: TuningRecord) -> str:
    told = []
    for name in tuning.models:
        before, after = record.models[name].loss_before_tuning, record.models[name].loss
        if before is not None:
            kept = " (nothing gained: it stays as it was)" if before == after else ""
            told.append(f"{name} {before.mean:.4f}{kept}")
    return (
        f"Fine-tuned afterwards on {len(tuning.images)} images without labels, {tuning.passes} "
        "times over, to say what the float networks say. Losses of these networks are, in the "
        f"table, of {len(tuning.judged_on)} images aside; before the fine-tune they were: "
        f"{', '.join(told)}."
    )


def cells(model: ModelRecord) -> tuple[str, ...]:
    if not model.quantised or model.loss is None:
        return ("stays in float", "–", "–", "–", "–", "–")
    kept = sum(group.precision == "fp16" for group in model.groups)
    return (
        model.method or "",
        f"{model.loss.mean:.4f}",
        f"{model.loss.worst:.3f}",
        f"{kept} of {len(model.groups)}",
        f"{model.bytes['int8'] / model.bytes['fp32']:.2f}",
        ", ".join(model.backends) or "all engines",
    )


def chain_sentence(record: CalibrationRecord) -> str:
    chain = record.chain
    if chain is None:
        return ""
    text = (
        f"The whole chain in 8 bits moves the score by {chain.mean_change:.4f} on average and by "
        f"{chain.worst_change:.3f} at most, over {chain.images} "
        + ("images aside from the fine-tune" if record.tuning else "calibration images")
    )
    if not chain.decisions:
        return text + "."
    return text + f"; {chain.decisions_changed} of {chain.decisions} decisions change."
