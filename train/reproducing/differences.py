"""What a row of ours differs in from the paper's, for those who compare: told by the run itself."""

from __future__ import annotations

from collections.abc import Iterator

from train.networks import encoder_name, starts_from
from train.pipeline import Pipeline
from train.recipe_parts.purifiers import ModelPurifier
from train.recipe_parts.training import Course, Training

HOW = (
    "Ours are out of fold: each image is judged by networks that were not trained on it. An "
    "interval (95 %) is by bootstrap over the images; ± is the deviation over the folds."
)


def differences(run: Pipeline, system: str, split: str) -> list[str]:
    """`system`: a row's, one member or several."""
    members = [system] if system in run.recipe.members else list(run.recipe.members)
    counts = ", ".join(f"{count} {label}" for label, count in run.table.counts().items())
    return [
        *_classifiers(run, members),
        *_parts_before(run),
        _starts(run, members),
        f"{run.recipe.folds} folds by {'patient' if split == 'patient' else 'image'}",
        f"{run.table.name}: {counts}",
    ]


def _classifiers(run: Pipeline, members: list[str]) -> Iterator[str]:
    recipe = run.recipe
    owns = [recipe.members[name] for name in members]
    yield ", ".join(sorted({f"{own.backbone} at {_size(own.size)}" for own in owns}))
    yield ", ".join(sorted({_course(recipe.training_of(name)) for name in members}))


def _parts_before(run: Pipeline) -> Iterator[str]:
    """What works before the classifiers, or for their training."""
    recipe = run.recipe
    if (segmenter := recipe.segmenter) is not None:
        encoder = encoder_name(recipe)
        start = f", {starts_from(recipe, run.machine.weights, encoder)}" if encoder else ""
        yield (
            f"masks by {segmenter.network.described} at {_size(segmenter.size)}{start}, "
            f"{_course(segmenter.training)}"
        )
    if isinstance(recipe.purifier, ModelPurifier):
        own = recipe.purifier
        assert run.purifying is not None
        left_out = "" if run.purifying.perceptual else ", without VGG16's terms"
        yield (
            f"purified by {own.described} at {_size(own.size)}, "
            f"{own.training.epochs} and {own.training.late_epochs} epochs{left_out}"
        )
    if (made := recipe.synthetic) is not None:
        yield f"GANs of {made.size} × {made.size}, {_course(made.training)}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} × {size[0]}"


def _course(course: Course) -> str:
    most = "at most " * (course.patience is not None)
    optimizer = f", {course.optimizer} at {course.rate:g}" if isinstance(course, Training) else ""
    epochs = "1 epoch" if course.epochs == 1 else f"{course.epochs} epochs"
    return f"{most}{epochs} in batches of {course.batch}{optimizer}"


def _starts(run: Pipeline, members: list[str]) -> str:
    """What each backbone starts from."""
    backbones = dict.fromkeys(run.recipe.members[name].backbone for name in members)
    starts = {name: starts_from(run.recipe, run.machine.weights, name) for name in backbones}
    if len(set(starts.values())) == 1:
        return next(iter(starts.values()))
    return ", ".join(f"{name} {start}" for name, start in starts.items())
