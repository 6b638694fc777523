"""Options: one definition for a flag and a key, YAML, mistakes in words."""
