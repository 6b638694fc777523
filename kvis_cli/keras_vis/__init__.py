"""The functions of keras-vis under their own names: ``import kvis_cli.keras_vis as vis``."""
