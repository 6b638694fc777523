"""The scenes' ground truth is true, and nothing but the silhouette gives a class away."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sample_models import scenes

ROOT = Path(__file__).resolve().parents[2]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("index", range(len(scenes.CLASSES)))
def test_object_is_where_the_mask_says(index: int) -> None:
    for seed in range(8):
        scene = scenes.draw_scene(rng(seed), index)
        differs = (scene.image != scene.background).any(axis=-1)
        assert not differs[~scene.mask].any()
        assert differs[scene.mask].mean() > 0.9
        assert scene.class_index == index
        assert not scene.mark_mask.any()


def test_area_shares_spread_between_the_bounds() -> None:
    _, masks, _ = scenes.make_scenes(60, seed=11)
    shares = masks.mean(axis=(1, 2))
    # The rim's half-covered pixels belong to the mask and add a little to the drawn share.
    assert shares.min() >= scenes.AREA_SHARE[0] * 0.95
    assert shares.max() <= scenes.AREA_SHARE[1] * 1.15
    assert shares.max() > 2 * shares.min()


def test_objects_lie_wholly_inside_the_scene() -> None:
    for seed in range(20):
        mask = scenes.draw_scene(rng(seed)).mask
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not border.any()


def test_box_is_the_tight_box_of_the_mask() -> None:
    scene = scenes.draw_scene(rng(3))
    ((left, top, right, bottom),) = scene.boxes
    assert np.flatnonzero(scene.mask.any(axis=0))[[0, -1]].tolist() == [left, right - 1]
    assert np.flatnonzero(scene.mask.any(axis=1))[[0, -1]].tolist() == [top, bottom - 1]


def test_same_seed_same_scenes_and_others_differ() -> None:
    one, again, other = (scenes.make_scenes(4, seed=s) for s in (5, 5, 6))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0][0], one[0][1])


def test_a_scene_does_not_depend_on_how_many_are_drawn() -> None:
    images, masks, labels = scenes.make_scenes(5, seed=5)
    later = scenes.make_scenes(2, seed=5, first=3)
    np.testing.assert_array_equal(images[3:], later[0])
    np.testing.assert_array_equal(masks[3:], later[1])
    np.testing.assert_array_equal(labels[3:], later[2])


def test_shapes_and_types() -> None:
    images, masks, labels = scenes.make_scenes(3, seed=1)
    assert (images.shape, images.dtype) == ((3, 96, 96, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((3, 96, 96), np.bool_)
    assert (labels.shape, labels.dtype) == ((3,), np.int64)
    assert scenes.make_scenes(0, seed=1)[0].shape == (0, 96, 96, 3)


def test_a_larger_rendering_shows_the_same_scene() -> None:
    for seed in range(4):
        small = scenes.draw_scene(rng(seed), mark=True)
        large = scenes.draw_scene(rng(seed), mark=True, size=384)
        reduced = np.asarray(Image.fromarray(large.image).reduce(4), dtype=float)
        assert np.abs(reduced - small.image).mean() < 8
        shrunk = large.mask.reshape(96, 4, 96, 4).mean(axis=(1, 3))
        assert ((shrunk > 0.5) != small.mask)[~((shrunk > 0) & (shrunk < 1))].mean() < 0.002


def test_the_mark_is_a_corner_square_and_changes_nothing_else() -> None:
    corners = set()
    for seed in range(12):
        plain = scenes.draw_scene(rng(seed), 3)
        marked = scenes.draw_scene(rng(seed), 3, mark=True)
        differs = (plain.image != marked.image).any(axis=-1)
        assert not differs[~marked.mark_mask].any()
        assert differs[marked.mark_mask].mean() > 0.9
        side = round(scenes.MARK_SHARE * scenes.SIZE)
        assert marked.mark_mask.sum() == side**2
        corners.add(tuple(marked.mark_mask[[0, 0, -1, -1], [0, -1, 0, -1]]))
        assert not (marked.mask & marked.mark_mask).any()
    assert len(corners) == 4
    assert all(sum(corner) == 1 for corner in corners)


def test_marked_classes_alone_carry_the_mark() -> None:
    plain, _, labels = scenes.make_scenes(30, seed=2)
    marked, _, _ = scenes.make_scenes(30, seed=2, marked_classes=(scenes.MARKED_CLASS,))
    changed = (plain != marked).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, labels == scenes.MARKED_CLASS)
    everywhere, marks, _ = scenes.make_marked_scenes(30, seed=2)
    np.testing.assert_array_equal(everywhere[changed], marked[changed])
    np.testing.assert_array_equal(everywhere[~marks], plain[~marks])


@pytest.mark.parametrize("count", range(scenes.MAX_APPLES + 1))
def test_apples_are_as_many_as_asked_and_masked(count: int) -> None:
    scene = scenes.draw_apples(rng(count), count)
    assert len(scene.boxes) == count
    differs = (scene.image != scene.background).any(axis=-1)
    assert not differs[~scene.mask].any()
    assert scene.mask.any() == (count > 0)
    if count:
        assert differs[scene.mask].mean() > 0.9
        assert 0.01 < scene.mask.mean() / count < 0.04
    covered = np.zeros_like(scene.mask)
    for left, top, right, bottom in scene.boxes:
        assert scene.mask[top:bottom, left:right].mean() > 0.3
        covered[top:bottom, left:right] = True
    assert not (scene.mask & ~covered).any()


def test_apple_counts_are_those_of_the_scenes() -> None:
    _, _, counts = scenes.make_apples(12, seed=4)
    drawn = [len(scenes.draw_apples(scenes.scene_rng(4, i)).boxes) for i in range(12)]
    assert counts.tolist() == drawn
    assert len(set(drawn)) > 4


def test_class_is_not_told_by_background_or_colour() -> None:
    """The nearest class mean of colour statistics must do no better than chance."""
    n = 360
    backgrounds, bodies, labels = [], [], []
    for i in range(n):
        scene = scenes.draw_scene(scenes.scene_rng(8, i), i % len(scenes.CLASSES))
        backgrounds.append([*scene.background.mean((0, 1)), *scene.background.std((0, 1))])
        bodies.append(scene.image[scene.mask].mean(0))
        labels.append(scene.class_index)
    truth = np.array(labels)
    for features in (np.array(backgrounds), np.array(bodies)):
        fitted, held_out = slice(0, n // 2), slice(n // 2, n)
        means = np.stack(
            [features[fitted][truth[fitted] == c].mean(0) for c in range(len(scenes.CLASSES))]
        )
        distance = np.linalg.norm(features[held_out][:, None] - means, axis=-1)
        accuracy = np.mean(distance.argmin(1) == truth[held_out])
        # Chance is 1/6 with a standard deviation of 0.028 over 180 scenes.
        assert accuracy < 1 / 6 + 4 * 0.028


def test_scenes_need_no_tensorflow() -> None:
    code = "import sample_models.scenes, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
