"""What ships with the runtime to be tried at once: a small bundle, and frames to run it over."""

from __future__ import annotations

from pathlib import Path

BUNDLE = Path(__file__).parent / "bundle"
FRAMES = Path(__file__).parent / "frames"
