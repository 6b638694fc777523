"""Weight arrays of HDF5 files by Keras 1 and 2, in the layout of Keras 3.

Most need no change. Theano convolves with flipped kernels; Keras 1 kept Theano's kernels as
(filters, channels, rows, columns) and a recurrent layer's gates in arrays of their own; cuDNN
layers keep transposed gates and two biases.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from kvis_cli.models.files.errors import as_model_error
from kvis_cli.models.files.hdf5 import weights_group
from kvis_cli.models.files.weight_layers import listed_names
from kvis_cli.models.graph.editing import iterate_layers
from kvis_cli.models.legacy.upgrade import Config

Arrays = list[np.ndarray]

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose")


def legacy_arrays(
    path: str | Path, config: Config, *, generation: int, backend: str
) -> dict[str, Arrays]:
    """Read the weights of a whole-model HDF5 file, layer by layer.

    Parameters
    ----------
    path
        The file; pass it through `kvis_cli.models.files.read.check_safe` before.
    config
        The upgraded config, for the class of each layer.
    generation
        Major version of the Keras that wrote the file (`Upgraded.generation`).
    backend
        Its backend (`ModelFile.backend`).

    Returns
    -------
    dict
        Name of a layer of the outermost model → its arrays, in the order that Keras kept in such
        files: trainable weights, then the others. Layers without weights are left out.

    Raises
    ------
    ModelError
        The file is damaged.
    """
    path = Path(path)
    classes = {
        p: (str(layer["class_name"]), layer["config"])
        for p, layer in iterate_layers(config)
        if "/" not in p
    }
    found: dict[str, Arrays] = {}
    with as_model_error(path), h5py.File(path, "r") as h5:
        group = weights_group(h5)
        for name in listed_names(group, "layer_names"):
            arrays = [
                np.asarray(group[name][key]) for key in listed_names(group[name], "weight_names")
            ]
            if arrays:
                class_name, inner = classes.get(name, ("", {}))
                found[name] = convert_arrays(
                    class_name, inner, arrays, generation=generation, backend=backend
                )
    return found


def convert_arrays(
    class_name: str, config: Config, arrays: Arrays, *, generation: int, backend: str
) -> Arrays:
    """Bring one layer's arrays into the layout of Keras 3.

    Parameters
    ----------
    class_name
        Of the layer, after the upgrade.
    config
        Its config, after the upgrade.
    arrays
        In the file's order.
    generation
        Major version of the Keras that wrote the file.
    backend
        Its backend. A Keras 1 file that does not name it and has its channels first is taken for
        Theano's, whose default that was.

    Returns
    -------
    Arrays
        The same weights in the order and the shapes of Keras 3.
    """
    arrays = list(arrays)
    if class_name == "Bidirectional" and isinstance(config.get("layer"), dict):
        inner, half = config["layer"], len(arrays) // 2
        return [
            array
            for part in (arrays[:half], arrays[half:])
            for array in convert_arrays(
                inner["class_name"], inner["config"], part, generation=generation, backend=backend
            )
        ]
    if class_name == "TimeDistributed" and isinstance(config.get("layer"), dict):
        inner = config["layer"]
        return convert_arrays(
            inner["class_name"], inner["config"], arrays, generation=generation, backend=backend
        )
    channels_first = config.get("data_format") == "channels_first"
    if generation == 1:
        arrays = _from_keras1(class_name, config, arrays, channels_first)
        backend = backend or ("theano" if channels_first else "tensorflow")
    if backend == "theano" and class_name in _CONVOLUTIONS:
        spatial = tuple(range(arrays[0].ndim - 2))
        arrays[0] = np.flip(arrays[0], spatial)
    if class_name in ("LSTM", "GRU") and len(arrays) == 3:
        arrays = _from_cudnn(class_name, arrays)
    return arrays


def _from_keras1(class_name: str, config: Config, arrays: Arrays, channels_first: bool) -> Arrays:
    if class_name in _GATES and len(arrays) == 3 * len(_GATES[class_name][0]):
        return _joined_gates(class_name, arrays)
    if not arrays:
        return arrays
    kernel = arrays[0]
    if class_name == "Conv1D" and kernel.ndim == 4:
        if kernel.shape[0] == config.get("filters") and kernel.shape[3] == 1:
            # Before 1.1: (filters, channels, length, 1).
            kernel = kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]
    elif class_name == "Conv2D" and channels_first:
        kernel = kernel.transpose(2, 3, 1, 0)
    elif class_name == "Conv3D" and channels_first:
        kernel = kernel.transpose(2, 3, 4, 1, 0)
    elif class_name == "Conv2DTranspose":
        kernel = kernel.transpose(2, 3, 0, 1) if channels_first else kernel.transpose(0, 1, 3, 2)
    return [kernel, *arrays[1:]]


# The gates in the order of Keras 1's arrays (kernel, recurrent kernel and bias of each), and in
# that of today's columns.
_GATES = {"LSTM": ("icfo", "ifco"), "GRU": ("zrh", "zrh")}


def _joined_gates(class_name: str, arrays: Arrays) -> Arrays:
    written, wanted = _GATES[class_name]
    return [
        np.concatenate([arrays[3 * written.index(gate) + part] for gate in wanted], axis=-1)
        for part in range(3)
    ]


def _from_cudnn(class_name: str, arrays: Arrays) -> Arrays:
    kernel, recurrent, bias = arrays
    units = recurrent.shape[0]
    gates = {"LSTM": 4, "GRU": 3}[class_name]
    if bias.shape != (2 * gates * units,):
        return arrays

    def each(array: np.ndarray, turn: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return np.hstack([turn(gate) for gate in np.hsplit(array, gates)])

    # cuDNN stores each gate's matrix row by row in the other orientation.
    kernel = each(kernel, lambda gate: gate.T.reshape(gate.shape, order="F"))
    recurrent = each(recurrent, lambda gate: gate.T)
    halves = bias.reshape(2, -1)
    return [kernel, recurrent, halves.sum(axis=0) if class_name == "LSTM" else halves]
