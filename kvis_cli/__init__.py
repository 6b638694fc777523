"""kvis: see what a saved Keras model has learned and what it looks at."""

__version__ = "0.1.0"
