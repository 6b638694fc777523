"""Models in memory. Needs Keras."""
