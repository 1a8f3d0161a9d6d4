"""The drawing of synthetic dermoscopy images. Needs numpy and OpenCV only, never torch."""
