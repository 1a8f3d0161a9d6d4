"""What ships with the runtime to be tried at once: a bundle, frames for it, and a recording."""

from __future__ import annotations

from pathlib import Path

BUNDLE = Path(__file__).parent / "bundle"
FRAMES = Path(__file__).parent / "frames"
# dermedge phantoms --count 12 --size 512 --seed 22 --recording hand.mp4
RECORDING = Path(__file__).parent / "hand.mp4"
