"""What is known of a model before TensorFlow starts."""
