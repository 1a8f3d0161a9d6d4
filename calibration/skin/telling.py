"""The tone of each image of a data set: as it was made, or as the skin around the lesion looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.evaluation.masks import read_mask
from calibration.judged import Judged, Judgement
from calibration.skin.around import skin_colour
from calibration.skin.palette import Lab, Tone, nearest_tone, toned
from runtime.decode import read_image
from runtime.lesion import Mask
from train.data.table import Sample


@dataclass(frozen=True, slots=True)
class Told:
    tone: Tone
    colour: Lab | None = None  # what was measured; None: the tone is what the picture was made with
    distance: float = 0.0  # of that colour from the tone


def tell_tones(judged: Judged, made: Mapping[str, str]) -> dict[str, Told]:
    """By the image's name; who is missing has a tone that cannot be told. `made` are names of tones
    that manifests have."""
    found = {}
    for sample, judgement in zip(judged.table, judged.judgements, strict=True):
        tone = toned(made.get(sample.id, ""))
        told = _measured(sample, judgement) if tone is None else Told(tone)
        if told is not None:
            found[sample.id] = told
    return found


def _measured(sample: Sample, judgement: Judgement) -> Told | None:
    mask = None if judgement.result is None else _mask(sample, judgement)
    if mask is None:
        return None
    colour = skin_colour(read_image(sample.image).frame, mask)
    if colour is None:
        return None
    tone, distance = nearest_tone(colour)
    lightness, red, yellow = (float(value) for value in colour)
    return Told(tone, (lightness, red, yellow), distance)


def _mask(sample: Sample, judgement: Judgement) -> Mask | None:
    """What the bundle outlined, else what people did: a bundle may have no segmenter."""
    if judgement.mask is not None:
        return judgement.mask
    return None if sample.mask is None else read_mask(sample.mask)
