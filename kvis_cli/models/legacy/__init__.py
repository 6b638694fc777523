"""Files of older Keras versions, rewritten for today's."""
