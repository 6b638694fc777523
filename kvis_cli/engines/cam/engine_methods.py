"""The CAM methods with an engine of their own, whose module is imported when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvis_cli.engines.cam.registry import engine

if TYPE_CHECKING:
    from kvis_cli.engines.cam.settings import CamEngineLike


PERTURBATION = ("eigen_smooth", "max_channels")


@engine(
    "scorecam", "Wang et al. 2019, arXiv:1910.01279", "1 forward + 1 per channel", gradient=False,
    options=PERTURBATION,
)  # fmt: skip
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
    "1 forward + 1 from the layer on per channel", gradient=False, options=PERTURBATION,
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
    options=(),
)  # fmt: skip
def fullgrad(*arguments: Any) -> CamEngineLike:
    """Input gradient and the gradients of all biases, which together account for the score.

    ``ψ(G_x ⊙ x) + Σ_layers Σ_k ψ(G_k · b_k)``, ``ψ`` the magnitude, scaled to 0…1, enlarged
    """
    from kvis_cli.engines.cam.fullgrad import FullGrad

    return FullGrad(*arguments)


@engine(
    "guided_gradcam", "Selvaraju et al. 2016, arXiv:1610.02391",
    "1 forward + 1 guided backward to the input", at_input=True, percentile=99.0, options=(),
)  # fmt: skip
def guided_gradcam(*arguments: Any) -> CamEngineLike:
    """Guided backpropagation where Grad-CAM is warm: fine lines, only on the class.

    ``max_c |guided gradient| ⊙ Grad-CAM``, Grad-CAM enlarged to the input
    """
    from kvis_cli.engines.cam.guided_gradcam import GuidedGradCam

    return GuidedGradCam(*arguments)
