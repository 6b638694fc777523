"""Parametrizations, optimizers and phases against literal transcriptions."""

from __future__ import annotations

import numpy as np
import pytest

# Olah, Mordvintsev and Schubert 2017: the root of the colours' covariance, as published.
PUBLISHED = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]]


def decoded(spectrum, size, decay, bgr):
    """Pictures ``(B, h, w, 3)`` of complex coefficients ``(B, 3, h, w // 2 + 1)``, by loops."""
    height, width = size
    colours = np.array(PUBLISHED)
    longest = max(np.sqrt(sum(colours[i, k] ** 2 for i in range(3))) for k in range(3))
    colours = colours / longest
    scaled = np.zeros_like(spectrum)
    for y in range(height):
        for x in range(width // 2 + 1):
            fy = (y if y < (height + 1) // 2 else y - height) / height
            fx = x / width
            frequency = max(np.sqrt(fy**2 + fx**2), 1 / max(size))
            factor = np.sqrt(height * width) / frequency**decay
            if (y, x) == (0, 0):
                factor = 8 * height * width
            scaled[:, :, y, x] = spectrum[:, :, y, x] * factor / 4
    planes = np.fft.irfft2(scaled, s=size)
    images = np.zeros((len(spectrum), height, width, 3))
    for channel in range(3):
        row = colours[2 - channel if bgr else channel]
        images[..., channel] = sum(row[k] * planes[:, k] for k in range(3))
    return 1 / (1 + np.exp(-images))


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize(("size", "decay"), [((6, 8), 1.0), ((7, 6), 1.3)])
def test_fourier_pictures_are_those_of_the_published_formula(tf, size, decay, bgr):
    from kvis_cli.engines.activation_maximization.parametrizations import Fourier

    rng = np.random.default_rng(4)
    parts = rng.normal(0, 0.02, (2, 3, size[0], size[1] // 2 + 1, 2)).astype(np.float32)
    # What a real picture has no imaginary part of.
    parts[..., 0, 0, 1] = 0
    fourier = Fourier((*size, 3), bgr=bgr, decay=decay)
    wanted = decoded(parts[..., 0] + 1j * parts[..., 1], size, decay, bgr)
    np.testing.assert_allclose(fourier.decode(parts), wanted, atol=2e-5)


def test_colours_are_decorrelated(tf):
    """Grey moves all channels alike, and the other two components hardly move brightness."""
    from kvis_cli.engines.activation_maximization.parametrizations import Fourier

    fourier = Fourier((4, 4, 3))
    pictures = []
    for component in range(3):
        parts = np.zeros((1, 3, 4, 3, 2), np.float32)
        parts[0, component, 0, 0, 0] = 0.05
        pictures.append(np.asarray(fourier.decode(parts))[0, 0, 0] - 0.5)
    brightness = [abs(p.mean()) for p in pictures]
    assert brightness[0] > 10 * max(brightness[1:])
    assert np.ptp(pictures[0]) < 0.1 * brightness[0]


@pytest.mark.parametrize("correct", [True, False])
def test_rmsprop_by_hand(tf, correct):
    from kvis_cli.engines.activation_maximization.optimizers import RmsProp

    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 3, 3)).astype(np.float32)
    optimizer = RmsProp(0.1, decay=0.95, correct=correct, epsilon=0.0)
    slots, mean, mine = optimizer.slots(tf.constant(x)), np.zeros_like(x), x.copy()
    theirs = tf.constant(x)
    for step in range(1, 4):
        gradient = rng.normal(size=x.shape).astype(np.float32)
        theirs, slots = optimizer.step(theirs, tf.constant(gradient), slots, tf.constant(step))
        mean = 0.95 * mean + 0.05 * gradient**2
        seen = mean / (1 - 0.95**step) if correct else mean
        mine = mine - 0.1 * gradient / np.sqrt(seen)
        np.testing.assert_allclose(theirs, mine, rtol=2e-4)
    if correct:
        # The first step is as long as the rate, whatever the gradient.
        first, _ = optimizer.step(
            tf.constant(x), tf.constant(7.0 * np.ones_like(x)), optimizer.slots(tf.constant(x)), 1
        )
        np.testing.assert_allclose(x - first, 0.1, rtol=1e-4)


def test_adam_by_hand(tf):
    from kvis_cli.engines.activation_maximization.optimizers import Adam

    rng = np.random.default_rng(2)
    x = rng.normal(size=(1, 4)).astype(np.float32)
    optimizer = Adam(0.05, epsilon=0.0)
    slots, theirs, mine = optimizer.slots(tf.constant(x)), tf.constant(x), x.copy()
    first, second = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, 5):
        gradient = rng.normal(size=x.shape).astype(np.float32)
        theirs, slots = optimizer.step(theirs, tf.constant(gradient), slots, tf.constant(step))
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        mine -= 0.05 * (first / (1 - 0.9**step)) / np.sqrt(second / (1 - 0.99**step))
        np.testing.assert_allclose(theirs, mine, rtol=2e-3)


def test_the_phases_of_a_recipe_in_numbers(tf):
    from kvis_cli.engines.activation_maximization.input_modifiers import BlurInput, Jitter
    from kvis_cli.engines.activation_maximization.presets import Recipe, modifiers, phases

    recipe = Recipe(steps=40, warm_up=10, rate=0.1, decay=1.3, jitter="2%", patience=7)
    warm, rest = phases(recipe)
    assert warm == Recipe(
        steps=10, optimizer="sgd", rate=0.05, parametrization="pixel", decay=1.3, bound="clip",
        jitter="2%", blur=1.0, patience=0,
    )  # fmt: skip
    assert rest == Recipe(steps=30, rate=0.1, decay=1.3, jitter="2%", patience=7)
    jitter, blur = modifiers(warm)
    assert isinstance(jitter, Jitter) and isinstance(blur, BlurInput) and blur.sigma == 1.0
    assert [type(m) for m in modifiers(rest)] == [Jitter]
    # Pixels see all colours from the first step on.
    assert phases(Recipe(steps=5, warm_up=3, parametrization="pixel")) == [
        Recipe(steps=5, parametrization="pixel")
    ]
    assert [phase.steps for phase in phases(Recipe(steps=5, warm_up=9))] == [5]


def test_the_blur_of_the_warm_up_is_a_gaussian(tf):
    """A point under a deviation of one pixel, far from the edges."""
    from kvis_cli.engines.activation_maximization.input_modifiers import BlurInput

    image = np.zeros((1, 17, 17, 1), np.float32)
    image[0, 8, 8] = 1
    found = np.asarray(BlurInput(1.0).apply(tf.constant(image), tf.zeros((1, 0))))[0, :, :, 0]
    at = np.arange(17) - 8
    wanted = np.exp(-0.5 * (at[:, None] ** 2 + at[None] ** 2))
    np.testing.assert_allclose(found, wanted / wanted.sum(), atol=2e-3)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 3)])
def test_fourier_has_one_to_three_spatial_axes(tf, shape):
    from kvis_cli.engines.activation_maximization.parametrizations import Fourier
    from kvis_cli.errors import UsageError

    with pytest.raises(UsageError, match="one to three"):
        Fourier(shape)


@pytest.mark.parametrize("beta", [2, 3])
def test_total_variation_of_keras_vis_with_channels_first(tf, beta):
    """Every step down and to the right, its squares summed, to the power of β / 2."""
    from kvis_cli.engines.activation_maximization.losses import View
    from kvis_cli.engines.activation_maximization.published import KerasVisTotalVariation

    x = np.random.default_rng(0).normal(0, 50, (2, 5, 6, 3)).astype(np.float32)
    wanted = np.zeros(2)
    for n, i, j, c in np.ndindex(2, 4, 5, 3):
        down, right = x[n, i + 1, j, c] - x[n, i, j, c], x[n, i, j + 1, c] - x[n, i, j, c]
        wanted[n] += (down**2 + right**2) ** (beta / 2)
    loss = KerasVisTotalVariation(beta)
    for first in (False, True):
        given = tf.constant(np.moveaxis(x, -1, 1) if first else x)
        found = loss(View(given, given, [], {}, channels_first=first), {})
        np.testing.assert_allclose(found, wanted / (5 * 6 * 3), rtol=1e-4)


def test_recipes_are_frozen(tf):
    """A preset is shared by everyone who names it."""
    from dataclasses import FrozenInstanceError

    from kvis_cli.engines.activation_maximization.presets import PRESETS

    with pytest.raises(FrozenInstanceError):
        next(iter(PRESETS.values())).steps = 1
