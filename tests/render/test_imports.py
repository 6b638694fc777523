import json
import subprocess
import sys


def test_rendering_imports_no_heavy_library_and_little_else():
    """In a fresh interpreter: what the modules bring with them, and how long it takes."""
    program = """
import json, sys, time
import numpy, PIL.Image, PIL.ImageDraw, PIL.ImageFont
start = time.process_time()
import pkgutil, importlib, kvis_cli.render as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")
taken = time.process_time() - start
print(json.dumps([taken, sorted({name.split(".")[0] for name in sys.modules})]))
"""
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    taken, modules = json.loads(output)
    heavy = {"tensorflow", "keras", "matplotlib", "scipy", "cv2", "typer", "rich", "yaml", "h5py"}
    assert not heavy & set(modules)
    assert taken < 0.15
