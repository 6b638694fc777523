"""Activation maximization: pictures that a filter or a class wants to see."""
