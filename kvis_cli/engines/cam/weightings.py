"""The CAM methods that are functions of feature maps and their gradient.

Examples
--------
>>> features = tf.reshape(tf.range(4.0), (1, 1, 2, 2, 1))
>>> gradcam(Readings(features, tf.fill((1, 1, 2, 2, 1), 2.0))).numpy().ravel().tolist()
[0.0, 2.0, 4.0, 6.0]
"""

from __future__ import annotations

from typing import Any

from kvis_cli.engines.cam.registry import Readings, weighting
from kvis_cli.lazy import tf


@weighting("gradcam", "Selvaraju et al. 2016, arXiv:1610.02391")
def gradcam(r: Readings) -> Any:
    """Channels weighted by their mean gradient.

    ``ReLU(Σ_k α_k A_k)``, ``α_k = mean(G_k)``
    """
    return tf.reduce_mean(r.gradient, axis=r.space, keepdims=True) * r.features


@weighting("gradcam++", "Chattopadhyay et al. 2017, arXiv:1710.11063")
def gradcam_plus_plus(r: Readings) -> Any:
    """Channels weighted by positive gradients, more where few positions carry the evidence.

    ``ReLU(Σ_k w_k A_k)``, ``w_k = Σ α_k ReLU(G_k)``, ``α_k = G_k² / (2 G_k² + ΣA_k · G_k³)``

    The paper's score is ``exp(S)``, whose factor cancels in ``α`` and in the scaled map; leaving
    it out keeps the map finite for scores of any size. With noise samples the powers are averaged
    first: SmoothGrad-CAM++ (Omeiza et al. 2019, arXiv:1908.01224).
    """
    exact = r.map(_double)
    return _single(r.over_space(_alpha(exact) * tf.nn.relu(exact.gradient))) * r.features


@weighting("gradcam++norm", "Chattopadhyay et al. 2017, authors' code")
def gradcam_plus_plus_normalised(r: Readings) -> Any:
    """Grad-CAM++ as its authors' code has it: each channel's coefficients add up to one.

    ``ReLU(Σ_k w_k A_k)``, ``w_k = Σ (α_k / Σα_k) ReLU(G_k)``, ``α_k`` as in gradcam++
    """
    exact = r.map(_double)
    alpha = _alpha(exact)
    share = _ratio(alpha, r.over_space(alpha))
    return _single(r.over_space(share * tf.nn.relu(exact.gradient))) * r.features


def _alpha(r: Readings) -> Any:
    # Near a pole, where ΣA·G is about -2, single precision would lose half of the digits.
    total = r.over_space(r.features)
    if r.second is None:
        # G² cancels; its powers would overflow where scores are large.
        used = _double(r.gradient != 0.0)
        return _ratio(used, 2.0 + total * r.gradient)
    return _ratio(r.second, 2.0 * r.second + total * r.third)


def _double(tensor: Any) -> Any:
    return tf.cast(tensor, tf.float64)


def _single(tensor: Any) -> Any:
    return tf.cast(tensor, tf.float32)


def _ratio(above: Any, below: Any) -> Any:
    """Return a quotient that is the numerator where the denominator is zero.

    As in the authors' code.
    """
    return above / tf.where(below == 0.0, tf.ones_like(below), below)


@weighting("xgradcam", "Fu et al. 2020, arXiv:2008.02312")
def xgradcam(r: Readings) -> Any:
    """Channels weighted so that the weights account for the score (sensitivity, conservation).

    ``ReLU(Σ_k w_k A_k)``, ``w_k = Σ (A_k / ΣA_k) G_k``
    """
    weights = _ratio(r.over_space(r.features * r.gradient), r.over_space(r.features))
    return weights * r.features


@weighting("hirescam", "Draelos & Carin 2020, arXiv:2011.08891")
def hirescam(r: Readings) -> Any:
    """Each position by its own gradient: it shows only places that did raise the score.

    ``ReLU(Σ_k G_k ⊙ A_k)``
    """
    return r.gradient * r.features


@weighting("layercam", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943")
def layercam(r: Readings) -> Any:
    """Each position by its own positive gradient; fine detail from shallow layers.

    ``ReLU(Σ_k ReLU(G_k) ⊙ A_k)``
    """
    return tf.nn.relu(r.gradient) * r.features


@weighting("elementwise", "Pillai & Pirsiavash 2021, AAAI 35(3)")
def elementwise(r: Readings) -> Any:
    """Each channel's positive contributions, position by position.

    ``Σ_k ReLU(G_k ⊙ A_k)``
    """
    return tf.nn.relu(r.gradient * r.features)


@weighting(
    "eigencam", "Muhammad & Yeasin 2020, arXiv:2008.00299", "1 forward, shared",
    gradient=False, reduction="response", directed=False,
)  # fmt: skip
def eigencam(r: Readings) -> Any:
    """Return what the layer responds to most, whatever the class.

    ``ReLU(A v₁)``, ``v₁`` the first right singular vector of ``A`` (positions × channels)

    Its sign is the one under which most of the map's energy is positive: where maps take both
    signs, as before a rectifier, the response may be strongest where they are negative.
    """
    return r.features * tf.ones_like(r.gradient[..., :1])


@weighting("eigengradcam", "after Muhammad & Yeasin 2020; pytorch-grad-cam", reduction="eigen")
def eigengradcam(r: Readings) -> Any:
    """Return the first principal component of what each channel contributes to the score.

    ``ReLU((G ⊙ A) v₁)``, ``v₁`` the first right singular vector of ``G ⊙ A``

    Its sign is the one that agrees with the sum of the channels (HiResCAM): they are evidence, and
    evidence against the class stays dark.
    """
    return r.gradient * r.features


@weighting(
    "finercam", "Zhang et al. 2025, arXiv:2501.11309",
    "1 forward + 2 backward to the layer, shared", contrast=True,
)  # fmt: skip
def finercam(r: Readings) -> Any:
    """Grad-CAM of what tells the class from the three whose scores are nearest.

    ``ReLU(Σ_k α_k A_k)``, ``α_k = mean(∂(S - 0.6 · mean of the 3 similar scores)/∂A_k)``
    """
    return gradcam(r)


@weighting("cam", "Zhou et al. 2015, arXiv:1512.04150", reduction="signed", needs_linear_head=True)
def cam(r: Readings) -> Any:
    """Return the class's own Dense weights.

    Where the head is global average pooling and one Dense layer.

    ``Σ_k w_k A_k``, ``w_k`` the class's weights; its mean plus the bias is the logit

    Evidence against the class is negative. The weights are read from the gradient, which is
    ``w_k / N`` at every position of such a head.
    """
    return r.over_space(r.gradient) * r.features
