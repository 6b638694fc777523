"""Activation maximization: pictures to which a filter or a class responds most."""
