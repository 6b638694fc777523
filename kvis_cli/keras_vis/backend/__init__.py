"""keras-vis' ``backend``: a model with another backward rule."""

from __future__ import annotations

from typing import Any

__all__ = ["modify_model_backprop"]


def modify_model_backprop(model: Any, backprop_modifier: str) -> Any:
    """Return a model whose rectifiers have another backward rule.

    keras-vis copied the model; here the weights are the model's own, and its own gradients stay as
    they are.

    Parameters
    ----------
    model
        A Keras model.
    backprop_modifier
        ``guided``, ``rectified``, ``relu`` or ``deconv``.

    Returns
    -------
    keras.Model
        Takes and gives what `model` does, for one input and one output. Weights get no gradient.

    Raises
    ------
    UnknownNameError
        For another rule.
    """
    import keras
    import tensorflow as tf

    from kvis_cli.engines.backprop_modifiers import backprop_modifier as modified
    from kvis_cli.engines.backprop_modifiers import find_rule

    find_rule(backprop_modifier)

    @tf.function(autograph=False)
    def backward(inputs: Any, upstream: Any) -> Any:
        with modified(backprop_modifier) as rectifiers:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                outputs = model(inputs, training=False)
            gradient = tape.gradient(outputs, inputs, output_gradients=upstream)
        rectifiers.finish(outputs)
        return gradient

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        def gradient(upstream: Any, variables: Any = None) -> Any:
            back = backward(inputs, upstream)
            return (back, [None] * len(variables)) if variables else back

        return model(inputs, training=False), gradient

    class Modified(keras.Model):
        def __init__(self) -> None:
            super().__init__(name=f"{model.name}_{backprop_modifier}")
            self.model = model

        def call(self, inputs: Any) -> Any:
            return run(inputs)

    return Modified()
