"""The registry of CAM methods, importable without TensorFlow.

Notation: ``A`` are the layer's feature maps, ``K`` channels over ``N`` positions; ``S`` is the
explained score and ``G = ∂S/∂A``. A map is unscaled float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kvis_cli.lazy import tf
from kvis_cli.plugins import load_methods

if TYPE_CHECKING:
    from kvis_cli.engines.cam.settings import CamEngineLike, MakeEngine

Reduction = Literal["sum", "signed", "eigen", "response"]


@dataclass(frozen=True)
class Readings:
    """What the gradient methods are functions of; tensors with the channels last.

    Attributes
    ----------
    features
        ``A``: ``(B, 1, *space, K)``.
    gradient
        ``G``: ``(B, T, *space, K)``; its mean when there are noise samples.
    second, third
        Means of ``G²`` and ``G³`` over noise samples; None without, where they are powers of `G`.
    """

    features: Any
    gradient: Any
    second: Any = None
    third: Any = None

    @property
    def space(self) -> list[int]:
        """The axes of the positions."""
        return list(range(2, len(self.features.shape) - 1))

    def map(self, change: Callable[[Any], Any]) -> Readings:
        """The same readings with every tensor changed."""
        parts = (self.features, self.gradient, self.second, self.third)
        return Readings(*(None if part is None else change(part) for part in parts))

    def over_space(self, tensor: Any) -> Any:
        """The sum over all positions, kept as axes of size one."""
        return tf.reduce_sum(tensor, axis=self.space, keepdims=True)


Weighted = Callable[[Readings], Any]
"""``Readings -> (B, T, *space, K)``: the feature maps, weighted."""


@dataclass(frozen=True)
class CamMethod:
    """A registered method.

    Attributes
    ----------
    name
        What users type.
    paper
        Authors, year, arXiv number or DOI.
    cost
        Passes through the model per image, in words.
    about
        What it is, in a sentence.
    formula
        As the documentation shows it.
    gradient
        Whether it needs gradients.
    deterministic
        Whether two runs give the same map whatever the seed.
    weighted
        For methods that are functions of `Readings`.
    reduction
        How weighted feature maps become a map: ``sum`` over channels and ReLU, ``signed`` sum,
        ``eigen``, their first principal component with the sign of their sum, or ``response``,
        that with the sign of its larger part.
    contrast
        Whether the gradient is that of the score minus the most similar classes' scores.
    make
        For methods with an engine of their own.
    at_input
        Whether the map has the input's size.
    reads_layer
        Whether it is a map of a chosen layer.
    needs_linear_head
        Whether it is defined only where global average pooling and one Dense layer follow.
    directed
        Whether it tells what raises the score from what lowers it.
    percentile
        Where the palette ends: maps of fine lines have a few extreme pixels.
    """

    name: str
    paper: str
    cost: str
    about: str
    formula: str
    gradient: bool = True
    deterministic: bool = True
    weighted: Weighted | None = None
    reduction: Reduction = "sum"
    contrast: bool = False
    make: MakeEngine | None = None
    at_input: bool = False
    reads_layer: bool = True
    needs_linear_head: bool = False
    directed: bool = True
    percentile: float | None = None

    @property
    def signed(self) -> bool:
        """Whether its values may be negative."""
        return self.reduction == "signed"


CAM_METHODS: dict[str, CamMethod] = {}
_ONE = "1 forward + 1 backward to the layer, shared"


def _described(function: Callable[..., Any]) -> tuple[str, str]:
    """The first paragraph of a docstring, and the formulae: its other text between backticks."""
    text = inspect.getdoc(function) or ""
    about, _, rest = text.partition("\n\n")
    formula = rest.split("\n\n")[0]
    return " ".join(about.split()), " ".join(formula.replace("``", "").split())


def weighting(
    name: str, paper: str, cost: str = _ONE, **facts: Any
) -> Callable[[Weighted], Weighted]:
    """Enter a function of `Readings` into `CAM_METHODS`; its docstring is the description."""

    def enter(function: Weighted) -> Weighted:
        about, formula = _described(function)
        CAM_METHODS[name] = CamMethod(name, paper, cost, about, formula, weighted=function, **facts)
        return function

    return enter


def engine(name: str, paper: str, cost: str, **facts: Any) -> Callable[[MakeEngine], MakeEngine]:
    """Enter a method with an engine of its own into `CAM_METHODS`."""

    def enter(make: MakeEngine) -> MakeEngine:
        about, formula = _described(make)
        CAM_METHODS[name] = CamMethod(name, paper, cost, about, formula, make=make, **facts)
        return make

    return enter


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
    """A quotient that is the numerator where the denominator is zero, as in the authors' code."""
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
    """What the layer responds to most, whatever the class.

    ``ReLU(A v₁)``, ``v₁`` the first right singular vector of ``A`` (positions × channels)

    Its sign is the one under which most of the map's energy is positive: where maps take both
    signs, as before a rectifier, the response may be strongest where they are negative.
    """
    return r.features * tf.ones_like(r.gradient[..., :1])


@weighting("eigengradcam", "after Muhammad & Yeasin 2020; pytorch-grad-cam", reduction="eigen")
def eigengradcam(r: Readings) -> Any:
    """The first principal component of what each channel contributes to the score.

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
    """The class's own Dense weights, where the head is global average pooling and one Dense layer.

    ``Σ_k w_k A_k``, ``w_k`` the class's weights; its mean plus the bias is the logit

    Evidence against the class is negative. The weights are read from the gradient, which is
    ``w_k / N`` at every position of such a head.
    """
    return r.over_space(r.gradient) * r.features


@engine(
    "scorecam", "Wang et al. 2019, arXiv:1910.01279", "1 forward + 1 per channel", gradient=False
)
def scorecam(*arguments: Any) -> CamEngineLike:
    """Channels weighted by the score of the image seen through them; no gradient.

    ``ReLU(Σ_k w_k A_k)``, ``w_k = p(x ⊙ H_k)``, ``H_k`` the channel enlarged and scaled to 0…1

    ``p`` is the model's own probability of the class, as in the authors' code; where there is
    none, the rise of the score above that of a blank input.
    """
    from kvis_cli.engines.cam.scorecam import ScoreCam

    return ScoreCam(*arguments)


@engine(
    "ablationcam", "Desai & Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
    "1 forward + 1 from the layer on per channel", gradient=False,
)  # fmt: skip
def ablationcam(*arguments: Any) -> CamEngineLike:
    """Channels weighted by how far the score falls without them; no gradient.

    ``ReLU(Σ_k w_k A_k)``, ``w_k = (S - S without A_k) / |S|``
    """
    from kvis_cli.engines.cam.ablationcam import AblationCam

    return AblationCam(*arguments)


@engine(
    "fullgrad", "Srinivas & Fleuret 2019, arXiv:1905.00780",
    "1 forward + 1 backward to the input", at_input=True, reads_layer=False, directed=False,
)  # fmt: skip
def fullgrad(*arguments: Any) -> CamEngineLike:
    """Input gradient and the gradients of all biases, which together account for the score.

    ``ψ(G_x ⊙ x) + Σ_layers Σ_k ψ(G_k · b_k)``, ``ψ`` the magnitude, scaled to 0…1, enlarged
    """
    from kvis_cli.engines.cam.fullgrad import FullGrad

    return FullGrad(*arguments)


@engine(
    "guided_gradcam", "Selvaraju et al. 2016, arXiv:1610.02391",
    "1 forward + 1 guided backward to the input", at_input=True, percentile=99.0,
)  # fmt: skip
def guided_gradcam(*arguments: Any) -> CamEngineLike:
    """Guided backpropagation where Grad-CAM is warm: fine lines, only on the class.

    ``max_c |guided gradient| ⊙ Grad-CAM``, Grad-CAM enlarged to the input
    """
    from kvis_cli.engines.cam.guided_gradcam import GuidedGradCam

    return GuidedGradCam(*arguments)


load_methods()
