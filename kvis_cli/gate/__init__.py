"""Whether a model still looks where it should: what is measured, and what decides."""
