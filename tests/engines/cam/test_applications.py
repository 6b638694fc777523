"""Grad-CAM at the automatic layer of well-known architectures, from the name to the map."""

import numpy as np
import pytest

from tests.helpers.cam_literals import gradcam

# What the automatic layer must be, with its grid; the whole list is in tests/models.
CASES = {
    "mobilenet_v2": ("out_relu", (7, 7)),
    "resnet50_v2": ("post_relu", (7, 7)),
    "efficientnet_b0": ("top_activation", (7, 7)),
    "xception": ("block14_sepconv2_act", (10, 10)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_automatic_layer_gives_the_literal_map(tf, name):
    import keras

    from kvis_cli.events import Listener
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.spec.build import build_job
    from kvis_cli.tasks.cam import CamTask

    keras.backend.clear_session()
    job = build_job(
        {"models": [{"path": f"{name}:random"}], "tasks": [{"cam": {"class": "3,900"}}]}
    )
    opened = open_model(describe_model(job.models[0]))
    explainer = CamTask(opened, job.tasks[0], job)
    size = opened.image_input
    pixels = np.random.default_rng(1).integers(0, 256, (2, size.height, size.width, 3), np.uint8)
    inputs = opened.to_inputs(pixels)
    answers = list(explainer.explain(inputs, Listener()))
    layer, grid = CASES[name]
    head = opened.model.layers[-1]
    both = keras.Model(opened.model.inputs, [opened.model.get_layer(layer).output, head.input])

    @tf.function(autograph=False)
    def read(x, target):
        features, before = both(x, training=False)
        logits = tf.matmul(before, head.kernel) + head.bias
        return features, tf.gradients(tf.gather(logits, target, axis=1), features)[0]

    for t, target in enumerate((3, 900)):
        features, gradient = (v.numpy().astype(np.float64) for v in read(inputs, target))
        for i in range(2):
            found = answers[i].explanations[t]
            assert found.layer == layer
            assert found.map.shape == grid
            wanted = gradcam(features[i], gradient[i])
            scale = np.abs(features[i] * gradient[i]).sum(-1).max()
            np.testing.assert_allclose(found.map, wanted, atol=1e-5 * scale)
