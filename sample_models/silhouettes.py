"""Outlines of the object classes and of the distractors, as polygons in unit coordinates.

Each outline lives in a square of about -1..1 with y pointing down, upright and unrotated. Where an
outline takes ``rng``, its proportions vary from one object to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
Tone = Literal["body", "dark", "light", "accent"]


@dataclass(frozen=True, slots=True)
class Part:
    """One filled polygon of an object; the object's silhouette is the union of its parts.

    Attributes
    ----------
    outline : ndarray, shape (n, 2)
        Corner points as (x, y).
    tone : {"body", "dark", "light", "accent"}
        Which of the object's own paints fills it.
    """

    outline: Polygon
    tone: Tone = "body"


def _points(*corners: tuple[float, float]) -> Polygon:
    return np.array(corners, dtype=np.float64)


def _ellipse(cx: float, cy: float, rx: float, ry: float, n: int = 40) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> Polygon:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def apple(rng: np.random.Generator) -> list[Part]:
    angle = np.linspace(-np.pi, np.pi, 80, endpoint=False)
    top, bottom = angle + np.pi / 2, np.abs(angle) - np.pi / 2
    bottom = np.where(angle > 0, bottom, np.pi)
    radius = 0.9 - 0.32 * np.exp(-((top / 0.42) ** 2)) - 0.14 * np.exp(-((bottom / 0.3) ** 2))
    body = _polar(radius, angle) * [rng.uniform(0.92, 1.05), rng.uniform(0.88, 1.0)] + [0, 0.1]
    lean = rng.uniform(-0.15, 0.15)
    stem = _points((-0.07, -0.35), (0.07, -0.35), (lean + 0.1, -1.0), (lean - 0.07, -1.0))
    along = np.linspace(0, 1, 14)
    bulge = 0.2 * np.sin(np.pi * along)
    edge = np.concatenate(
        [np.stack([along, bulge], axis=1), np.stack([along, -bulge], axis=1)[::-1]]
    )
    turn = rng.uniform(-0.75, -0.3)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    leaf = edge @ rotation * 0.68 + [0.03, -0.58]
    return [Part(stem, "dark"), Part(leaf, "accent"), Part(body)]


def star(rng: np.random.Generator) -> list[Part]:
    angle = -np.pi / 2 + np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2 == 0, 1.0, rng.uniform(0.5, 0.6))
    return [Part(_polar(radius, angle))]


def cross(rng: np.random.Generator) -> list[Part]:
    w = rng.uniform(0.33, 0.43)
    return [
        Part(
            _points(
                *[(-w, -0.95), (w, -0.95), (w, -w), (0.95, -w), (0.95, w), (w, w)],
                *[(w, 0.95), (-w, 0.95), (-w, w), (-0.95, w), (-0.95, -w), (-w, -w)],
            )
        )
    ]


def house(rng: np.random.Generator) -> list[Part]:
    wall, eaves = rng.uniform(0.62, 0.75), rng.uniform(0.88, 1.0)
    foot = rng.uniform(0.8, 0.95)
    door = rng.uniform(-0.35, 0.1)
    return [
        Part(_points((0.35, -0.95), (0.58, -0.95), (0.58, -0.2), (0.35, -0.2)), "dark"),
        Part(_points((-wall, -0.2), (wall, -0.2), (wall, foot), (-wall, foot))),
        Part(_points((-eaves, -0.12), (0.0, -0.98), (eaves, -0.12)), "accent"),
        Part(_points((door, 0.25), (door + 0.28, 0.25), (door + 0.28, foot), (door, foot)), "dark"),
        Part(_points((0.22, 0.1), (0.22, 0.4), (0.5, 0.4), (0.5, 0.1)), "light"),
    ]


def fish(rng: np.random.Generator) -> list[Part]:
    height = rng.uniform(0.55, 0.68)
    along = np.linspace(0, np.pi, 24)
    upper = np.stack([-0.2 - 0.8 * np.cos(along), -height * np.sin(along) ** 0.8], axis=1)
    body = np.concatenate([upper, (upper * [1, -1])[::-1]])
    fork = rng.uniform(0.05, 0.2)
    tail = _points((0.35, 0.0), (1.0, -0.62), (1.0 - fork, 0.0), (1.0, 0.62))
    fin = _points((-0.45, -0.3), (-0.1, -height - 0.3), (0.3, -height - 0.22), (0.2, -0.3))
    return [
        Part(tail, "accent"),
        Part(fin, "accent"),
        Part(body),
        Part(_ellipse(-0.62, -0.13, 0.13, 0.13, 16), "light"),
        Part(_ellipse(-0.64, -0.13, 0.06, 0.06, 12), "dark"),
    ]


def mushroom(rng: np.random.Generator) -> list[Part]:
    angle = np.linspace(np.pi, 2 * np.pi, 30)
    brim = rng.uniform(0.08, 0.22)
    dome = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.85, 1.0)], axis=1)
    under = np.stack([np.cos(angle[::-1]), -brim * np.sin(angle[::-1])], axis=1)
    cap = np.concatenate([dome, under]) * [rng.uniform(0.85, 0.95), 1]
    w = rng.uniform(0.36, 0.46)
    stem = _points(
        (-w, 0.0), (w, 0.0), (w + 0.1, 0.85), (w - 0.1, 0.97), (-w, 0.97), (-w - 0.1, 0.85)
    )
    spots = [(-0.45, -0.3, 0.16), (0.05, -0.55, 0.2), (0.5, -0.25, 0.15)]
    return [
        Part(stem, "light"),
        Part(cap),
        *(Part(_ellipse(x, y, r, r * 0.85, 20), "light") for x, y, r in spots),
    ]


SILHOUETTES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "apple": apple,
    "star": star,
    "cross": cross,
    "house": house,
    "fish": fish,
    "mushroom": mushroom,
}


def distractor(rng: np.random.Generator) -> Polygon:
    """Outline of something that belongs to no class: blob, ellipse, triangle, bar, arc, zigzag."""
    kind = rng.integers(6)
    if kind == 0:
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        radius = np.full_like(angle, 0.75)
        for wave in (2, 3, 4):
            radius += rng.uniform(0, 0.12) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
        return _polar(radius, angle)
    if kind == 1:
        return _ellipse(0, 0, rng.uniform(0.6, 1.0), rng.uniform(0.35, 0.8))
    if kind == 2:
        angle = np.arange(3) * 2 * np.pi / 3 + rng.uniform(-0.4, 0.4, 3)
        return _polar(rng.uniform(0.7, 1.0, 3), angle)
    if kind == 3:
        w = rng.uniform(0.06, 0.3)
        return _points((-1.4, -w), (1.4, -w), (1.4, w), (-1.4, w))
    if kind == 4:
        angle = np.linspace(0, rng.uniform(2.0, 4.0), 24)
        inner = 1 - rng.uniform(0.15, 0.4)
        outer = _polar(np.ones_like(angle), angle)
        return np.concatenate([outer, outer[::-1] * inner])
    x = np.linspace(-1.3, 1.3, 6)
    y = np.where(np.arange(6) % 2 == 0, -0.3, 0.3)
    line = np.stack([x, y], axis=1)
    thick = [0, rng.uniform(0.15, 0.3)]
    return np.concatenate([line - thick, (line + thick)[::-1]])
