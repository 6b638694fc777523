"""keras-vis' input modifiers: random changes of the picture before the model sees it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from kvis_cli.errors import UsageError


class InputModifier:
    """Changes pictures before the model; the gradient is taken through the change.

    Subclass it and write `apply`. Unlike keras-vis' ``pre`` and ``post``, there is nothing to undo:
    the optimised picture itself stays where it is.
    """

    def apply(self, images: Any) -> Any:
        """Return the changed pictures: TensorFlow tensors ``(1, …, C)`` in 0..1, differentiable."""
        raise NotImplementedError

    @property
    def key(self) -> Hashable:
        """What a compiled engine depends on."""
        return self

    @property
    def engine(self) -> Any:
        """The modifier as the engine takes it."""
        from kvis_cli.engines.activation_maximization import input_modifiers

        own = self

        class Adapted(input_modifiers.InputModifier):
            name = type(own).__name__

            def apply(self, images: Any, numbers: Any) -> Any:
                return own.apply(images)

        return Adapted()


class Jitter(InputModifier):
    """Moves the picture on a torus by a random amount in every step.

    Parameters
    ----------
    jitter
        The largest move, in parts of each axis below 1, else in pixels; also ``"16px"``,
        ``"5%"``, or one value per axis.

    Raises
    ------
    UsageError
        For what is not an amount, or is negative.

    Examples
    --------
    >>> Jitter("5%").key
    ('jitter', '5%')
    """

    def __init__(self, jitter: float | str | Sequence[float | str] = 0.05) -> None:
        for one in [jitter] if isinstance(jitter, str | int | float) else jitter:
            text = str(one).strip().lower().removesuffix("%").removesuffix("px")
            try:
                negative = float(text) < 0
            except ValueError:
                negative = True
            if negative:
                raise UsageError(
                    f"'{one}' is not an amount to move a picture by.",
                    "",
                    "Give pixels (16, '16px') or a part of each axis (0.05, '5%').",
                )
        self.jitter = jitter

    @property
    def key(self) -> Hashable:
        """What tells its compiled form from others."""
        each = self.jitter
        return ("jitter", each if isinstance(each, str | int | float) else tuple(each))

    @property
    def engine(self) -> Any:
        """The engine's own modifier."""
        from kvis_cli.engines.activation_maximization import input_modifiers

        each = self.jitter
        return input_modifiers.Jitter(each if isinstance(each, str | int | float) else list(each))


class _Function(InputModifier):
    """A modifier that is one function."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    @property
    def key(self) -> Hashable:
        return self.function

    def apply(self, images: Any) -> Any:
        return self.function(images)


def get(modifier: InputModifier | type[InputModifier] | Callable[[Any], Any]) -> InputModifier:
    """Return a modifier, a class of one, or a function as a modifier.

    Parameters
    ----------
    modifier
        An `InputModifier`, its class, or a function of pictures ``(1, …, C)``.

    Returns
    -------
    InputModifier
        An object with a method `apply`.

    Raises
    ------
    UsageError
        For anything else, and for a modifier written for keras-vis.
    """
    if isinstance(modifier, type):
        modifier = modifier()
    if not isinstance(modifier, InputModifier) and callable(modifier):
        return _Function(modifier)
    own = type(modifier)
    if not isinstance(modifier, InputModifier) or (
        own.apply is InputModifier.apply and own.engine is InputModifier.engine
    ):
        raise UsageError(
            f"{own.__name__} is not an input modifier.",
            "It has no method `apply`."
            + (" `pre` and `post` are not called." if hasattr(modifier, "pre") else ""),
            "Write apply(self, images) with TensorFlow; the gradient is taken through it.",
        )
    return modifier
