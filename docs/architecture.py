"""The picture of the packages in ``architecture.md``, drawn from the imports of the code.

``python docs/architecture.py`` writes ``docs/images/architecture.svg``; a test compares the two.
An arrow means "imports"; one that follows from others is left out.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, ROW, BOX_HEIGHT, GAP, MARGIN = 860, 74, 34, 18, 24
CHARACTER = 8.2
STAGGER = 150


def floors() -> list[list[str]]:
    """The packages, from the top floor down, as the contract in ``pyproject.toml`` has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c for c in contracts if c["id"] == "floors")["layers"]
    return [layer.replace("|", ":").replace(" ", "").split(":") for layer in layers]


def imports() -> dict[str, set[str]]:
    """Package -> the packages that it imports, in functions and for types, too."""
    found: dict[str, set[str]] = {name: set() for floor in floors() for name in floor}
    for path in (ROOT / "kvis_cli").rglob("*.py"):
        own = path.relative_to(ROOT / "kvis_cli").parts[0].removesuffix(".py")
        if own not in found:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "kvis_cli" and len(parts) > 1 and parts[1] in found:
                    found[own].add(parts[1])
    return {name: others - {name} for name, others in found.items()}


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The edges without those that a longer way replaces."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        pending = list(edges[start])
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending.extend(edges[name])
        return seen

    below = {name: reach(name) for name in edges}
    return {
        name: {o for o in others if not any(o in below[between] for between in others - {o})}
        for name, others in edges.items()
    }


def picture() -> str:
    """The SVG."""
    places: dict[str, tuple[float, float, float]] = {}
    for number, floor in enumerate(floors()):
        widths = [len(name) * CHARACTER + 26 for name in floor]
        left = (WIDTH - sum(widths) - GAP * (len(floor) - 1)) / 2
        # One below the other, boxes would hide the arrows between their neighbours.
        left += STAGGER * (number % 3 - 1) if len(floor) <= 2 else 0
        for name, width in zip(floor, widths, strict=True):
            places[name] = (left, MARGIN + number * ROW, width)
            left += width + GAP
    height = MARGIN * 2 + (len(floors()) - 1) * ROW + BOX_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="14">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#78909c"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for name, others in sorted(reduced(imports()).items()):
        x, y, width = places[name]
        for other in sorted(others):
            to_x, to_y, to_width = places[other]
            begin = (x + width / 2, y + BOX_HEIGHT)
            end = (to_x + to_width / 2, to_y - 1)
            if to_y <= y:
                continue
            middle = (begin[1] + end[1]) / 2
            parts.append(
                f'<path d="M{begin[0]:.0f},{begin[1]:.0f} C{begin[0]:.0f},{middle:.0f} '
                f'{end[0]:.0f},{middle:.0f} {end[0]:.0f},{end[1]:.0f}" fill="none" '
                'stroke="#78909c" stroke-width="1.3" marker-end="url(#tip)"/>'
            )
    for name, (x, y, width) in places.items():
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6" '
            'fill="#eceff1" stroke="#546e7a"/>'
            f'<text x="{x + width / 2:.0f}" y="{y + 22}" text-anchor="middle" '
            f'fill="#263238">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
    print(PICTURE)
