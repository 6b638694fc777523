import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import OutputError, UsageError
from kvis_cli.render.animation import write_animation

RNG = np.random.default_rng(0)
COLOUR = [
    np.full((20, 30, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 200, 0), (9, 9, 9))
]
GREY = [RNG.integers(0, 256, (20, 30), dtype=np.uint8) for _ in range(3)]


def frames_of(path):
    with Image.open(path) as image:
        result = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            result.append((np.asarray(image.convert("RGB")), image.info.get("duration")))
        return result, image.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("frames", [COLOUR, GREY, [g[..., None] for g in GREY]])
def test_frames_come_back(tmp_path, suffix, frames):
    path = write_animation(tmp_path / f"a{suffix}", frames, duration_ms=[50, 100, 200])
    found, _ = frames_of(path)
    assert len(found) == 3
    for (pixels, _), frame in zip(found, frames, strict=True):
        expected = frame if frame.ndim == 3 else frame[..., None]
        # Few colours fit into a GIF's palette; it keeps 5 or more bits of each.
        np.testing.assert_allclose(
            pixels.astype(int),
            np.broadcast_to(expected, pixels.shape),
            atol=8 if suffix == ".gif" else 0,
        )
    assert [duration for _, duration in found] == [50, 100, 200]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_loop_count(tmp_path, suffix):
    for loop in (0, 3):
        path = write_animation(tmp_path / f"{loop}{suffix}", COLOUR, loop=loop)
        # A GIF counts repetitions after the first showing.
        expected = loop - 1 if suffix == ".gif" and loop else loop
        assert frames_of(path)[1] == expected
    if suffix == ".gif":
        assert frames_of(write_animation(tmp_path / "1.gif", COLOUR, loop=1))[1] is None


def test_photo_colours_in_a_gif_share_one_palette(tmp_path):
    y, x = np.mgrid[:64, :64]
    frames = [
        np.stack([x * 4, y * 4, np.full_like(x, 60 * k)], -1).astype(np.uint8) for k in range(4)
    ]
    found, _ = frames_of(write_animation(tmp_path / "a.gif", frames))
    for (pixels, _), frame in zip(found, frames, strict=True):
        assert np.abs(pixels.astype(int) - frame).mean() < 16
    # What does not change from frame to frame does not flicker.
    frames = [np.vstack([frame, frames[0]]) for frame in frames]
    found, _ = frames_of(write_animation(tmp_path / "b.gif", frames))
    for pixels, _ in found:
        np.testing.assert_array_equal(pixels[64:], found[0][0][64:])


def test_refusals(tmp_path):
    with pytest.raises(UsageError, match=r"\.mp4"):
        write_animation(tmp_path / "a.mp4", COLOUR)
    with pytest.raises(UsageError, match="frame"):
        write_animation(tmp_path / "a.gif", [])
    with pytest.raises(UsageError, match="one size"):
        write_animation(tmp_path / "a.gif", [COLOUR[0], COLOUR[0][:5]])
    (tmp_path / "taken.gif").mkdir()
    with pytest.raises(OutputError, match="taken"):
        write_animation(tmp_path / "taken.gif", COLOUR)
