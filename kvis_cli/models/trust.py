"""Code in model files: found and refused before anything is opened, without TensorFlow."""

from __future__ import annotations

from kvis_cli.errors import ModelError, UntrustedError
from kvis_cli.models.bytecode import check_bytecode
from kvis_cli.models.card import ModelCard
from kvis_cli.models.upgrade import Config, iterate_layers


def check_code(card: ModelCard) -> None:
    """Refuse what cannot be opened, or not without running code of the file.

    Raises
    ------
    ModelError
        For a layer that Keras 3 has nothing for.
    UntrustedError
        For a Lambda, unless ``--trust`` was given and this Python can run it.
    """
    if card.upgraded is None:
        return
    if card.upgraded.unsupported:
        shown = ", ".join(card.upgraded.unsupported)
        name = card.upgraded.unsupported[0].partition(" ")[0]
        raise ModelError(
            f"Keras 3 has nothing for a layer of {card.reference}: {shown}.",
            "It was saved by an old Keras, and no layer of today computes the same.",
            f"If you know one, name it: --replace-layer {name}=LAYER:setting=value.",
        )
    layers = dict(iterate_layers(card.config))
    known = {reference.partition(":")[2] for reference in card.spec.custom_objects}
    code = [path for path in card.upgraded.lambdas if _holds_code(layers[path], known)]
    if not code:
        return
    names = ", ".join(f"'{path}'" for path in code)
    plural = "layers" if len(code) > 1 else "layer"
    replace = f"--replace-layer {code[0]}=rescaling:scale=1/127.5,offset=-1"
    if not card.spec.trust:
        raise UntrustedError(
            f"{card.reference} holds Python code, in the Lambda {plural} {names}.",
            "It would run on opening, with all your rights, so kvis leaves it alone.",
            f"Say what the layer does: {replace} (or activation:…, identity, any Keras layer with "
            "its settings). If you trust the file, add --trust.",
        )
    for path in code:
        check_bytecode(card.reference, path, layers[path]["config"].get("function"), replace)


def _holds_code(layer: Config, known: set[str]) -> bool:
    config = layer.get("config")
    if not isinstance(config, dict):
        # There is no code in it, and Keras will say what is wrong with it.
        return False
    function = config.get("function")
    if isinstance(function, dict) and function.get("class_name") != "__lambda__":
        function = function.get("config")
    return not (isinstance(function, str) and function in known)
