"""Writers of the pictures of tasks without images."""

from __future__ import annotations

from typing import Any

from kvis_cli.jobs.results.atlases import write_atlas
from kvis_cli.jobs.results.optimized import write_pictures

WRITERS: dict[str, Any] = {"filters": write_atlas, "maximize": write_pictures}
"""Kind of task -> its `kvis_cli.jobs.results.made.Writer`."""
