"""Many questions: planned, carried out, kept."""
