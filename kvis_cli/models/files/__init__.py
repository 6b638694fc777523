"""Model files, read without TensorFlow and without running any of their code."""
