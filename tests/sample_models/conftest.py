"""The sample models stand beside the package, not in it."""
