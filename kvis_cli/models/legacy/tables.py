"""What changed between Keras 2 and 3: names of classes, of keys, of modules."""

from __future__ import annotations

# Classes that were renamed.
CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "LayerNormalizationV1": "LayerNormalization",
    "LayerNormalizationV2": "LayerNormalization",
    "Model": "Functional",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
    "UnifiedGRU": "GRU",
    "UnifiedLSTM": "LSTM",
}


# Layers that do something in training only, and that Keras 3 no longer has.
TRAINING_ONLY = frozenset({"RandomHeight", "RandomWidth"})


CONV_KERNEL = ("kernel_constraint", "kernel_initializer", "kernel_regularizer")


# Keys that Keras 3 does not take, by class; "" is every layer.
DROPPED_KEYS: dict[str, tuple[str, ...]] = {
    "": (
        "autocast", "batch_input_shape", "batch_size", "dynamic", "experimental_autocast",
        "force_generator", "implementation", "input_dim", "input_dtype", "input_length",
        "input_shape", "rng_type", "type_spec", "weights",
    ),
    "Attention": ("causal",),
    "AdditiveAttention": ("causal",),
    "BatchNormalization": ("adjustment", "fused", "virtual_batch_size"),
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    "ConvLSTM1D": ("groups", "time_major"),
    "ConvLSTM2D": ("groups", "time_major"),
    "ConvLSTM3D": ("groups", "time_major"),
    "DepthwiseConv1D": ("filters", "groups", *CONV_KERNEL),
    "DepthwiseConv2D": ("filters", "groups", *CONV_KERNEL),
    "GRU": ("time_major",),
    "LSTM": ("time_major",),
    "MultiHeadAttention": ("key_shape", "query_shape", "value_shape"),
    "RNN": ("time_major",),
    "SeparableConv1D": ("groups", *CONV_KERNEL),
    "SeparableConv2D": ("groups", *CONV_KERNEL),
    "SimpleRNN": ("time_major",),
    "SpatialDropout1D": ("noise_shape", "trainable"),
    "SpatialDropout2D": ("noise_shape", "trainable"),
    "SpatialDropout3D": ("noise_shape", "trainable"),
}  # fmt: skip


# Defaults that were other ones when the file was written.
OLD_DEFAULTS: dict[str, dict[str, bool]] = {"GRU": {"reset_after": False}}


# Keys that Keras 3 takes but that say nothing when they have this value.
DROPPED_WHEN = {"optional": False, "renorm": False, "renorm_clipping": None, "stateful": False}


# Keys that were renamed, by class.
RENAMED_KEYS = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"theta": "threshold"},
}


# Keras' own classes that are not layers: the module that they are found in now.
MODULES = (
    "activations", "constraints", "initializers", "layers", "losses", "metrics", "optimizers",
    "regularizers",
)  # fmt: skip


KERAS_ROOTS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")


FUNCTIONAL = {
    "module": "keras.src.models.functional",
    "class_name": "Functional",
    "registered_name": "Functional",
}


# Keras 2's hard sigmoid is 0.2·x + 0.5, clipped; Keras 3's is x/6 + 0.5.
LEGACY_HARD_SIGMOID = "keras2_hard_sigmoid"


# Layers that Keras 3 no longer has and kvis brings along (`locally_connected`), and the settings
# of theirs that only training needs.
KEPT_LAYERS = frozenset({"LocallyConnected1D", "LocallyConnected2D"})


TRAINING_KEYS = (
    *CONV_KERNEL, "activity_regularizer", "bias_constraint", "bias_initializer",
    "bias_regularizer",
)  # fmt: skip


HARD_SIGMOID_KEYS = ("activation", "recurrent_activation")
