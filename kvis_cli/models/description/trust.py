"""Checks that refuse unsafe model files before Keras starts.

Every road from a file to Keras leads through `check_file`: the container by `files.check_safe`,
then what its configuration names, by `check_code` (of a description) or `check_config` (alone).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from kvis_cli.errors import ModelError, UntrustedError
from kvis_cli.models.description.config_check import ForbiddenPart, findings
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.files.read import check_safe
from kvis_cli.models.files.savedmodel import check_savedmodel
from kvis_cli.models.graph.editing import iterate_layers
from kvis_cli.models.legacy.bytecode import check_bytecode
from kvis_cli.models.legacy.upgrade import Config

# The most that a message names.
_SHOWN = 3
_LONGEST = 80


def check_file(info: ModelInfo) -> None:
    """Refuse a model file that must not reach Keras; without TensorFlow, and cheap when repeated.

    Parameters
    ----------
    info
        The model; an application passes.

    Raises
    ------
    ModelError
        The file is unsafe, damaged, or needs what is not Keras'.
    UntrustedError
        It holds code, or reaches for other files, and ``--trust`` was not given.
    """
    if info.file is not None:
        check_safe(info.file.path)
    check_code(info)


def check_code(info: ModelInfo) -> None:
    """Refuse what cannot be opened, or not without running code of the file or reading others.

    Parameters
    ----------
    info
        The model with its upgraded config.

    Raises
    ------
    ModelError
        For a layer that Keras 3 has nothing for, and for classes that are not Keras' own.
    UntrustedError
        For code, paths and addresses in the configuration, unless ``--trust`` was given and this
        Python can run the code; for a SavedModel that does more than compute.
    """
    if info.file is not None and info.file.format == "savedmodel" and not info.spec.trust:
        check_savedmodel(info.file.path)
    if info.upgraded is None:
        return
    if info.upgraded.unsupported:
        shown = ", ".join(info.upgraded.unsupported)
        name = info.upgraded.unsupported[0].partition(" ")[0]
        raise ModelError(
            f"Keras 3 has nothing for a layer of {info.reference}: {shown}.",
            "It was saved by an old Keras, and no layer of today computes the same.",
            f"If you know one, name it: --replace-layer {name}=LAYER:setting=value.",
        )
    if not info.spec.trust:
        check_config(info.config, info.reference, info.spec.custom_objects)
        return
    layers = dict(iterate_layers(info.config))
    for path in info.upgraded.lambdas:
        inner = layers[path].get("config")
        function = inner.get("function") if isinstance(inner, dict) else None
        check_bytecode(info.reference, path, function, _replacement(path))


def check_config(config: Config, reference: str, custom_objects: Collection[str] = ()) -> None:
    """Refuse a configuration that names more than the parts of a model.

    Parameters
    ----------
    config
        ``{"class_name": ..., "config": {...}}`` as Keras would get it, after any upgrade.
    reference
        What the user typed, for the message.
    custom_objects
        ``package.module:Name`` references of what the user lets the file use.

    Raises
    ------
    ModelError
        For a class or function that is not Keras' own.
    UntrustedError
        For code, for paths and addresses, and for names that are no part of a model.
    """
    found = list(findings(config, custom_objects))
    for kind, error in (
        # What only an attack has comes first; code and classes of one's own are common.
        ("gadget", _gadget),
        ("name", _name),
        ("file", _file),
        ("code", _code),
        ("unknown", _unknown),
    ):
        of_kind = [finding for finding in found if finding.kind == kind]
        if of_kind:
            raise error(reference, config, of_kind)


# --- messages ----------------------------------------------------------------------------------


def _code(reference: str, config: Config, found: list[ForbiddenPart]) -> UntrustedError:
    paths = list(dict.fromkeys(f.layer for f in found))
    names = ", ".join(f"'{_shown(path)}'" for path in paths)
    plural = "layers" if len(paths) > 1 else "layer"
    # A layer within a wrapper cannot be replaced alone.
    within = f"{found[0].layer}/"
    layers = [path for path, _ in iterate_layers(config) if within.startswith(f"{path}/")]
    around = max(layers, key=len, default="")
    hint = "If you trust the file, add --trust."
    if around:
        hint = (
            f"Say what the layer does: {_replacement(around)} (or activation:…, identity, any "
            f"Keras layer with its settings). {hint}"
        )
    if all(f.text == "Lambda" for f in found):
        return UntrustedError(
            f"{reference} holds Python code, in the Lambda {plural} {names}.",
            "It would run on opening, with all your rights, so kvis leaves it alone.",
            hint,
        )
    return UntrustedError(
        f"{reference} runs more than Keras' own layers, in the {plural} {names} ({found[0].text}).",
        found[0].reason,
        hint,
    )


def _file(reference: str, config: Config, found: list[ForbiddenPart]) -> UntrustedError:
    ask = "Ask its author for a plain `model.save()`."
    if any("vocab" in f.text for f in found):
        ask = "Save it with a vocabulary as a list of words in place of a path."
    return UntrustedError(
        f"{reference} names a file or an address outside of it: {_listed(found)}.",
        "It would be read or fetched on opening, and a model needs nothing but its own file.",
        f"{ask} If you trust the file, add --trust.",
    )


def _gadget(reference: str, config: Config, found: list[ForbiddenPart]) -> UntrustedError:
    return UntrustedError(
        f"{reference} names something that is no part of a model: {_listed(found)}.",
        "It is none of Keras' layers, activations, initializers and the like; called on opening, "
        "it could read, write or run anything.",
        "Keras writes no such files: ask its author for a plain `model.save()`. If you trust the "
        "file, add --trust.",
    )


def _name(reference: str, config: Config, found: list[ForbiddenPart]) -> UntrustedError:
    return UntrustedError(
        f"{reference} has a layer whose name leads out of its folder: {_listed(found)}.",
        "Keras keeps the files of a layer in a folder of its name.",
        "Keras writes no such files: ask its author for a plain `model.save()`.",
    )


def missing_class(info: ModelInfo, imported: Collection[str] = ()) -> ModelError | None:
    """Return the error for classes that neither Keras nor the user has; None without any.

    Parameters
    ----------
    info
        The model.
    imported
        Names of classes that were found where the file says.

    Returns
    -------
    ModelError or None
        To be raised.
    """
    found = [
        f
        for f in findings(info.config, info.spec.custom_objects)
        if f.kind == "unknown" and f.text.rpartition(".")[2] not in imported
    ]
    return _unknown(info.reference, info.config, found) if found else None


def _unknown(reference: str, config: Config, found: list[ForbiddenPart]) -> ModelError:
    what = found[0].reason
    module, _, name = found[0].text.rpartition(".")
    where = f" (in the module '{_shown(module)}' when it was saved)" if module else ""
    bare = [replace(f, text=f.text.rpartition(".")[2]) for f in found]
    first = {f.text: f for f in reversed(bare)}
    return ModelError(
        f"{reference} needs a {what} that is not part of Keras: "
        f"{_listed([f for f in bare if first[f.text] is f])}.",
        f"The code of '{_shown(name)}'{where} is not in the file, and kvis imports nothing that a "
        "file names.",
        "Give it with --custom-objects package.module:Name, or add --trust where you trust the "
        f"file and the modules that it names. `kvis init-code {reference}` begins such a module.",
    )


def _replacement(layer: str) -> str:
    return f"--replace-layer {layer}=rescaling:scale=1/127.5,offset=-1"


def _listed(found: list[ForbiddenPart]) -> str:
    texts = list(dict.fromkeys(_one(f) for f in found))
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _one(finding: ForbiddenPart) -> str:
    where = f" in the layer '{_shown(finding.layer)}'" if finding.layer else ""
    return f"{_shown(finding.text)}{where}"


def _shown(text: str) -> str:
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
