"""What lies on a picture besides the lesion, as told by a table `artefacts.csv` in its data set.

    image_id,dark_corner,hair,gel_border,gel_bubble,ruler,ink,patches
    ISIC_0000001,0,1,0,1,0,0,0

Networks learn such things as shortcuts (surgical ink for melanoma), so figures are wanted with and
without them. A picture that nobody looked at has no flags, which is not the same as a clean one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Artefacts:
    """True or false where somebody looked, None where nobody did."""

    dark_corner: bool | None = None
    hair: bool | None = None
    gel_border: bool | None = None
    gel_bubble: bool | None = None
    ruler: bool | None = None
    ink: bool | None = None
    patches: bool | None = None


ARTEFACTS = tuple(field.name for field in fields(Artefacts))
NOTHING_KNOWN = Artefacts()
