"""What a model gives away about how it is fed: its layers, its family, its weights."""
