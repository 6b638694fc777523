"""Markdown that fits into a comment of a pull request."""

from __future__ import annotations

from typing import Any

from kvis_cli.report.data import FinishedRun, model_of
from kvis_cli.report.registry import report_format
from kvis_cli.report.summary import MEANS, reasons, summarise
from kvis_cli.shown import shown

# GitHub takes 65536 characters in a comment.
LIMIT = 60_000
MAX_MODELS = 60
MAX_REASONS = 20


@report_format("markdown")
def to_markdown(run: FinishedRun) -> str:
    """Return a table of models, then failures and warnings."""
    summary = summarise(run)
    mark = "❌" if summary["failed"] else "⚠️" if summary["warnings"] else "✅"
    lines = [
        f"### {mark} kvis: {summary['done']} of {summary['tasks']} tasks done, "
        f"{summary['failed']} failed, {summary['warnings']} warnings",
        "",
        *_table(summary["models"]),
    ]
    if run.failures:
        lines += ["", "**Failed**", ""]
        grouped = reasons(run.failures)
        for text, rows in grouped[:MAX_REASONS]:
            names = sorted({row.image_name or model_of(row) for row in rows})
            shown = ", ".join(f"`{as_code(name)}`" for name in names[:3])
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"- {shown}{more}: {as_text(text)} ({len(rows)} tasks)")
        if len(grouped) > MAX_REASONS:
            lines.append(f"- … and {len(grouped) - MAX_REASONS} other reasons")
    if run.warned:
        lines += ["", "<details><summary>Warnings</summary>", ""]
        for row in run.warned[:MAX_REASONS]:
            lines.append(f"- `{as_code(str(row.file))}`: {as_text('; '.join(row.warnings))}")
        if len(run.warned) > MAX_REASONS:
            lines.append(f"- … and {len(run.warned) - MAX_REASONS} more")
        lines += ["", "</details>"]
    text = "\n".join(lines) + "\n"
    return text if len(text) <= LIMIT else text[: LIMIT - 40].rpartition("\n")[0] + "\n\n…\n"


def _table(models: list[dict[str, Any]]) -> list[str]:
    shown = [key for key in MEANS if any(model[key] is not None for model in models)]
    heads = ["model", "done", "failed", "warnings", *(f"mean {key}" for key in shown)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for model in models[:MAX_MODELS]:
        numbers = ["" if model[key] is None else f"{model[key]:.3f}" for key in shown]
        counts = [str(model[key] or "") for key in ("done", "failed", "warnings")]
        lines.append("| " + " | ".join([as_text(model["name"]), *counts, *numbers]) + " |")
    if len(models) > MAX_MODELS:
        lines.append(f"| … {len(models) - MAX_MODELS} more |" + " |" * (len(heads) - 1))
    return lines


def as_text(text: str) -> str:
    """Return text in which nothing is markup."""
    text = text.replace("&", "&amp;")
    for character in "\\`*_[]<>|#":
        text = text.replace(character, "\\" + character)
    return shown(" ".join(text.split()))


def as_code(text: str) -> str:
    """Return text for between backticks, in a cell of a table, too."""
    return shown(text).replace("`", "'").replace("|", "\\|")
