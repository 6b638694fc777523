"""Layers that keep the shape: activations, normalisation, dropout, augmentation."""

from __future__ import annotations

import math

from kvis_cli.models.graph.layers.rules import (
    Config,
    Shape,
    dimensions,
    parameter_rule,
    role,
    shape_rule,
)
from kvis_cli.models.graph.layers.sizes import known


@shape_rule(
    "Activation", "ActivityRegularization", "AlphaDropout", "AutoContrast", "BatchNormalization",
    "CutMix", "Dropout", "ELU", "Equalization", "GaussianDropout", "GaussianNoise",
    "CustomScaleLayer", "GroupNormalization", "Identity", "LayerNormalization", "LayerScale",
    "LeakyReLU",
    "Masking", "Normalization", "PReLU", "RMSNormalization", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom",
    "ReLU", "Rescaling", "Softmax", "Solarization", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "SyncBatchNormalization",
    "ThresholdedReLU", "UnitNormalization",
    # keras.ops nodes of one tensor
    "Absolute", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSilu", "HardTanh", "Log", "LogSoftmax", "LogSigmoid", "Negative", "Relu",
    "Relu6", "Reciprocal", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Silu", "Sin",
    "Softplus", "Softsign", "Sqrt", "Square", "StopGradient", "Tanh",
)  # fmt: skip
def _same_shape(config: Config, inputs: list[Shape]) -> Shape | None:
    return inputs[0]


@shape_rule("Lambda")
def _lambda_shape(config: Config, inputs: list[Shape]) -> Shape:
    """Return what it computes is code. Without a stated shape it is taken to keep its input's."""
    stated = config.get("output_shape")
    return inputs[0] if stated is None else (inputs[0][0], *(int(size) for size in stated))


def axes_size(config: Config, shape: Shape) -> int:
    """Return how many positions the axes of a normalisation have."""
    axes = config.get("axis", -1)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return math.prod(known(shape[axis]) for axis in axes)


@parameter_rule("BatchNormalization", "SyncBatchNormalization")
def _batch_normalization_parameters(config: Config, inputs: list[Shape]) -> int:
    arrays = 2 + bool(config.get("center", True)) + bool(config.get("scale", True))
    renorm = 3 if config.get("renorm") else 0
    return (arrays + renorm) * axes_size(config, inputs[0])


@parameter_rule("LayerNormalization")
def _layer_normalization_parameters(config: Config, inputs: list[Shape]) -> int:
    arrays = bool(config.get("center", True)) + bool(config.get("scale", True))
    return arrays * axes_size(config, inputs[0])


@parameter_rule("GroupNormalization")
def _group_normalization_parameters(config: Config, inputs: list[Shape]) -> int:
    return _layer_normalization_parameters(config, inputs)


@parameter_rule("RMSNormalization")
def _rms_normalization_parameters(config: Config, inputs: list[Shape]) -> int:
    return axes_size(config, inputs[0])


@parameter_rule("Normalization")
def _normalization_parameters(config: Config, inputs: list[Shape]) -> int:
    if config.get("mean") is not None:
        return 0
    axes = config.get("axis", -1)
    if axes is None:
        return 3
    # Mean, variance, and how many batches they were taken over.
    return 2 * axes_size(config, inputs[0]) + 1


@parameter_rule("PReLU")
def _prelu_parameters(config: Config, inputs: list[Shape]) -> int:
    sizes = list(inputs[0][1:])
    for axis in config.get("shared_axes") or ():
        sizes[axis - 1] = 1
    return math.prod(known(size) for size in sizes)


@parameter_rule("LayerScale")
def _layer_scale_parameters(config: Config, inputs: list[Shape]) -> int:
    return int(config["projection_dim"])


role(
    "passive",
    *dimensions("SpatialDropout"),
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Masking",
)
role(
    "preparing",
    "Activation",
    "AutoContrast",
    "BatchNormalization",
    "Cast",
    "Equalization",
    "InputLayer",
    "Lambda",
    "LayerNormalization",
    "Normalization",
    "RandAugment",
    "ReLU",
    "Rescaling",
    "Solarization",
)
role(
    "refining",
    *dimensions("SpatialDropout"),
    "Activation",
    "BatchNormalization",
    "Dropout",
    "ELU",
    "GroupNormalization",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
)
role("plain", "Dropout", "Identity")
role("reshaping", "Cast", "Dropout", "Identity")
role("in_front", "AutoContrast", "Identity", "InputLayer", "Pipeline")
