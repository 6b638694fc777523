"""The JSON Schema of job files, from the same definitions that check them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from kvis_cli.options.fields import Spec
from kvis_cli.spec.gate import CHECK_KINDS
from kvis_cli.spec.job import TASK_KINDS, JobSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Plain(GenerateJsonSchema):
    """Without what only the command line needs."""

    def generate_inner(self, schema: Any) -> Any:
        found = super().generate_inner(schema)
        found.pop("flag", None)
        return found


def job_schema() -> dict[str, Any]:
    """Return a document that accepts what `kvis run` accepts, short forms included."""
    document = JobSpec.model_json_schema(by_alias=True, schema_generator=_Plain)
    definitions = document["$defs"]
    names = {kind: spec.__name__ for kind, spec in TASK_KINDS.items()}
    for kind, spec in TASK_KINDS.items():
        if names[kind] not in definitions:
            definitions[names[kind]] = _task(spec)
        definitions[names[kind]]["properties"].pop("kind", None)
    properties = document["properties"]
    # In a file a task is one key and its settings, and a model may be only its name.
    forms: list[Any] = [{"enum": list(TASK_KINDS)}]
    for kind, name in names.items():
        reference = {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}
        forms.append(
            {
                "type": "object",
                "properties": {kind: reference},
                "required": [kind],
                "additionalProperties": False,
            }
        )
    properties["tasks"]["items"] = {"anyOf": forms}
    checks: list[Any] = [{"enum": ["blank"]}]
    for kind, check in CHECK_KINDS.items():
        definition = definitions[check.__name__]
        definition["properties"].pop("kind", None)
        settings: list[Any] = [{"$ref": f"#/$defs/{check.__name__}"}, {"type": "null"}]
        if kind == "blank":
            settings.append({"type": "number", "minimum": 0, "exclusiveMaximum": 1})
        checks.append(
            {
                "type": "object",
                "properties": {kind: {"anyOf": settings}},
                "required": [kind],
                "additionalProperties": False,
            }
        )
    properties["checks"]["items"] = {"anyOf": checks}
    properties["models"]["items"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/ModelSpec"}]}
    properties["output"] = properties["out"]
    _loosen(document)
    return {"$schema": DIALECT, "title": "kvis job", **document}


def _task(spec: type[Spec]) -> dict[str, Any]:
    found = spec.model_json_schema(by_alias=True, schema_generator=_Plain)
    found.pop("$defs", None)
    return found


def _loosen(value: Any) -> None:
    """One text or number is as good as a list of one; `22` as good as `"22"`."""
    if isinstance(value, dict):
        for child in list(value.values()):
            _loosen(child)
        items = value.get("items")
        texts = isinstance(items, dict) and (items.get("type") == "string" or "enum" in items)
        if value.get("type") == "array" and texts and "prefixItems" not in value:
            rest = {k: v for k, v in value.items() if k in ("description", "default", "title")}
            assert isinstance(items, dict)
            item = items if "enum" in items else {"type": ["string", "number"]}
            length = {k: value[k] for k in ("minItems", "maxItems") if k in value}
            value.clear()
            one = {"type": ["string", "number"]}
            value.update(anyOf=[{"type": "array", "items": item, **length}, one], **rest)
    elif isinstance(value, list):
        for child in value:
            _loosen(child)
