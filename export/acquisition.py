"""The limits on how a picture was taken that every exported bundle starts with.

Each is at the far end of what good pictures have: docs/acquisition.md shows how many real ones lie
outside, and how often a spoilt one does. They are of dermoscopy, not of one system's networks.
"""

from __future__ import annotations

from typing import Any

ACQUISITION: dict[str, dict[str, Any]] = {
    "short_side": {
        "min": 64,
        "hint": "The picture is too small to judge: use one of at least 64 pixels a side.",
    },
    "skin": {"min": 0.25, "hint": "This does not look like skin: put the dermatoscope on it."},
    "exposure": {
        "min": 0.15,
        "max": 0.93,
        "hint": "Too dark or too bright: adjust the light until the skin shows its colour.",
    },
    "dark_clipped": {"max": 0.3, "hint": "Much of the picture is black: more light."},
    "bright_clipped": {"max": 0.3, "hint": "Much of the picture is plain white: less light."},
    "dark_rim": {
        "max": 0.4,
        "hint": "The dark rim covers too much: move the camera closer or zoom in.",
    },
    "glare": {"max": 0.1, "hint": "There are reflections: use the polariser, or add gel."},
    "focus": {"min": 0.15, "hint": "Out of focus: hold still and focus on the lesion."},
    "motion": {"max": 0.68, "hint": "Blurred by motion: hold the dermatoscope still."},
    "contrast": {"min": 0.012, "hint": "Nothing stands out: clean the lens, and focus again."},
    "hair": {"max": 0.3, "hint": "Hair covers too much: comb it aside, with gel, or shave."},
    "lesion_area": {
        "min": 0.004,
        "max": 0.92,
        "better": [0.02, 0.8],
        "hint": "Move until the lesion fills about a third of the circle, with skin around it.",
    },
    "lesion_at_border": {
        "max": 0.6,
        "better": [None, 0.25],
        "hint": "The lesion reaches over the border: move it into the middle, or move back.",
    },
    "lesion_contrast": {
        "min": 2.5,
        "hint": "What is outlined looks like the skin around it: bring the lesion into the middle.",
    },
    "lesion_pigment": {
        "min": -0.07,
        "hint": "Check the camera's colours; a blue or white lesion is for a physician to judge.",
    },
    "next_lesion": {
        "max": 0.5,
        "hint": "There are several lesions: bring one alone into the middle.",
    },
}
