"""Every way to fail: one clear message, the right code, and nothing done is lost."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import ExitCode


def only_one_error(err: str) -> bool:
    return err.count("error: ") == 1 and "Traceback" not in err


@pytest.fixture
def broken_images(tmp_path: Path, picture: Path) -> dict[str, Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    jpeg = folder / "whole.jpg"
    Image.open(picture).save(jpeg)
    (folder / "truncated.jpg").write_bytes(jpeg.read_bytes()[: jpeg.stat().st_size // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    # A PNG header that asks for 60000 × 60000 pixels.
    header = bytearray(picture.read_bytes())
    header[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    (folder / "bomb.png").write_bytes(bytes(header))
    return {p.stem: p for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("truncated", "damaged or cut short"),
        ("empty", "The file is empty"),
        ("text", "not a picture"),
        ("bomb", "too large"),
    ],
)
def test_a_bad_image_fails_alone_and_the_good_one_is_written(
    kvis, tiny_model, broken_images, tmp_path, name, says
):
    out = tmp_path / "out"
    alone = kvis("cam", tiny_model, broken_images[name], "-o", out)
    assert alone.code == ExitCode.FAILED
    assert only_one_error(alone.err)
    assert says in alone.err
    assert alone.out == ""

    both = kvis("cam", tiny_model, broken_images[name], broken_images["whole"], "-o", out)
    assert both.code == ExitCode.FAILED
    assert only_one_error(both.err)
    assert [Path(line).name.split("_")[0] for line in both.out.split()] == ["whole"]
    assert all(Path(line).is_file() for line in both.out.split())


def write_models(folder: Path, good: Path) -> None:
    import keras

    data = good.read_bytes()
    (folder / "truncated.keras").write_bytes(data[: len(data) // 2])
    (folder / "empty.h5").write_bytes(b"")
    (folder / "text.keras").write_text("no model")
    with zipfile.ZipFile(folder / "other.keras", "w") as archive:
        archive.writestr("readme.txt", "a zip archive, but no model")
    model = keras.saving.load_model(good)
    model.save_weights(folder / "only.weights.h5")
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] = np.nan
    model.set_weights(weights)
    model.save(folder / "nan.keras")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("missing.keras", "missing.keras"),
        ("truncated.keras", "truncated.keras"),
        ("empty.h5", "empty"),
        ("text.keras", "text.keras"),
        ("other.keras", "other.keras"),
        ("only.weights.h5", "weights"),
        ("nan.keras", "not finite"),
    ],
)
def test_a_model_that_cannot_be_evaluated(kvis, tiny_model, picture, tmp_path, file, says):
    write_models(tmp_path, tiny_model)
    ran = kvis("cam", tmp_path / file, picture, "-o", tmp_path / "out")
    assert ran.code == ExitCode.NOT_EVALUATED
    assert only_one_error(ran.err)
    assert says in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--class", "3"], "not among the model's 3 outputs"),
        (["--class", "tabby"], "Unknown class 'tabby'"),
        (["--class", "top9"], "Use top1 to top3"),
        (["--layer", "secnd"], "Did you mean 'second'"),
        (["--layer", "classes"], "classes"),
        (["--method", "gradcma"], "Did you mean 'gradcam'"),
        (["--preprocess", "caffee"], "Did you mean 'caffe'"),
        (["--labels", "nowhere.txt"], "nowhere.txt"),
        (["--colormap", "jett"], "Did you mean 'jet'"),
        (["--overlay", "3"], "--overlay"),
        (["--scale", "sharde"], "did you mean 'shared'"),
        (["--fit", "squeeze"], "--fit"),
        (["--size", "64"], "--size"),
        (["--batch-size", "0"], "--batch-size"),
        (["--device", "tpu"], "Device 'tpu'"),
        (["--max-channels", "8"], "--max-channels changes nothing in gradcam"),
        (["--method", "eigencam", "--eigen-smooth"], "--eigen-smooth changes nothing"),
        (["--method", "scorecam", "--noise-samples", "4"], "--noise-samples changes nothing"),
        (["--custom-objects", "no.such:Thing"], "no.such:Thing"),
    ],
)
def test_a_wrong_request(kvis, tiny_model, picture, tmp_path, options, says):
    ran = kvis("cam", tiny_model, picture, "-o", tmp_path / "out", *options)
    assert ran.code == ExitCode.USAGE
    assert only_one_error(ran.err)
    assert says in ran.err
    assert ran.out == ""


def test_an_unknown_option_and_a_missing_argument(kvis, tiny_model):
    assert kvis("cam", tiny_model, "x.png", "--clas", "1").code == ExitCode.USAGE
    assert kvis("cam", tiny_model).code == ExitCode.USAGE
    assert kvis("camm").code == ExitCode.USAGE


def test_no_image_matches(kvis, tiny_model, tmp_path):
    (tmp_path / "nothing").mkdir()
    for reference in ("missing.jpg", tmp_path / "*.png", tmp_path / "nothing"):
        ran = kvis("cam", tiny_model, reference, "-o", tmp_path / "out")
        assert ran.code == ExitCode.USAGE
        assert only_one_error(ran.err)


def test_a_missing_image_offers_the_close_one(kvis, tiny_model, picture, tmp_path):
    ran = kvis("cam", tiny_model, picture.with_name("fhoto.png"), "-o", tmp_path / "out")
    assert ran.code == ExitCode.USAGE
    assert "photo.png" in ran.err


def test_an_absent_device_names_what_is_there(kvis, tiny_model, picture, tmp_path):
    ran = kvis("cam", tiny_model, picture, "-o", tmp_path / "out", "--device", "gpu:7")
    assert ran.code == ExitCode.NOT_EVALUATED
    assert "cpu" in ran.err.split("TensorFlow sees:")[1]


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_computed(
    kvis, tiny_model, picture, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/kvis")):
        ran = kvis("cam", tiny_model, picture, "-o", out)
        assert ran.code == ExitCode.FAILED
        assert only_one_error(ran.err)
        assert "--out" in ran.err
        assert "starting TensorFlow" not in ran.err


def test_interruption(kvis, tiny_model, picture, tmp_path, monkeypatch):
    from kvis_cli.jobs.running import runner

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "start", interrupted)
    ran = kvis("cam", tiny_model, picture, "-o", tmp_path / "out")
    assert ran.code == ExitCode.INTERRUPTED


def test_a_traceback_is_shown_only_when_asked_for(kvis, tiny_model, picture, tmp_path):
    asked = kvis("cam", tiny_model, picture, "--class", "9", "-o", tmp_path / "o", "--traceback")
    assert asked.code == ExitCode.USAGE
    assert "Traceback (most recent call last)" in asked.err
