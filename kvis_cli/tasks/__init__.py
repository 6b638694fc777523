"""One question about one model, answered with `Explanation` objects."""
