"""keras-vis' helpers: ``from kvis_cli.utils import utils``."""
