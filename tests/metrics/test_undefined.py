"""What is undefined passes for no number."""

import numpy as np
import pytest

from kvis_cli.metrics import Undefined


@pytest.mark.parametrize("undefined", Undefined)
def test_undefined_is_no_number_and_no_answer(undefined):
    for use in (bool, float, lambda u: u + 1, lambda u: u < 0.5, lambda u: np.mean([u, 1.0])):
        with pytest.raises(TypeError):
            use(undefined)
    assert undefined not in (0, 1)
    assert str(undefined) == undefined.value
