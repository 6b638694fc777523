"""The table of what Keras 1 called otherwise, and how to say it in Keras 2's terms.

Sources: the release notes of Keras 2.0 and the configs that Keras 1.0 to 1.2.2 wrote.
"""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]

CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}

# Old key → new key, for every layer that has it.
KEYS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "atrous_rate": "dilation_rate",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "beta_init": "beta_initializer",
    "bias": "use_bias",
    "border_mode": "padding",
    "depthwise_init": "depthwise_initializer",
    "dim_ordering": "data_format",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "filter_length": "kernel_size",
    "gamma_init": "gamma_initializer",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "input_dtype": "dtype",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "pointwise_init": "pointwise_initializer",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}

# Where a layer's key means something else than in KEYS.
KEYS_OF_CLASS = {
    "Embedding": {
        "W_constraint": "embeddings_constraint",
        "W_regularizer": "embeddings_regularizer",
        "init": "embeddings_initializer",
        "output_dim": "output_dim",
    },
    "PReLU": {"init": "alpha_initializer"},
    "UpSampling1D": {"length": "size"},
}

# Keys that said how to compute, or what Keras 2 finds out by itself.
DROPPED = frozenset({"consume_less", "input_dim", "input_length", "weights"})
DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}
INITIALIZERS = {
    "normal": "random_normal",
    "one": "ones",
    "uniform": "random_uniform",
    "zero": "zeros",
}
MERGE_MODES = {
    "ave": "Average",
    "concat": "Concatenate",
    "cos": "Dot",
    "dot": "Dot",
    "max": "Maximum",
    "min": "Minimum",
    "mul": "Multiply",
    "sum": "Add",
}
_RECURRENT = frozenset({"GRU", "LSTM", "SimpleRNN"})


def is_keras1(layer: Config) -> bool:
    """Whether a layer's class or keys are those of Keras 1."""
    config = layer.get("config")
    if layer.get("class_name") in CLASSES or layer.get("class_name") in ("Merge", "Highway"):
        return True
    if not isinstance(config, dict):
        return False
    old = {"nb_filter", "border_mode", "dim_ordering", "W_regularizer", "filter_length", "init"}
    return bool(old & config.keys()) or ("p" in config and "rate" not in config)


def upgrade_layer(class_name: str, config: Config) -> tuple[str, Config]:
    """Say one layer of Keras 1 in Keras 2's terms.

    Parameters
    ----------
    class_name
        As Keras 1 calls it.
    config
        Its config; it is not modified.

    Returns
    -------
    class_name, config
        New objects; unknown classes come back as they are.
    """
    if class_name == "Merge":
        return _merge(config)
    config = dict(config)
    class_name = CLASSES.get(class_name, class_name)
    _kernel_size(class_name, config)
    if class_name == "BatchNormalization":
        config.pop("mode", None)
    if class_name in _RECURRENT:
        if "forget_bias_init" in config:
            config["unit_forget_bias"] = config.pop("forget_bias_init") == "one"
        if class_name == "GRU":
            config["reset_after"] = False
    if class_name == "Conv2DTranspose":
        config.pop("output_shape", None)
    if class_name == "SeparableConv2D":
        init = config.pop("init", None)
        config.update(depthwise_initializer=init, pointwise_initializer=init)
    if class_name == "Dropout":
        config.pop("noise_shape", None)
    keys = KEYS | KEYS_OF_CLASS.get(class_name, {})
    dropped = DROPPED - ({"input_dim"} if class_name == "Embedding" else set())
    new: Config = {}
    for key, value in config.items():
        if key in dropped or (class_name == "Embedding" and key == "dropout"):
            continue
        new[keys.get(key, key)] = value
    _values(class_name, new)
    return class_name, new


def _kernel_size(class_name: str, config: Config) -> None:
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(name in config for name in names):
            config["kernel_size"] = [config.pop(name) for name in names]


def _values(class_name: str, config: Config) -> None:
    if config.get("data_format") in (*DATA_FORMATS, "default"):
        config["data_format"] = DATA_FORMATS.get(config["data_format"], "channels_last")
    for key, value in list(config.items()):
        if key.endswith("_initializer") and isinstance(value, str):
            config[key] = INITIALIZERS.get(value, value)
        elif key.endswith("_regularizer") and isinstance(value, dict) and "class_name" not in value:
            amounts = {k: float(value.get(k) or 0.0) for k in ("l1", "l2")}
            config[key] = (
                {"class_name": "L1L2", "config": amounts} if any(amounts.values()) else None
            )
        elif key.endswith("_constraint") and isinstance(value, dict) and "class_name" not in value:
            config[key] = _constraint(value)
    padding = config.get("padding")
    if class_name == "ZeroPadding2D":
        if isinstance(padding, dict):
            sides = ("top_pad", "bottom_pad", "left_pad", "right_pad")
            padding = [padding.get(side, 0) for side in sides]
        if isinstance(padding, (list, tuple)) and len(padding) == 4:
            padding = [list(padding[:2]), list(padding[2:])]
        config["padding"] = padding
    elif class_name == "ZeroPadding1D" and isinstance(padding, dict):
        config["padding"] = [padding.get("left_pad", 0), padding.get("right_pad", 0)]


def _constraint(value: Config) -> Config | None:
    name, axis = value.get("name"), value.get("axis", 0)
    if name == "MaxNorm":
        return {"class_name": "MaxNorm", "config": {"max_value": value.get("m", 2), "axis": axis}}
    if name == "UnitNorm":
        return {"class_name": "UnitNorm", "config": {"axis": axis}}
    return {"class_name": "NonNeg", "config": {}} if name == "NonNeg" else None


def _merge(config: Config) -> tuple[str, Config]:
    mode = config.get("mode")
    new: Config = {"name": config.get("name")}
    if mode == "concat":
        new["axis"] = config.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        new["axes"] = config.get("dot_axes", 1)
        new["normalize"] = mode == "cos"
    if mode not in MERGE_MODES or config.get("layers"):
        # A merge by a function, or the branches of a Sequential: not to be said in a table.
        return "Merge", config
    return MERGE_MODES[mode], new
