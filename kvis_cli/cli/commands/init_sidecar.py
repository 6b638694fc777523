"""``kvis init-sidecar``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.evidence import Photos, evidence_lines, look_at
from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Quiet, Traceback, exit_codes
from kvis_cli.models.request import ModelSpec


@with_options(ModelSpec)
def init_sidecar(
    model: Annotated[str, typer.Argument(help="Model file.")],
    *,
    given: dict[type, dict[str, Any]],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a sidecar that is there.")
    ] = False,
    preprocess_evidence: Photos = None,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Write model.kvis.yaml beside a model: its preprocessing, labels and layer, to be edited.

    What is given as an option is written down; the rest is what kvis would choose, with the reason.
    Every command reads the file from then on.

    Examples:

      kvis init-sidecar model.h5

      kvis init-sidecar model.h5 --preprocess signed --labels classes.txt

      kvis init-sidecar model.h5 --preprocess-evidence photos/
    """
    with exit_codes(traceback):
        from kvis_cli.models.description.evidence.feeding import choose
        from kvis_cli.models.description.info import describe_model
        from kvis_cli.models.description.sidecar_writing import write_sidecar
        from kvis_cli.models.request import build_model_spec

        spec = build_model_spec({"path": model, **given[ModelSpec]})
        info = describe_model(spec)
        if info.application is not None and info.file is not None:
            # Of weights that are recognised, Keras knows the layers, by which the choice is made.
            from kvis_cli.cli.commands.layers import info_with_layers

            info = info_with_layers(spec)
        look_at(info, preprocess_evidence)
        listener = ConsoleListener(quiet=quiet)
        evidence = choose(info).evidence
        for fit in evidence.fits if evidence else ():
            apart = "" if fit.divergence is None else f", divergence {fit.divergence:.4g}"
            name = fit.preprocessing.name
            listener.note(f"  {name}: likelihood {fit.likelihood:.3f}{apart}")
        for line in evidence_lines(evidence):
            listener.note(line)
        listener.wrote(write_sidecar(info, force=force))
