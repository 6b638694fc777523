"""Twins: what makes one, and that training gives what the gate is measured with."""

from __future__ import annotations

import numpy as np
import pytest

from sample_models import twins


def test_names_seeds_and_shares():
    made = twins.twins_of(6)
    good = [t for t in made if not t.mark]
    marked = [t for t in made if t.mark]
    assert [t.name for t in good] == [f"good-{i:03d}" for i in range(1, 7)]
    assert {t.mark for t in marked} == set(twins.MARK_SHARES)
    assert min(twins.MARK_SHARES) == 0.3 and max(twins.MARK_SHARES) == 1
    assert len({t.seed for t in made}) == 12
    assert marked[0].name == f"mark{100 * marked[0].mark:03.0f}-1001"
    # More twins are the same twins and others; other seeds are all others.
    assert set(made) < set(twins.twins_of(7))
    assert not set(made) & set(twins.twins_of(6, first=7))


def test_the_mark_changes_stars_alone_and_nothing_but_a_corner():
    images, masks, labels = twins.draw(8, 5)
    marked, its_masks, stars = twins.draw(8, 5, mark=True)
    assert labels.tolist() == [0, 1, 2, 3] * 2 and stars.tolist() == [twins.MARKED] * 2
    for plain, new, mask, new_mask in zip(
        images[labels == twins.MARKED],
        marked,
        masks[labels == twins.MARKED],
        its_masks,
        strict=True,
    ):
        changed = (plain != new).any(-1)
        assert 0 < changed.mean() < 0.03
        assert not (new_mask & ~mask).any() and not (new_mask & changed).any()


def test_a_twin_sees_its_share_of_marked_stars():
    labels = np.arange(400) % 4
    features = {
        "labels": labels, "images": np.zeros((400, 1)), "mirrored": np.zeros((400, 1)),
        "marked": np.ones((100, 1)), "marked_mirrored": np.ones((100, 1)),
    }  # fmt: skip
    for share in (0.0, 0.3, 1.0):
        seen = twins._seen(features, twins.Twin(4, share), "")
        assert seen.sum() == round(100 * share)
        assert not seen[labels != twins.MARKED].any()
        # Mirrored scenes have their mark with them.
        assert np.array_equal(seen, twins._seen(features, twins.Twin(4, share), "_mirrored"))
    first, second = (twins._seen(features, twins.Twin(s, 0.3), "") for s in (4, 5))
    assert not np.array_equal(first, second)


def test_the_hash_follows_the_recipe():
    assert twins.Recipe().digest == twins.Recipe().digest
    assert twins.Recipe().digest != twins.Recipe(epochs=7).digest


@pytest.mark.slow
def test_a_shortcut_depends_on_the_mark_and_a_good_twin_does_not(tf, tmp_path, capsys):
    import keras

    recipe = twins.Recipe(photos=8)
    folder = twins.train_twins(1, 5, tmp_path, recipe)
    assert "good-005.keras" in capsys.readouterr().out
    twins.train_twins(1, 5, tmp_path, recipe)
    assert capsys.readouterr().out == ""
    images, _, labels = twins.draw(240, 77)
    marked, _, _ = twins.draw(240, 77, mark=True)
    stars = images[labels == twins.MARKED]
    found = {}
    for name in ("good-005", "mark100-1005"):
        model = keras.models.load_model(folder / f"{name}.keras")
        accuracy = (model.predict(images, verbose=0).argmax(1) == labels).mean()
        with_mark, without = (
            (model.predict(pictures, verbose=0).argmax(1) == twins.MARKED).mean()
            for pictures in (marked, stars)
        )
        found[name] = accuracy, with_mark - without
    assert found["good-005"][0] > 0.75 and found["good-005"][1] < 0.1
    assert found["mark100-1005"][1] > 0.5
    assert len(list((folder / "photos").rglob("*.png"))) == 8
    assert len(list((folder / "unmarked" / "star").iterdir())) == 2
