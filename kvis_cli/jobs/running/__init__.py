"""A planned job, carried out in one process or several."""
