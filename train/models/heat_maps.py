"""What shows where a member looks, by the word that a recipe has for it."""

from __future__ import annotations

from train.models.activations import Activations
from train.models.visual_backprop import VisualBackProp
from train.recipe_parts.members import HeatMap

HEAT_MAPS: dict[HeatMap, type[VisualBackProp]] = {
    "visual_backprop": VisualBackProp,
    "activations": Activations,
}
