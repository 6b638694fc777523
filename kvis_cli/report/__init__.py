"""Reports of finished runs, from their manifest alone. Nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kvis_cli.events import Listener
from kvis_cli.spec.formats import REPORTS


def finish_reports(
    folder: Path, formats: Sequence[str], gif: bool, changed: bool, listener: Listener
) -> list[Path]:
    """Write the reports of a job at its end; none where nothing has changed since.

    Parameters
    ----------
    folder
        The result folder.
    formats
        Keys of `kvis_cli.spec.formats.REPORTS`.
    gif
        Whether to make animations over the models.
    changed
        Whether the run did anything.
    listener
        Called with the files.

    Returns
    -------
    list of pathlib.Path
        The files that were written.
    """
    if not (formats or gif):
        return []
    from kvis_cli.report.write import write_report

    missing = [name for name in formats if changed or not (folder / REPORTS[name]).is_file()]
    written = [write_report(folder, name) for name in missing]
    if gif and changed:
        from kvis_cli.report.animations import write_animations

        written += write_animations(folder)
    for path in written:
        listener.wrote(path)
    return written
