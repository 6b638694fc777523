"""What difference between two models is harmless, measured with models known to be good."""
