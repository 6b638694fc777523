"""The images of a job file: plain references, entries with a class or a region, CSV tables."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from kvis_cli.options.fields import Spec, Texts


class ImageSpec(Spec):
    """Images that share a class or a region of interest."""

    path: str = Field(description="File, folder or glob.")
    class_: Texts = Field(
        default_factory=list,
        alias="class",
        description="Explain these classes instead of the tasks' own.",
    )
    box: tuple[float, float, float, float] | None = Field(
        None,
        description="Region of interest in pixels of the upright photo: left, top, right, "
        "bottom. Its share of the attention goes into the results.",
    )
    mask: str | None = Field(
        None,
        description="Picture whose bright half is the region of interest; {stem} stands for the "
        "image's own name.",
    )


class CsvSpec(Spec):
    """A table of images: one a row."""

    csv: str = Field(description="CSV file with a header line; its paths are relative to it.")
    image: str = Field("image", description="Column of the image files.")
    class_: str | None = Field(
        None,
        alias="class",
        description="Column of the class to explain, instead of the tasks' own.",
    )
    box: str | None = Field(
        None, description="Column of the region of interest: 'left top right bottom' in pixels."
    )
    mask: str | None = Field(None, description="Column of mask pictures.")


def _tag(value: Any) -> str:
    if isinstance(value, CsvSpec) or (isinstance(value, dict) and "csv" in value):
        return "csv"
    return "entry" if isinstance(value, dict | ImageSpec) else "file"


ImageEntry = Annotated[
    Annotated[str, Tag("file")]
    | Annotated[ImageSpec, Tag("entry")]
    | Annotated[CsvSpec, Tag("csv")],
    Discriminator(_tag),
]
"""One item of ``images:``."""
