"""What the weights of a model give away about the inputs that it was trained on."""
