"""What the presets of filters and maximize reach, measured on the files that they write.

    python -m benchmarks.presets --part filters
    python -m benchmarks.presets --part classes --model mobilenet

Needs the real models (``KVIS_REAL_DATA``). Every picture is optimised, saved with 8 bits, read back
and shown to the model again; that score counts. All presets take the same number of steps from the
same seed. Dead filters count with what they have.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Report
from kvis_cli.jobs.running.runner import run_job
from kvis_cli.spec.job import JobSpec

REAL = Path(
    os.environ.get("KVIS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "real")
)
PRESETS = ("atlas", "chollet", "keras-vis")
MODELS = {
    "mobilenet": (
        "mobilenet_v1_025_224.keras",
        [
            "conv1_relu", "conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_8_relu",
            "conv_pw_11_relu", "conv_pw_13_relu",
        ],
    ),
    "squeezenet": (
        "squeezenet_v10_227.keras",
        ["conv1", "fire2_concat", "fire4_concat", "fire6_concat", "fire8_concat", "fire9_concat"],
    ),
}  # fmt: skip


def rows_of(model: str, tasks: list[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
    """The manifest rows of a job with one real model."""
    path = REAL / "models" / MODELS[model][0]
    job = JobSpec.model_validate({"models": [str(path)], "out": folder, "seed": 0, "tasks": tasks})
    outcome = run_job(job)
    for what, error in outcome.failures:
        raise SystemExit(f"{what}: {error}")
    return outcome.rows


def filters(report: Report, model: str, layers: list[str], count: int, steps: int) -> None:
    """Mean activation of the saved pictures per layer and preset."""
    common = {"layer": layers, "grid": f"{count}x1", "steps": steps}
    tasks = [{"filters": {**common, "preset": preset}} for preset in PRESETS]
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(model, tasks, folder)
    for layer in layers:
        means = {}
        for row in rows:
            if row["layer"] == layer:
                means[row["preset"]] = float(np.mean(row["scores_saved"]))
        others = {name: means[name] for name in PRESETS[1:]}
        said = ", ".join(f"{name} {value:.4g}" for name, value in others.items())
        ok = means["atlas"] > max(others.values())
        report.add(f"{model} {layer}", f"{means['atlas']:.4g}", f"> {said}", ok)


def classes(report: Report, model: str, count: int, seeds: list[int], steps: int | None) -> None:
    """Probability of random classes in their saved pictures."""
    for seed in seeds:
        task = {"class": [f"random:{count}"], **({"steps": steps} if steps else {})}
        path = REAL / "models" / MODELS[model][0]
        with tempfile.TemporaryDirectory() as folder:
            job = {
                "models": [str(path)],
                "out": folder,
                "seed": seed,
                "tasks": [{"maximize": task}],
            }
            rows = run_job(JobSpec.model_validate(job)).rows
        found = sorted(row["probabilities_saved"][0] for row in rows)
        kept = min(row["score_saved"] / row["score"] for row in rows)
        sure = sum(p >= 0.9 for p in found)
        name = f"{model}, {count} random classes, seed {seed}: of probability ≥ 0.9"
        report.add(
            name, f"{sure} (least {found[0]:.3f})", f"≥ {0.8 * count:g}", sure >= 0.8 * count
        )
        report.at_least("  score of a file, of the optimised", kept, 0.9)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["filters", "classes"], help="default: both")
    parser.add_argument("--model", choices=[*MODELS], help="default: both")
    parser.add_argument("--layer", help="only these layers, a,b")
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40, help="of the atlases")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--class-steps", type=int, help="default: those of the preset")
    parser.add_argument("--seed", type=int, action="append")
    options = parser.parse_args()
    if not REAL.is_dir():
        print(f"the real models are not here ({REAL}); set KVIS_REAL_DATA")
        return 0
    models = [options.model] if options.model else list(MODELS)
    code = 0
    if options.part in (None, "filters"):
        report = Report(f"Filters: mean activation of saved pictures, {options.steps} steps")
        for model in models:
            layers = options.layer.split(",") if options.layer else MODELS[model][1]
            filters(report, model, layers, options.filters, options.steps)
        code |= report.show()
    if options.part in (None, "classes"):
        report = Report("Classes: what the model says about the saved pictures")
        for model in models:
            classes(report, model, options.classes, options.seed or [0], options.class_steps)
        code |= report.show()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
