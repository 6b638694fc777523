"""How maps look where nothing else is asked for. Importable without numpy."""

from __future__ import annotations

ALPHA = 0.5
"""Strength of the heat over the photo, 0 to 1."""
LEVEL = 0.5
"""Share of a map's limit at which contour, mask and box draw the line."""
