r"""Groups of weights that tf.keras 2.12 to 2.15 named otherwise, under the names of Keras 3.

On Windows ``layers\conv1d/vars/0`` was written for ``layers/conv1d/vars/0``. Another attribute of
a model, ``_layer_checkpoint_dependencies``, came first for some versions: it lists a layer with
weights twice, so that the numbers of its classes have gaps; or its names are those of the run that
saved it, whose numbers begin anywhere.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kvis_cli.models.files.archive import WEIGHTS_MEMBER, open_member
from kvis_cli.models.files.weight_layers import natural
from kvis_cli.models.legacy.tables import CLASSES

LISTS = ("_layer_checkpoint_dependencies", "layers")
_COUNTED = re.compile(r"_\d+$")


def load_weights(model: Any, path: Path) -> None:
    """Give a model the weights of a file, whatever the file is called and its groups are.

    Parameters
    ----------
    model
        A built Keras model.
    path
        An HDF5 file of weights or a ``.keras`` archive that `check_safe` has passed.

    Raises
    ------
    Exception
        What Keras raises where the weights are not those of the model.
    """
    with tempfile.TemporaryDirectory(prefix="kvis-") as folder, _opened(path) as (h5, archive):
        kind = "keras" if archive is not None else "weights.h5" if _is_tree(h5) else "h5"
        target = Path(folder) / f"model.{kind}"
        if kind == "h5" or not is_renamed(h5):
            target.symlink_to(path.resolve())
        elif archive is None:
            rewrite(h5, target)
        else:
            inner = Path(folder) / "weights.h5"
            rewrite(h5, inner)
            _repack(archive, inner, target)
        if h5 is not None:
            h5.close()
        model.load_weights(target)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, zipfile.ZipFile | None]]:
    import h5py

    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as h5:
            yield h5, None
        return
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS_MEMBER not in archive.namelist():
            yield None, archive
            return
        info = archive.getinfo(WEIGHTS_MEMBER)
        with open_member(path, archive, info) as stream, h5py.File(stream, "r") as h5:
            yield h5, archive


def _is_tree(h5: Any) -> bool:
    """Whether the groups are the attributes of a model, as in files by Keras 3."""
    return any(re.split(r"[\\/]", name)[0] in LISTS for name in h5)


def is_renamed(h5: Any) -> bool:
    """Whether a file has groups that Keras 3 does not find."""
    if h5 is None:
        return False
    found: list[str] = []
    h5.visit(found.append)
    return any("\\" in name or LISTS[0] in name.split("/") for name in found)


def rewrite(h5: Any, target: Path) -> None:
    """Write the weights of an open file to another one, under the names that Keras 3 reads."""
    import h5py

    paths: list[str] = []
    h5.visititems(lambda name, item: paths.append(name))
    names = renamed(paths)
    with h5py.File(target, "w") as new:
        for old, path in names.items():
            if isinstance(h5[old], h5py.Dataset):
                group = new.require_group(path.rpartition("/")[0] or "/")
                h5.copy(h5[old], group, path.rpartition("/")[2])


def renamed(paths: list[str]) -> dict[str, str]:
    r"""Return the names of Keras 3 for the paths of all groups and arrays of a file.

    Parameters
    ----------
    paths
        As the file has them.

    Returns
    -------
    dict
        Path in the file -> path of Keras 3.

    Examples
    --------
    >>> renamed(["layers\\dense/vars/0"])
    {'layers\\dense/vars/0': 'layers/dense/vars/0'}
    """
    children: dict[str, set[str]] = {}
    parts = {path: [p for p in re.split(r"[\\/]", path) if p] for path in paths}
    for names in parts.values():
        for place in range(1, len(names)):
            children.setdefault("/".join(names[:place]), set()).add(names[place])
    numbers = {
        place: _numbered(names)
        for place, names in children.items()
        if place.rpartition("/")[2] in LISTS
    }
    found = {}
    for path, names in parts.items():
        new = []
        for place, name in enumerate(names):
            known = numbers.get("/".join(names[:place]), {})
            new.append("layers" if name == LISTS[0] else known.get(name, name))
        found[path] = "/".join(new)
    return found


def _numbered(names: set[str]) -> dict[str, str]:
    """Return the layers of a list with the numbers that Keras 3 counts: without gaps."""
    counts: dict[str, int] = {}
    found = {}
    for name in sorted(names, key=natural):
        class_name = _COUNTED.sub("", name)
        new = _RENAMED.get(class_name, class_name)
        count = counts.get(new, 0)
        counts[new] = count + 1
        found[name] = f"{new}_{count}" if count else new
    return found


def _repack(archive: zipfile.ZipFile, weights: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as new:
        for info in archive.infolist():
            if info.filename != WEIGHTS_MEMBER and not info.is_dir():
                new.writestr(info.filename.replace("\\", "/"), archive.read(info))
        new.write(weights, WEIGHTS_MEMBER)


def snake_case(class_name: str) -> str:
    """Return the name that Keras gives the group of a layer of this class: ``conv2d``."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


_RENAMED = {snake_case(old): snake_case(new) for old, new in CLASSES.items() if old != "Model"}
