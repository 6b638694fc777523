"""keras-vis' helpers: ``from kvis_cli.keras_vis.utils import utils``."""
