"""Versions of installed packages, without importing them."""

from __future__ import annotations

from importlib import metadata


def version_of(package: str) -> str:
    """Return the version of a package by the name that it is imported by.

    Builds of TensorFlow bring the package `tensorflow` under other names of distributions:
    ``tensorflow-cpu``, ``tf-nightly``.

    Parameters
    ----------
    package
        As in ``import``: ``tensorflow``, ``PIL``.

    Returns
    -------
    str
        Empty where no installed distribution says that it has the package.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # Looks through all that is installed, which takes a tenth of a second.
        owners = metadata.packages_distributions().get(package, [])
    return metadata.version(owners[0]) if owners else ""
