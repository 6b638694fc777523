"""How maps and pictures are computed, with TensorFlow and without files."""
