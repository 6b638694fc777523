"""A function that builds the model of a file of weights, as far as the weights decide it.

Layers without weights (pooling, activations, dropout) leave no trace in such a file: the usual
ones are written down, with a comment on each, for who knows the model to correct.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kvis_cli.models.code.chain import RECURRENT, ChainLink, chain_of
from kvis_cli.models.code.sizes import Fit, fitting_sizes
from kvis_cli.models.description.applications import APPLICATIONS
from kvis_cli.models.description.recognized import Recognized, head_layers, is_nested
from kvis_cli.models.files.weight_layers import StoredLayer

# Sides of the last feature maps of applications that do not pad everything: at 299 × 299.
_SIDES_OF_299 = {"inception_resnet_v2": 8, "inception_v3": 8, "xception": 10}
_STRIDE = 32
_DEFAULT_SIDE = 224


def architecture_code(
    layers: Sequence[StoredLayer],
    *,
    ordered: bool,
    reference: str,
    recognized: Recognized | None = None,
) -> str:
    """Return the text of a Python module with the function ``make_model``.

    Parameters
    ----------
    layers
        From `weight_layers`.
    ordered
        Whether their order is that of the model, as `weight_layers` says.
    reference
        The file, for the comments.
    recognized
        An application that the file has the weights of, with another head.

    Returns
    -------
    str
        Python source, ending in a line break.

    Raises
    ------
    ModelError
        When the layers are no plain chain.
    """
    if recognized is not None:
        body = _with_base(layers, ordered, reference, recognized)
    else:
        body = _plain(chain_of(layers, ordered=ordered, reference=reference), ordered)
    lines = [
        f'"""The model of {_said(reference)}, as far as its weights tell.',
        "",
        "Strides, padding, pooling, activations and dropout have no weights: what a comment calls",
        "unknown is the usual choice. Correct it, or the model predicts something else.",
        '"""',
        "",
        "import keras",
        "from keras import layers",
        "",
        "",
        "def make_model():",
        *body,
    ]
    return "\n".join(lines) + "\n"


def _said(text: str) -> str:
    """Return a text of the file for a comment or a docstring."""
    return ascii(text)[1:-1].replace('"', "'").replace("\\", "/")


# --- a plain chain -----------------------------------------------------------------------------


def _plain(chain: list[ChainLink], ordered: bool) -> list[str]:
    space = [link for link in chain if link.kind.rank]
    flattened = next((link for link in chain if link.positions), None)
    fits: list[Fit] = []
    lines: list[str] = []
    if space and space[0].kind.rank == 2 and flattened is not None:
        kernels = [(link.kind.settings["kernel_size"], link.kind.settings.get("filters"))
                   for link in space]  # fmt: skip
        fits = fitting_sizes(kernels, flattened.positions)
    if not ordered and len({link.layer.class_name for link in chain}) > 2:
        lines.append("    # The file keeps the order within each class of layers alone.")
    if len(fits) > 1:
        others = "; ".join(fit.describe() for fit in fits[1:])
        lines.append(f"    # As well possible: {others}.")
    fit = fits[0] if fits else None
    lines.append("    return keras.Sequential(")
    lines.append("        [")
    lines += [f"            {line}" for line in _input(chain, fit)]
    lines += [f"            {line}" for line in _steps(chain, fit)]
    lines += ["        ]", "    )"]
    return lines


def _input(chain: list[ChainLink], fit: Fit | None) -> list[str]:
    first = chain[0].kind
    if first.class_name == "Embedding":
        return ["keras.Input((None,)),"]
    if first.class_name in RECURRENT:
        return [f"keras.Input((None, {first.takes})),"]
    if not first.rank:
        return [f"keras.Input(({first.takes},)),"]
    flattened = next((link for link in chain if link.positions), None)
    sides = ["None"] * first.rank
    comment = ""
    if fit is not None:
        sides = [str(fit.side)] * 2
        comment = "  # unknown: a size that fits"
    elif flattened is not None and first.rank == 1:
        shrunk = sum(link.kind.settings["kernel_size"][0] - 1 for link in chain if link.kind.rank)
        sides = [str(flattened.positions + shrunk)]
        comment = "  # unknown: fits without pooling"
    elif flattened is not None:
        sides = [str(_DEFAULT_SIDE)] * first.rank
        comment = f"  # unknown: {flattened.positions} positions are to be left at the end"
    return [f"keras.Input(({', '.join(sides)}, {first.takes})),{comment}"]


def _steps(chain: list[ChainLink], fit: Fit | None) -> list[str]:
    lines: list[str] = []
    rank = 0
    pooled = 0
    flattened = any(link.positions for link in chain)
    for place, link in enumerate(chain):
        kind = link.kind
        after = chain[place + 1 :]
        if rank and not kind.rank and kind.gives is not None:
            lines.append(_flat(link, rank))
            rank = 0
        settings = dict(kind.settings)
        last = not any(later.kind.gives is not None for later in after)
        if kind.rank:
            rank = kind.rank
            if fit is not None and fit.padding != "valid":
                settings["padding"] = fit.padding
        if kind.class_name in RECURRENT and any(k.kind.class_name in RECURRENT for k in after):
            settings["return_sequences"] = True
        if kind.class_name == "Embedding":
            reads = next((k.kind for k in after if k.kind.gives is not None), None)
            lines.append(_call(kind.class_name, settings, link.layer))
            if reads is not None and reads.class_name == "Dense":
                lines.append(_flat(after[0], 1))
            continue
        normalized = bool(after) and after[0].kind.class_name == "BatchNormalization"
        comment = ""
        if kind.gives is not None and kind.class_name not in RECURRENT:
            end = "softmax" if (kind.gives or 0) > 1 else "sigmoid"
            name = end if last else "relu"
            if not normalized or last:
                settings["activation"] = name
                comment = "  # unknown: the activation"
        lines.append(_call(kind.class_name, settings, link.layer) + comment)
        if kind.class_name == "BatchNormalization":
            lines.append('layers.Activation("relu"),  # unknown: the activation')
        if kind.rank:
            pooled += 1
            if not normalized:
                lines += _pool(fit, pooled - 1, rank, after, flattened)
        elif kind.class_name == "BatchNormalization" and rank and pooled:
            lines += _pool(fit, pooled - 1, rank, after, flattened)
    return lines


def _pool(
    fit: Fit | None, number: int, rank: int, after: list[ChainLink], flattened: bool
) -> list[str]:
    """Return the pooling behind convolution `number`."""
    if fit is not None:
        there = number in fit.pooled
    else:
        there = rank > 1 and not flattened and any(link.kind.rank for link in after)
    return [f"layers.MaxPooling{rank}D(),  # unknown: where the size is halved"] if there else []


def _flat(link: ChainLink, rank: int) -> str:
    if link.positions:
        text = f"'{_said(link.layer.name)}' takes {link.kind.takes} numbers"
        return f"layers.Flatten(),  # {text}, {link.positions} positions of each channel"
    return f"layers.GlobalAveragePooling{rank}D(),  # unknown: an average or a maximum"


def _call(class_name: str, settings: dict[str, Any], layer: StoredLayer) -> str:
    """Return ``layers.Conv2D(32, (3, 3), name="first"),``."""
    values = dict(settings)
    if not layer.class_name:
        values["name"] = layer.name.rpartition("/")[2]
    first = [str(values.pop(key)) for key in ("filters", "units", "input_dim") if key in values]
    rest = [f"{key}={_literal(value)}" for key, value in values.items()]
    return f"layers.{class_name}({', '.join([*first, *rest])}),"


def _literal(value: Any) -> str:
    text = ascii(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


# --- a known base with another head --------------------------------------------------------------


def _with_base(
    layers: Sequence[StoredLayer], ordered: bool, reference: str, recognized: Recognized
) -> list[str]:
    head = head_layers(layers, recognized.rest)
    links = chain_of(head, ordered=ordered, reference=reference, channels=recognized.channels)
    positions = next((link.positions for link in links if link.positions), 0)
    side = math.isqrt(positions)
    size = _DEFAULT_SIDE
    if recognized.name in _SIDES_OF_299:
        size = 299 if side in (0, _SIDES_OF_299[recognized.name]) else side * _STRIDE
    elif side * side == positions and side:
        size = side * _STRIDE
    options = "".join(f", {key}={value!r}" for key, value in recognized.options.items())
    shape = f"({size}, {size}, 3)"
    steps = _steps(links, None)
    if links and not links[0].kind.rank and not any("Flatten" in s or "Global" in s for s in steps):
        steps.insert(0, _flat(links[0], 2))
    lines = [
        f"    # The weights are those of {recognized.name}, and a head of their own.",
        f"    base = keras.applications.{APPLICATIONS[recognized.name]}(",
        f"        include_top=False, weights=None, input_shape={shape}{options}",
        "    )",
        "    head = [",
        *(f"        {step}" for step in steps),
        "    ]",
    ]
    if is_nested(layers, head):
        return [*lines, f"    return keras.Sequential([keras.Input({shape}), base, *head])"]
    return [
        *lines,
        "    x = base.output",
        "    for layer in head:",
        "        x = layer(x)",
        "    return keras.Model(base.input, x)",
    ]
