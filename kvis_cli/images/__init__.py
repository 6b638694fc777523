"""Files of pixels: found, read, fitted to a model's input."""
