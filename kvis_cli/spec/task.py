"""What a job asks of every task."""

from __future__ import annotations

from typing import ClassVar

from kvis_cli.options.fields import RUN, Spec, option


class TaskBase(Spec):
    """A task of a job: one question.

    Attributes
    ----------
    needs_images
        Whether the task is about input images, or about the model alone.
    needs_head
        Whether the task is about the model's outputs; an application without weights for its
        classifier can still be opened for one that is not.
    results_version
        Raised whenever the same settings give another result, so that a rerun of an old job makes
        it again.
    """

    needs_images: ClassVar[bool] = True
    needs_head: ClassVar[bool] = True
    results_version: ClassVar[int] = 2

    strict: bool = option(
        False, "Leave with exit code 1 when a result comes with a warning.", panel=RUN
    )

    @property
    def shares_scale(self) -> bool:
        """Whether the look of each picture depends on all the others."""
        return False

    def methods(self) -> list[str]:
        """Return the methods, each a task of its own.

        One empty name for a task without a choice.
        """
        return [""]

    def layers(self) -> list[str]:
        """Return the layers that are named."""
        return []

    def classes(self) -> list[str]:
        """Return the classes that are named, also in contrasts."""
        return []

    def start_images(self) -> list[str]:
        """Pictures that a result depends on without explaining them."""
        return []

    def changed(self, name: str) -> bool:
        """Whether a field is not what it is by default."""
        field = type(self).model_fields[name]
        return bool(getattr(self, name) != field.get_default(call_default_factory=True))
