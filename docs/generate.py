"""Pages made from the program itself: one per command from its help, one per method.

MkDocs calls the functions ``on_config`` and ``on_files`` while it builds.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parent
# Pages that are shown where they are there.
MORE_PAGES = {"Models": "models.md", "Presets": "presets.md", "Job files": "jobs.md"}


def commands() -> dict[str, str]:
    """A page per command: path -> Markdown."""
    import typer

    from kvis_cli.cli.app import COMMANDS, app

    group: Any = typer.main.get_command(app)
    return {f"commands/{name}.md": _command_page(name, group.load(name)) for name in COMMANDS}


def _command_page(name: str, command: Any) -> str:
    text, _, examples = (command.help or "").replace("\b", "").partition("Examples:")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["kvis", name, "[OPTIONS]", *(_metavar(a) for a in arguments)])
    lines = [f"# kvis {name}", "", text.strip(), "", f"    {usage}", ""]
    found = [line.strip() for line in examples.splitlines() if line.strip()]
    if found:
        lines += ["## Examples", "", *(f"    {line}" for line in found), ""]
    if arguments:
        lines += ["## Arguments", "", "| argument | |", "|---|---|"]
        lines += [f"| `{_metavar(a)}` | {_cell(a.help)} |" for a in arguments]
        lines.append("")
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(option.rich_help_panel or "Options", []).append(option)
    for panel, members in panels.items():
        lines += [f"## {panel}", "", "| option | |", "|---|---|"]
        for option in members:
            names = ", ".join(f"`{n}`" for n in [*option.opts, *option.secondary_opts])
            value = "" if option.is_flag else f" `{_metavar(option)}`"
            lines.append(f"| {names}{value} | {_cell(option.help)} |")
        lines.append("")
    return "\n".join(lines)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).replace("|", "\\|")


def _cell(text: str | None) -> str:
    return html.escape(" ".join((text or "").split()), quote=False).replace("|", "\\|")


def methods() -> dict[str, str]:
    """A page per method: path -> Markdown."""
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.saliency import SALIENCY_METHODS

    notes: dict[str, dict[str, str]] = yaml.safe_load((DOCS / "methods.yaml").read_text("utf-8"))
    pages = {}
    for kind, registry in (("cam", CAM_METHODS), ("saliency", SALIENCY_METHODS)):
        for name, method in registry.items():
            pages[f"methods/{_file(name)}.md"] = _method_page(kind, method, notes[name])
    return pages


def _file(name: str) -> str:
    return name.replace("++", "-plus-plus-").rstrip("-")


def _method_page(kind: str, method: Any, notes: dict[str, str]) -> str:
    formula = getattr(method, "formula", "") or notes["formula"]
    model = f"sample_models/{notes.get('model', 'shapes.keras')}"
    misleads = notes["misleads"].strip()
    if getattr(method, "caution", ""):
        misleads += f" Also: {method.caution}."
    return "\n".join(
        [
            f"# {method.name}",
            "",
            f"    kvis {kind} {model} sample_models/images/house.png --method {method.name}",
            "",
            f"**What it shows.** {method.about}",
            "",
            "**Formula.**",
            "",
            f"    {formula}",
            "",
            f"**Paper.** {method.paper}.",
            "",
            f"**Cost.** {method.cost}, per image. "
            + ("Needs gradients." if method.gradient else "Needs no gradients.")
            + ("" if method.deterministic else " Random: `--seed` matters."),
            "",
            f"**When it misleads.** {misleads}",
            "",
        ]
    )


def on_config(config: Any) -> Any:
    """Add the generated pages to the navigation."""
    from kvis_cli.cli.app import COMMANDS
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.saliency import SALIENCY_METHODS

    more = [{title: page} for title, page in MORE_PAGES.items() if (DOCS / page).is_file()]
    config["nav"][2:2] = more
    config["nav"].append({"Commands": [{f"kvis {n}": f"commands/{n}.md"} for n in COMMANDS]})
    entries = [{n: f"methods/{_file(n)}.md"} for n in [*CAM_METHODS, *SALIENCY_METHODS]]
    config["nav"].append({"Methods": entries})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for path, text in {**commands(), **methods()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def commands_of(markdown: str) -> list[str]:
    """The ``kvis`` command lines in the code blocks of a page, continuation lines joined."""
    lines = re.sub(r"\\\n\s*", "", markdown).splitlines()
    blocks, fenced = [], False
    for line in lines:
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            blocks.append(line.strip().removeprefix("$ ").removeprefix("run: "))
    found = [re.split(r"\s+#|\s>", line)[0].strip() for line in blocks if line.startswith("kvis ")]
    # A line that describes what may be typed is no command.
    return [line for line in found if "[OPTIONS]" not in line and "COMMAND" not in line]
