"""How often the weights tell the preprocessing, over networks trained for it.

The networks are those of `benchmarks.nets.drawn`; the bounds come from others, of other layers and
on other data (`benchmarks.nets.calibration`). Trains what is not in the cache: half an hour.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.measure import Report
from benchmarks.nets.drawn import NORMALISED, cases
from benchmarks.nets.training import Net, trained
from kvis_cli.models.description.evidence.feeding import choose
from kvis_cli.models.description.evidence.fingerprint import PreprocessingChoice
from kvis_cli.models.description.evidence.photos_given import MOST
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import build_model_spec

MOBILENET = "../shared/real/models/mobilenet_v1_025_224.keras"


def choice_of(net: Net, photos: Sequence[Path]) -> PreprocessingChoice:
    """Return what kvis chooses for a network, with photos of its own or without."""
    info = describe_model(build_model_spec({"path": str(net.path)}))
    info.photos = photos
    return choose(info)


def own_photos(net: Net, folder: Path) -> list[Path]:
    """Write pictures that a network was not trained on."""
    paths = []
    for i, pixels in enumerate(net.pictures(MOST)):
        path = folder / f"{net.path.stem}-{i}.png"
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
        paths.append(path)
    return paths


def main() -> int:
    """Print the table; 1 when a bar was missed."""
    nets = trained(cases())
    report = Report(f"Preprocessing by evidence: {len(nets)} networks")
    report.at_least("networks", len(nets), 60, "")
    answered = {True: 0, False: 0}
    right = {True: 0, False: 0}
    for normalised in (True, False):
        kind = [n for n in nets if (n.case.build in NORMALISED) is normalised]
        name = "normalised within four layers" if normalised else "no normalisation"
        for given in (True, False):
            wrong, decided = [], 0
            with tempfile.TemporaryDirectory() as folder:
                for net in kind:
                    photos = own_photos(net, Path(folder)) if given else []
                    choice = choice_of(net, photos)
                    decided += choice.certain
                    if choice.certain and choice.preprocessing.name != net.case.preprocess:
                        wrong.append(f"{net.case.name}: {choice.preprocessing.name}")
            photos_of = "photos of its kind" if given else "generated photos alone"
            report.add(
                f"{name}, {photos_of}",
                f"{decided} of {len(kind)} answered, {decided - len(wrong)} right",
            )
            for text in wrong:
                report.add("  wrong", text)
            if given:
                answered[normalised], right[normalised] = decided, decided - len(wrong)
                bar = 0.9 if normalised else 0.3
                report.at_least(f"{name}: answered", decided / len(kind), bar, "")
    share = sum(right.values()) / max(sum(answered.values()), 1)
    report.at_least("right among the answered", share, 0.98, "")
    if Path(MOBILENET).is_file():
        report.at_most("MobileNet, evidence", _evidence_seconds(), 0.4, "s")
    return report.show()


def _evidence_seconds() -> float:
    """Return what the evidence adds to reading a model's file, in a process of its own."""
    code = (
        "import sys, time; from kvis_cli.models.description.info import describe_model; "
        "from kvis_cli.models.description.evidence.feeding import choose; "
        "from kvis_cli.models.request import build_model_spec; "
        "info = describe_model(build_model_spec({'path': sys.argv[1]})); "
        "t = time.perf_counter(); choose(info); print(time.perf_counter() - t); "
        "assert 'tensorflow' not in sys.modules"
    )
    times = []
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", code, MOBILENET], capture_output=True, text=True, check=True
        )
        times.append(float(run.stdout))
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
