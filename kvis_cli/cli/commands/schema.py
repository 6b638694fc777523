"""``kvis schema``."""

from __future__ import annotations

from kvis_cli.cli.output import print_json
from kvis_cli.cli.shared import Traceback, exit_codes


def schema(*, traceback: Traceback = False) -> None:
    """The JSON Schema of job files, from which editors complete and check.

    Examples:

      kvis schema > kvis-job.schema.json

    In the job file: # yaml-language-server: $schema=kvis-job.schema.json
    """
    with exit_codes(traceback):
        from kvis_cli.spec.schema import job_schema

        print_json(job_schema())
