"""Arrays to pictures: palettes, overlays, captions, sheets, PNG and animation files.

Knows numpy arrays only: no model, no spec, no console. Import what you need from its modules.
"""
