"""A commented job file for the models and images of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from kvis_cli.paths import MODEL_SUFFIXES
from kvis_cli.shown import json_text
from kvis_cli.spec.formats import REPORTS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# A folder with more entries than this is not searched to its end.
MAX_FILES = 20_000
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "kvis-out"}

TEMPLATE = """\
# A kvis job: models × images × tasks. `kvis run {name}` does it, `--dry-run` says what it would do.
# Relative paths are relative to this file. A list means each; 22+23 means both at once.
version: 1

models:
{models}
    # preprocess: auto        # or none, unit, signed, caffe, torch, {{mean: …, std: …, color: bgr}}
    # labels: labels.txt      # a label a line; or imagenet

images:
{images}
  # - {{path: cat.jpg, class: tabby, box: [40, 20, 300, 260]}}    # its own class, and region
  # - {{csv: gate.csv, image: file, class: label}}                # a table, one image a row

tasks:
  - cam:
      method: [gradcam, layercam]
      class: [top1]           # an index, a label, top1, top3, 22+23
      # layer: auto           # `kvis layers MODEL` lists them
      grid: true              # also all pictures on one sheet
  # - saliency: {{method: smoothgrad, class: [top1]}}

output: kvis-out
# device: auto                # cpu, gpu, gpu:1
# batch_size: 16
# workers: 2                  # processes that compute
# timeout: 60                 # seconds for one task
report: [html]                # also {formats}

# `kvis check {name}` also judges the maps; `--update-baseline` accepts them first.
# baseline: attention-baseline
# checks:
#   - drift: {{metric: spearman, min: 0.9}}         # as much like the accepted map
#   - region: {{metric: enrichment, min: 2.0}}      # in the box or mask of the image
#   - blank: 0
# pass: {{share: 0.95}}
"""


def starter(folder: Path, home: Path) -> str:
    """Return the text of a job file that will lie in `home`, for what is found in `folder`."""
    models, images = _find(folder)
    return TEMPLATE.format(
        name="job.yaml",
        formats=", ".join(name for name in REPORTS if name != "html"),
        models=_listed(models, home, "path/to/model.keras", "  - path: "),
        images=_listed(images, home, "path/to/photos/*.jpg", "  - "),
    )


def _find(folder: Path) -> tuple[list[Path], list[Path]]:
    models: list[Path] = []
    images: list[Path] = []
    seen = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED)
        for name in sorted(names):
            path, lower = Path(root, name), name.lower()
            if lower.endswith(MODEL_SUFFIXES) and not lower.endswith(".weights.h5"):
                models.append(path)
            elif lower.endswith(IMAGE_SUFFIXES):
                images.append(path)
        seen += len(names)
        if seen > MAX_FILES:
            break
    return models, images


def _listed(paths: list[Path], home: Path, example: str, bullet: str) -> str:
    """Paths as YAML list items: globs where a folder holds several of a kind."""
    if not paths:
        return f"{bullet}{example}   # none was found: put yours here"
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        groups.setdefault((path.parent, path.suffix), []).append(path)
    lines = []
    for (parent, suffix), same in groups.items():
        several = len(same) > 1
        target = parent / f"*{suffix}" if several else same[0]
        text = Path(os.path.relpath(target, home)).as_posix()
        comment = f"   # {len(same)} files" if several else ""
        lines.append(f"{bullet}{_scalar(text)}{comment}")
    return "\n".join(lines)


def _scalar(text: str) -> str:
    """Return a YAML text, quoted where it needs to be. JSON's quotes are YAML's."""
    plain = text[0].isalnum() or text[0] in "./_"
    safe = all(c.isalnum() or c in "./_-*+ ()=~" for c in text)
    return text if plain and safe else json_text(text)
