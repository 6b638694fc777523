"""Tasks that explain inputs. Importing this package needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.models.live.open import OpenModel
from kvis_cli.spec.job import JobSpec
from kvis_cli.tasks.base import Explainer
from kvis_cli.tasks.cam import CamExplainer
from kvis_cli.tasks.saliency import SaliencyExplainer

EXPLAINERS: dict[str, Callable[[OpenModel, Any, JobSpec], Explainer]] = {
    "cam": CamExplainer,
    "saliency": SaliencyExplainer,
}
"""Kind of task -> what explains batches for it."""
