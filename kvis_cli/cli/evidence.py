"""What the weights of a model say about its preprocessing, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.output import Column, Table

if TYPE_CHECKING:
    from kvis_cli.models.description.evidence.weighing import Evidence
    from kvis_cli.models.description.info import ModelInfo

Photos = Annotated[
    list[str] | None,
    typer.Option(
        "--preprocess-evidence",
        metavar="PHOTOS",
        help="Photos as the model was trained on (eight or more): show what its weights expect "
        "of them under each preprocessing.",
    ),
]


def look_at(info: ModelInfo, photos: list[str] | None) -> None:
    """Have the photos that the user names looked at.

    Parameters
    ----------
    info
        The model, which keeps them as `ModelInfo.photos`.
    photos
        Files, folders and globs; None or empty for none.

    Raises
    ------
    UsageError
        For a reference that matches nothing.
    """
    if photos:
        from kvis_cli.images.finding import find_images

        info.photos = tuple(find_images(photos))


def evidence_lines(evidence: Evidence | None) -> list[str]:
    """Return in words where the evidence comes from and what it comes to."""
    if evidence is None:
        return [
            "evidence: none; without a BatchNormalization among the first layers the weights are "
            "asked about photos of the user's own, eight or more: --preprocess-evidence PHOTOS"
        ]
    of = "these photos" if evidence.photos == "given" else "generated photos"
    source = "how its units and outputs respond to " + of
    if evidence.layer:
        source = f"the moving statistics of '{evidence.layer}' against {of}"
    verdict = f"{evidence.best.preprocessing.name} is expected"
    if not evidence.decided:
        first, second = (fit.preprocessing.name for fit in evidence.fits[:2])
        verdict = f"not enough to tell {first} from {second}"
    lines = [f"evidence: {source}: {verdict}"]
    if evidence.colour:
        lines.append("the order of colours is not among what these statistics tell")
    return lines


def evidence_table(evidence: Evidence) -> Table:
    """Return every hypothesis with its fit, the best first."""
    table = Table(
        [Column("preprocessing"), Column("divergence", "right"), Column("likelihood", "right")]
    )
    for fit in evidence.fits:
        apart = "" if fit.divergence is None else f"{fit.divergence:.4g}"
        table.rows.append([fit.preprocessing.name, apart, f"{fit.likelihood:.3f}"])
    return table


def evidence_json(evidence: Evidence | None) -> dict[str, Any] | None:
    """Return the evidence as plain JSON values; None for none."""
    if evidence is None:
        return None
    return {
        "layer": evidence.layer,
        "photos": evidence.photos,
        "decided": evidence.decided,
        "hypotheses": [
            {
                "preprocess": fit.preprocessing.to_spec(),
                "divergence": fit.divergence,
                "likelihood": fit.likelihood,
            }
            for fit in evidence.fits
        ],
    }
