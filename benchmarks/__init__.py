"""Comparisons with the raw operations and with other libraries, as ratios within one run."""
