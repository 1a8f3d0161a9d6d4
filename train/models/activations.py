"""The last convolution's activations over the picture, as Goel et al. show them (figure 2).

The maps that are pooled for the decision, averaged over their channels and enlarged to the picture.
They are as coarse as those maps are: seven cells a side where a network looks at 224 pixels.
"""

from __future__ import annotations

from train.models.member import Member
from train.models.visual_backprop import VisualBackProp


class Activations(VisualBackProp):
    """VisualBackProp of the deepest layer alone: there is nothing to multiply it by."""

    def __init__(self, net: Member, size: tuple[int, int]) -> None:
        super().__init__(net, size)
        self._layers = self._layers[-1:]
