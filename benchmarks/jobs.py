"""A whole job: many photos × three CAM methods, its rerun, and the memory of its worker."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.folder import LAYER, make_photos
from benchmarks.measure import Report, seconds
from kvis_cli.runtime.tensorflow import import_tensorflow

METHODS = ("gradcam", "hirescam", "layercam")

# The same work without kvis, one part after the other. The pictures are those that kvis has made;
# they are encoded twice, by Pillow at its fastest level and by kvis' own encoder.
BARE = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
job = json.loads(sys.argv[1])
from kvis_cli.runtime.tensorflow import import_tensorflow
import_tensorflow()
import keras, tensorflow as tf
from kvis_cli.render.png import encode_png
model = keras.saving.load_model(job["model"], compile=False)
tapped = keras.Model(model.input, [model.get_layer(job["layer"]).output, model.output])

@tf.function(autograph=False)
def bare(x, c):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        features, outputs = tapped(x, training=False)
        score = tf.gather(outputs, c, axis=1)
    return features, tape.gradient(score, features)

decoded = [
    np.asarray(Image.open(p).convert("RGB").resize((224, 224)), np.float32) for p in job["photos"]
]
size = job["batch"]
for start in range(0, len(decoded), size):
    x = np.stack(decoded[start : start + size]) / 127.5 - 1
    x = np.concatenate([x, np.zeros((size - len(x), *x.shape[1:]), np.float32)])
    bare(x.astype(np.float32), 7)
# Only the encoding counts, not that the pictures are read back for it.
import time
by_pillow, by_kvis, before = 0.0, 0.0, time.perf_counter()
for number, name in enumerate(job["pictures"]):
    picture = np.asarray(Image.open(name))
    began = time.perf_counter()
    Image.fromarray(picture).save(Path(job["out"], f"{number}-pillow.png"), compress_level=1)
    between = time.perf_counter()
    Path(job["out"], f"{number}.png").write_bytes(encode_png(picture))
    by_pillow += between - began
    by_kvis += time.perf_counter() - between
print(by_pillow, by_kvis, time.perf_counter() - before)
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=500, help="0 leaves the times out")
    parser.add_argument("--memory-photos", type=int, default=2000, help="0 leaves memory out")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "mobilenet.keras"
        import_tensorflow()
        import keras

        keras.utils.set_random_seed(0)
        keras.applications.MobileNet(alpha=0.25, weights=None).save(path)
        (folder / "photos").mkdir()
        photos = make_photos(folder / "photos", options.photos or 50)
        count = options.photos or options.memory_photos
        report = Report(f"A job of {count} photos × 3 CAM methods, MobileNet (alpha 0.25)")
        job = folder / "job.yaml"
        job.write_text(
            f"models: [{{path: mobilenet.keras, preprocess: signed}}]\nimages: [photos]\n"
            f"tasks:\n  - cam: {{method: [{', '.join(METHODS)}], class: 7, layer: {LAYER}}}\n"
            f"batch_size: {options.batch}\noutput: out\n"
        )
        command = [sys.executable, "-m", "kvis_cli", "run", str(job), "--quiet"]
        if options.photos:
            _times(report, folder, command, photos, options.batch)
        if options.memory_photos:
            _memory(report, folder, command, options.memory_photos)
    return report.show()


def _times(
    report: Report, folder: Path, command: list[str], photos: list[Path], batch: int
) -> None:
    """The job against its bare parts, and once more when all is done."""
    before = seconds(lambda: _run([*command, "--force"]), 1)
    by_pillow, by_kvis = _bare(folder, folder / "mobilenet.keras", photos, batch)
    ours = (before + seconds(lambda: _run([*command, "--force"]), 1)) / 2
    report.add("bare parts one after the other, start included", f"{by_pillow:.1f} s")
    report.at_most("kvis run against them", ours / by_pillow, 1.0)
    report.add("the same with kvis' own PNG encoder", f"{by_kvis:.1f} s")
    report.add("kvis run against these", f"{ours / by_kvis:.2f} ×")
    two = seconds(lambda: _run([*command, "--force", "--workers", "2"]), 1)
    report.add("two workers against one", f"{two / ours:.2f} ×")
    rerun = seconds(lambda: _run(command), 3)
    tasks = len(photos) * len(METHODS)
    report.at_most(f"rerun of {tasks} finished tasks", rerun, 2.0, "s")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _bare(folder: Path, model: Path, photos: list[Path], batch: int) -> tuple[float, float]:
    """Seconds of all parts, with the encoding of Pillow and with that of kvis."""
    out = folder / "bare"
    out.mkdir()
    pictures = sorted((folder / "out").rglob("*_7*.png"))
    given = {
        "model": str(model),
        "layer": LAYER,
        "photos": [str(p) for p in photos],
        "pictures": [str(p) for p in pictures],
        "batch": batch,
        "out": str(out),
    }
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", BARE, json.dumps(given)],
        check=True,
        capture_output=True,
        text=True,
    )
    whole = time.perf_counter() - began
    by_pillow, by_kvis, loop = map(float, done.stdout.split()[-3:])
    return whole - loop + by_pillow, whole - loop + by_kvis


def _memory(report: Report, folder: Path, command: list[str], count: int) -> None:
    """The largest resident size of the worker in each quarter of a long run."""
    photos = folder / "photos"
    for number in range(count):
        link = photos / f"more-{number:05}.jpg"
        if not link.exists():
            link.symlink_to(photos / f"{number % 50:04}.jpg")
    process = subprocess.Popen(
        [*command, "--force", "-o", str(folder / "long")], stdout=subprocess.DEVNULL
    )
    journal = folder / "long" / "journal.jsonl"
    samples: list[tuple[int, float]] = []
    parents = [0.0]

    def sample() -> None:
        while process.poll() is None:
            parents.append(_resident(process.pid))
            sizes = [_resident(pid) for pid in _children(process.pid)]
            if sizes and journal.exists():
                samples.append((journal.stat().st_size, max(sizes)))
            time.sleep(0.2)

    thread = threading.Thread(target=sample)
    thread.start()
    process.wait()
    thread.join()
    end = samples[-1][0]
    quarter, half, last = (
        max(size for at, size in samples if low <= at / end <= high)
        for low, high in ((0.15, 0.25), (0.25, 0.5), (0.75, 1.0))
    )
    report.add(f"worker's memory at a quarter of {count} photos", f"{quarter:.0f} MiB")
    report.add("at half of them", f"{half:.0f} MiB")
    report.add("at the end", f"{last:.0f} MiB")
    report.at_most("its memory at the end against a quarter", last / quarter, 1.1)
    report.add("the parent's memory at the end", f"{max(parents):.0f} MiB")


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmRSS")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
