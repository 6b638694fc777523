"""keras-vis' functions, under their own names, on live models of today's Keras.

The names, parameters and defaults are those of keras-vis 0.5.0; the page "Moving from keras-vis" of
the documentation describes what differs. They are thin layers over the engines of the commands.
"""

from kvis_cli.keras_vis.visualization.activation_maximization import (
    visualize_activation,
    visualize_activation_with_losses,
)
from kvis_cli.keras_vis.visualization.cam import visualize_cam, visualize_cam_with_losses
from kvis_cli.keras_vis.visualization.pattern import generate_pattern
from kvis_cli.keras_vis.visualization.pictures import get_num_filters, overlay
from kvis_cli.keras_vis.visualization.saliency import (
    visualize_saliency,
    visualize_saliency_with_losses,
)

__all__ = [
    "generate_pattern",
    "get_num_filters",
    "overlay",
    "visualize_activation",
    "visualize_activation_with_losses",
    "visualize_cam",
    "visualize_cam_with_losses",
    "visualize_saliency",
    "visualize_saliency_with_losses",
]
