"""Every `kvis` line of README, of the pages and of the helps is typed, in a folder made for it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import output_models
from tests.helpers.javascript import write

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Lines that are typed otherwise than they are written, and why: (pattern, replacement, reason).
CHANGED = [
    (r"^(kvis filters)( --layer)", r"\1 vgg16\2", "the model that it takes by default"),
    (r"\bvgg16(?= )", "vgg16.keras", "a download of 500 MB; a small one with its layers' names"),
    (r"\b(resnet50|mobilenet_v2)(?= )", r"\1:random", "ImageNet weights are a download"),
    (r"^(kvis watch.*)", r"\1 --every 0.1 --idle 0.5", "it would wait for ever"),
    (r"^(kvis (?:filters|maximize) .*)", r"\1 --steps 4", "only that it works is asked"),
]
# Lines that are not typed, and why.
LEFT_OUT = {
    "kvis layers MODEL": "a placeholder",
    "kvis init-code MODEL": "a placeholder",
    "kvis predict MODEL PHOTOS --truth FILE": "a placeholder",
    "kvis init-code WEIGHTS": "a placeholder",
    "kvis init-sidecar MODEL": "a placeholder",
    "kvis report DIR --format html": "a placeholder; its page has it with a folder",
    "kvis merge DIR…": "a placeholder; its page has it with a folder",
}


def script_of_docs(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inline(text):
    """The command lines within a paragraph or a table: a command with something to work on."""
    found = [" ".join(line.split()) for line in re.findall(r"`(kvis [^`]+)`", text)]
    # "`kvis cam --contrast 282`" in a sentence speaks of an option; nothing is there to be typed.
    return [line for line in found if len(line.split()) > 2 and not line.split()[2].startswith("-")]


def documented():
    """The lines of each page, in their order."""
    made = script_of_docs("generate")
    texts = {page.name: page.read_text("utf-8") for page in PAGES}
    texts |= {**made.commands(), **made.methods()}
    found = {}
    for page, text in texts.items():
        more = inline(text) if "/" not in page else []
        lines = list(dict.fromkeys([*made.commands_of(text), *more]))
        if page.startswith("methods/"):
            found.setdefault("methods", []).extend(lines)
        elif lines:
            found[page] = lines
    return found


def as_typed(line):
    for pattern, replacement, _ in CHANGED:
        line = re.sub(pattern, replacement, line)
    return line


LINES = documented()
# Its lines need the package that the page itself makes.
PAGES_RUN = [page for page in LINES if page != "own-method.md"]


def spoken_of():
    """The lines of all pages, and what sentences say of a command: `kvis cam --contrast 282`."""
    found = [(page, line) for page, lines in LINES.items() for line in lines]
    for page in PAGES:
        names = re.findall(r"`(kvis [a-z][^`]*)`", page.read_text("utf-8"))
        found += [(page.name, " ".join(name.split())) for name in names]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("page", "line"), spoken_of(), ids=lambda v: v[:70])
def test_every_line_can_be_typed(page, line):
    """The command is there, and takes the options that are written."""
    if line in LEFT_OUT:
        return
    import typer

    from kvis_cli.cli.app import app

    name, *arguments = shlex.split(line)[1:]
    group = typer.main.get_command(app)
    assert name in group.list_commands(None), f"{page}: {line}"
    command = group.load(name)
    known = {n for p in command.params for n in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for argument in arguments:
        if argument.startswith("-") and not re.fullmatch(r"-?\d.*", argument):
            assert argument.partition("=")[0] in known, f"{page}: {line}"
    # What a method is called is said by its registry, not by the parser.
    if "--method" in arguments and name in ("cam", "saliency"):
        from kvis_cli.cli.commands.methods import describe_methods

        methods = {row["name"] for row in describe_methods(name)} | {"powercam"}
        wanted = arguments[arguments.index("--method") + 1].split(",")
        assert set(wanted) <= methods, f"{page}: {line}"


@pytest.fixture(scope="session")
def pieces(tf, tmp_path_factory):
    """What the lines speak of: models and pictures under the names that documentation uses."""
    import keras

    from kvis_cli.models.description.labels import imagenet

    folder = tmp_path_factory.mktemp("pieces")
    layers = keras.layers
    keras.utils.set_random_seed(5)

    def network(x):
        y = layers.Conv2D(8, 3, activation="relu", name="conv1")(x)
        y = layers.Conv2D(16, 3, strides=2, activation="relu", name="conv2")(y)
        y = layers.Conv2D(48, 3, activation="relu", name="conv3")(y)
        y = layers.Conv2D(64, 3, strides=2, activation="relu", name="block3_conv1")(y)
        return layers.Conv2D(16, 3, activation="relu", name="conv5")(y)

    x = keras.Input((32, 32, 3))
    base = keras.Model(x, network(x), name="base")
    x = keras.Input((32, 32, 3))
    y = layers.GlobalAveragePooling2D()(base(x))
    model = keras.Model(x, layers.Dense(1000, activation="softmax")(y))
    model.save(folder / "model.keras")
    files = ("model.h5", "your_model.h5", "old.h5", "keras_model.h5")
    for name in (*files, "old.keras", "new.keras", "a.keras", "b.keras", "c.keras"):
        model.save(folder / name)
    names = list(imagenet().names)
    names[281], names[294] = "tabby", "bear"
    for name in ("labels.txt", "classes.txt"):
        (folder / name).write_text("".join(f"{n}\n" for n in names))
    road = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 5, activation="relu"),
            layers.Flatten(),
            layers.Dense(1, activation="tanh"),
        ]
    )
    road.save(folder / "steering.h5")

    small_vgg().save(folder / "vgg16.keras")
    output_models.u_net(size=(32, 32, 3)).save(folder / "unet.keras")
    output_models.convolutions((32, 32, 3), 3, None).save(folder / "denoiser.keras")
    for name in ("best.weights.h5", "own.weights.h5"):
        road.save_weights(folder / name)
    keras.Sequential([keras.Input((32, 32, 3)), own_layer(keras)]).save(
        folder / "transformer.keras"
    )

    rng = np.random.default_rng(2)
    (folder / "photos").mkdir()
    names = (
        "cat.jpg",
        "photo.jpg",
        "your_photo.jpg",
        "road.png",
        "wound.png",
        "photos/a.jpg",
        "photos/b.png",
    )
    for name in names:
        pixels = rng.integers(0, 256, (9, 12, 3), np.uint8).repeat(5, 0).repeat(5, 1)
        Image.fromarray(pixels).save(folder / name)
    for label, name in (("bear", "a.jpg"), ("tabby", "b.png")):
        (folder / "validation" / label).mkdir(parents=True)
        shutil.copy(folder / "photos" / name, folder / "validation" / label)
    (folder / "labels.csv").write_text("image,class\na.jpg,bear\nb.png,tabby\n")
    (folder / "job.yaml").write_text(
        "models: [model.keras]\nimages: [photos/*]\noutput: kvis-out\nreport: [html]\n"
        "tasks:\n  - cam: {class: 22}\n"
    )
    (folder / "gate.yaml").write_text(
        "models: [model.keras]\nimages: [photos/*]\noutput: kvis-gate\n"
        "tasks:\n  - saliency: {class: 22}\nchecks:\n  - blank: 0\n"
    )
    for name in ("checkpoints", "experiments"):
        (folder / name).mkdir()
        shutil.copy(folder / "model.keras", folder / name / "epoch-1.keras")
    shutil.copy(folder / "cat.jpg", folder / "experiments")
    return folder


def own_layer(keras):
    """A layer whose class is in no package."""

    class TransformerBlock(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(shape[-1],))

        def call(self, x):
            return x * self.scale

    return TransformerBlock()


def small_vgg():
    """VGG16's layers by name, with few filters in most."""
    import keras

    layers = keras.layers
    x = y = keras.Input((64, 64, 3))
    for block, (convolutions, filters) in enumerate(
        ((2, 64), (2, 12), (3, 12), (3, 12), (3, 68)), 1
    ):
        for i in range(convolutions):
            name = f"block{block}_conv{i + 1}"
            y = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(y)
        y = layers.MaxPooling2D(name=f"block{block}_pool")(y)
    y = layers.Flatten(name="flatten")(y)
    return keras.Model(x, layers.Dense(1000, activation="softmax", name="predictions")(y))


def lambda_file(path):
    """A model file with Python code in a layer of the name that the pages use."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Lambda(lambda x: x / 127.5 - 1, name="lambda_1"),
            keras.layers.Conv2D(4, 5, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="tanh"),
        ]
    )
    model.save(path)


def models_page(folder, monkeypatch):
    import keras

    lambda_file(folder / "steering.h5")
    (folder / "model.keras").unlink()
    # Both architectures that the page names fit these weights.
    keras.applications.MobileNetV2(weights=None).save_weights(folder / "best.weights.h5")
    (folder / "train.py").write_text(
        "import keras\n\n\ndef make_model():\n"
        "    return keras.applications.MobileNetV2(weights=None)\n"
    )
    network = keras.applications.MobileNetV2(weights=None)
    (folder / "model.json").write_text(network.to_json())
    small = keras.models.load_model(folder / "model.h5")
    (folder / "architecture.json").write_text(small.to_json())
    small.save_weights(folder / "architecture.weights.h5")
    (folder / "web_model").mkdir()
    arrays = [
        (f"{layer.name}/{weight.name}", np.asarray(weight))
        for layer in small._flatten_layers()
        for weight in layer._trainable_variables
    ]
    write(folder / "web_model", json.loads(small.to_json()), arrays, keras_version="3.15.1")
    package = folder / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "layers.py").write_text(
        "import keras\n\n\nclass Residual(keras.layers.Layer):\n"
        "    def __init__(self, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "        self.conv = keras.layers.Conv2D(3, 3, padding='same', activation='relu')\n\n"
        "    def build(self, shape):\n"
        "        self.conv.build(shape)\n"
        "        self.built = True\n\n"
        "    def call(self, x):\n"
        "        return x + self.conv(x)\n"
    )
    (package / "models.py").write_text(
        "import keras\n\nfrom mypackage.layers import Residual\n\n\nclass Net(keras.Model):\n"
        "    def __init__(self, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "        self.block = Residual(name='block')\n"
        "        self.pool = keras.layers.GlobalAveragePooling2D()\n"
        "        self.head = keras.layers.Dense(3, activation='softmax')\n\n"
        "    def call(self, x):\n"
        "        return self.head(self.pool(self.block(x)))\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    from mypackage.models import Net  # type: ignore[import-not-found]

    net = Net()
    net(np.zeros((1, 32, 32, 3), np.float32))
    # The page converts a file to model.keras first; this is the one of another project.
    (folder / "custom").mkdir()
    net.save(folder / "custom" / "model.keras")
    shutil.copy(folder / "photo.jpg", folder / "custom")
    for name in [n for n in sys.modules if n.partition(".")[0] == "mypackage"]:
        del sys.modules[name]


def convert_page(folder, monkeypatch):
    (folder / "model.keras").unlink()
    lambda_file(folder / "old.h5")


def readme(folder, monkeypatch):
    import keras

    # Its one line with weights of one's own for VGG16.
    keras.applications.VGG16(weights=None, include_top=False).save(folder / "weights.h5")


def index_page(folder, monkeypatch):
    # One model.kvis.yaml would be that of all models of the folder.
    for name in ("job.yaml", *(p.name for p in folder.glob("*.keras")), "your_model.h5",
                 "steering.h5", "old.h5", "keras_model.h5"):  # fmt: skip
        (folder / name).unlink()
    shutil.rmtree(folder / "experiments")
    shutil.rmtree(folder / "checkpoints")


def init_page(folder, monkeypatch):
    (folder / "job.yaml").unlink()


def finished(folder, monkeypatch):
    run_in(folder, "kvis run job.yaml")


def scenarios_page(folder, monkeypatch):
    for name, source in (("ouzel1.jpg", "cat.jpg"), ("ouzel2.jpg", "photo.jpg")):
        shutil.copy(folder / source, folder / name)
    shutil.copy(folder / "road.png", folder / "blank.png")


def gate_page(folder, monkeypatch):
    shutil.copy(folder / "cat.jpg", folder / "photos" / "star-01.jpg")
    (folder / "job.yaml").write_text(
        "models: [model.keras]\nimages: [photos/*]\noutput: kvis-out\n"
        "tasks:\n  - saliency: {class: 22}\n"
        "baseline: attention-baseline\nchecks:\n  - drift: {min: 0.9}\n  - blank: 0\n"
        "pass: {any: true}\n"
    )


def calibrate_page(folder, monkeypatch):
    """Models that differ from the accepted one by a little, and one that differs by much."""
    import keras

    gate_page(folder, monkeypatch)
    model = keras.models.load_model(folder / "model.keras")
    weights = model.get_weights()
    rng = np.random.default_rng(0)
    for name, amount in [(f"{f}/{k}", 0.02) for f in ("twins", "epochs") for k in range(3)] + [
        ("shortcut", 2.0)
    ]:
        (folder / name).parent.mkdir(exist_ok=True)
        model.set_weights([w * rng.normal(1, amount, w.shape) for w in weights])
        model.save(folder / f"{name}.keras")


SCENES = {
    "ci.md": gate_page,
    "gate.md": calibrate_page,
    "commands/calibrate.md": calibrate_page,
    "commands/check.md": gate_page,
    "commands/baseline.md": gate_page,
    "README.md": readme,
    "index.md": index_page,
    "models.md": models_page,
    "scenarios.md": scenarios_page,
    "commands/convert.md": convert_page,
    "commands/init.md": init_page,
    "commands/report.md": finished,
}
# Pages whose lines do the same thing in different ways; those of the others follow each other.
ALTERNATIVES = ("commands/init.md", "commands/init-sidecar.md")
# Where a line finds its files: those of one page that stand for different projects.
PLACES = {
    "kvis cam model.keras photo.jpg --custom-objects": "custom",
    "kvis init-code model.keras": "custom",
}


def run_in(folder, line):
    from typer.testing import CliRunner

    from kvis_cli.cli.app import app

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(app, shlex.split(line)[1:])


def set_up(page, folder, pieces, monkeypatch):
    shutil.copytree(pieces, folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    SCENES.get(page, lambda *_: None)(folder, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_RUN)
def test_every_line_of_the_page_runs(page, pieces, tmp_path, monkeypatch):
    failed = []
    for number, line in enumerate(line for line in LINES[page] if line not in LEFT_OUT):
        folder = tmp_path / f"project-{number if page in ALTERNATIVES else 0}"
        if not folder.exists():
            set_up(page, folder, pieces, monkeypatch)
        place = next((p for start, p in PLACES.items() if line.startswith(start)), ".")
        before(page, line, folder)
        result = run_in(folder / place, as_typed(line))
        if result.exit_code != 0:
            failed.append(f"$ {as_typed(line)}\n{result.exit_code}: {result.stderr[-1500:]}")
        elif not (result.stdout.strip() or line.startswith("kvis watch")):
            failed.append(f"$ {as_typed(line)}\nnothing on stdout")
    assert not failed, "\n\n".join(failed)


def before(page, line, folder):
    """Do what the text around a line says to do first."""

    def shards(count, out):
        for i in range(count):
            done = run_in(folder, f"kvis run job.yaml --shard {i}/{count} -o {out}")
            assert done.exit_code == 0, done.stderr

    if line.startswith("kvis merge") and page == "ci.md":
        shards(3, "out")
    elif line.startswith("kvis convert old.h5 new.keras"):
        # One of the models of `kvis compare`.
        (folder / "new.keras").unlink(missing_ok=True)
    elif line == "kvis merge kvis-out":
        shards(2, "kvis-out")
    elif line.startswith("kvis merge joined"):
        shards(3, "parts")
        for i in range(3):
            # As a CI brings them: each machine's folder under a name of its own.
            (folder / "parts" / f"shard-{i}-of-3").rename(folder / f"shard-{i}")
    elif line.startswith(("kvis baseline", "kvis check job.yaml")):
        base = folder / "attention-baseline"
        if not (base / "baseline.txt").exists() and "--update-baseline" not in line:
            done = run_in(folder, "kvis check job.yaml --update-baseline")
            assert done.exit_code == 0, done.stderr
        if line.startswith("kvis baseline diff"):
            who = ["-c", "user.name=n", "-c", "user.email=e"]
            for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "accepted"]):
                subprocess.run(["git", "-C", str(base), *command], check=True)
    elif "v7.npz" in line:
        # What the line before it wrote.
        [raw] = (folder / "kvis-out").rglob("*block5_conv3_67*.npz")
        shutil.copy(raw, folder / "v7.npz")


@pytest.mark.slow
def test_the_pictures_of_the_gallery_are_those_of_their_commands(tf, tmp_path):
    gallery = script_of_docs("gallery")
    entries = gallery.entries()
    assert len(entries) == len(LINES["gallery.md"])
    for path, words in entries:
        out = tmp_path / path.stem
        done = run_in(ROOT, shlex.join(["kvis", *words, "--out", str(out)]))
        assert done.exit_code == 0, done.stderr
        [sheet] = out.rglob("grid*.png")
        wanted = gallery.smaller(sheet)
        with Image.open(path) as shown:
            assert shown.size == wanted.size
            difference = np.asarray(shown, float) - np.asarray(wanted, float)
        # JPEG rounds; another picture differs by tens.
        assert np.abs(difference).mean() < 4, path.name


def test_no_exception_is_out_of_date():
    """Each line that is changed or left out is still there."""
    lines = {line for found in LINES.values() for line in found}
    assert set(LEFT_OUT) <= lines
    for pattern, replacement, reason in CHANGED:
        assert any(re.search(pattern, line) for line in lines), reason
        lines = {re.sub(pattern, replacement, line) for line in lines}
    assert len(lines) > 60


def test_every_scenario_of_keras_vis_is_there():
    """M1 to M12 of the digits, V1 to V15 of VGG16, R1 and R2, S1 to S3."""
    page = (ROOT / "docs" / "scenarios.md").read_text("utf-8")
    wanted = [f"M{i}" for i in range(1, 13)] + [f"V{i}" for i in range(1, 16)]
    wanted += ["R1", "R2", "S1", "S2", "S3"]
    found = dict.fromkeys(re.findall(r"^\| ([MVRS]\d+) \|.*`", page, re.M))
    assert list(found) == wanted
    for name in re.findall(r"`(configs/[^`]+)`", page):
        assert (ROOT / name).is_file()
    assert {p.name for p in (ROOT / "configs/keras-vis").iterdir()} <= {
        Path(name).name for name in re.findall(r"`([^`]+\.yaml)`", page)
    }


@pytest.mark.slow
def test_the_package_of_the_page_about_ones_own_works(pieces, tmp_path):
    """Its files, made a package; its test; its lines. In a process that has the entry points."""
    page = (ROOT / "docs" / "own-method.md").read_text("utf-8")
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").touch()
    entries = ""
    for block in re.findall(r"```(?:python|toml)\n(.*?)```", page, re.S):
        name, _, rest = block.partition("\n")
        if name.startswith("# pyproject.toml"):
            table = tomllib.loads(rest)["project"]["entry-points"]
            for group, names in table.items():
                lines = [f"{key} = {value}" for key, value in names.items()]
                entries += "\n".join([f"[{group}]", *lines, ""])
        else:
            path = tmp_path / name.removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(block)
    info = tmp_path / "mypackage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    lines = [as_typed(line) for line in LINES["own-method.md"]]
    assert len(lines) == 4
    (tmp_path / "driver.py").write_text(
        "import shlex, sys, pytest\nfrom typer.testing import CliRunner\n"
        "from kvis_cli.cli.app import app\n"
        "assert pytest.main(['-q', '-p', 'no:cacheprovider', sys.argv[1]]) == 0\n"
        "for line in sys.argv[2:]:\n"
        "    done = CliRunner().invoke(app, shlex.split(line)[1:])\n"
        "    assert done.exit_code == 0, (line, done.stderr)\n"
        "    print(done.stdout)\n"
    )
    project = tmp_path / "project"
    shutil.copytree(pieces, project)
    done = subprocess.run(
        [sys.executable, tmp_path / "driver.py", tmp_path / "tests/test_power.py", *lines],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "powercam" in done.stdout
    assert {p.name.split("_")[1] for p in (project / "kvis-out").glob("photo_*.png")} == {
        "gradcam",
        "powercam",
    }
