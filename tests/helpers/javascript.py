"""Models of TensorFlow.js, written as its converter does."""

from __future__ import annotations

import json

import numpy as np


def manifest(arrays, shards, quantized=None):
    """The bytes of all arrays and their manifest: (name, array) as TensorFlow.js writes them."""
    data, entries, meant = b"", [], {}
    for name, array in arrays:
        entry = {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
        kind = quantized if array.dtype == np.float32 else None
        if kind == "float16":
            entry["quantization"] = {"dtype": kind, "original_dtype": "float32"}
            data += array.astype("<f2").tobytes()
            meant[name] = array.astype(np.float16).astype(np.float32)
        elif kind:
            most = np.iinfo(kind).max
            low, scale = float(array.min()), float(array.max() - array.min()) / most or 1.0
            numbers = np.round((array - low) / scale).astype(kind)
            entry["quantization"] = {"dtype": kind, "scale": scale, "min": low}
            data += numbers.astype(np.dtype(kind).newbyteorder("<")).tobytes()
            meant[name] = (numbers * scale + low).astype(np.float32)
        else:
            data += array.astype(array.dtype.newbyteorder("<")).tobytes()
            meant[name] = array
        entries.append(entry)
    size = -(-len(data) // shards)
    parts = [data[i * size : (i + 1) * size] for i in range(shards)]
    return parts, entries, meant


def write(folder, config, arrays, *, shards=3, quantized=None, keras_version="2.4.0", names=None):
    parts, entries, meant = manifest(arrays, shards, quantized)
    names = names or [f"group1-shard{i + 1}of{shards}.bin" for i in range(shards)]
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(part)
    document = {
        "format": "layers-model",
        "modelTopology": {
            "keras_version": keras_version, "backend": "tensorflow", "model_config": config,
        },
        "weightsManifest": [{"paths": names, "weights": entries}],
    }  # fmt: skip
    path = folder / "model.json"
    path.write_text(json.dumps(document))
    return path, meant
