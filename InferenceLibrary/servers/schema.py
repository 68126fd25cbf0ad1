"""The JSON Schema of profiles, made from their types: editors complete and check a YAML file by it."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import msgspec

from InferenceLibrary.servers import profile as profile_module
from InferenceLibrary.servers import ready_check
from InferenceLibrary.servers.profile import Profile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def profile_schema() -> dict[str, Any]:
    """Return the schema. What the source says about each key stands in it as its description."""
    schema = msgspec.json.schema(Profile)
    described = key_descriptions()
    for name, part in schema["$defs"].items():
        if part.get("description", "").startswith(f"{name}("):
            del part["description"]
        for key, shape in part.get("properties", {}).items():
            text = described.get(name, {}).get(key)
            if text:
                shape["description"] = text
        # YAML files may have no other keys.
        part["additionalProperties"] = False
    return {"$schema": DIALECT, "title": "Profile of an inference server", **schema}


def key_descriptions() -> dict[str, dict[str, str]]:
    """Return what is written below each field of the types, by type and key."""
    found: dict[str, dict[str, str]] = {}
    sources = [inspect.getsource(module) for module in (profile_module, ready_check)]
    for node in ast.parse("\n".join(sources)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        texts = found.setdefault(node.name, {})
        for field, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                texts[field.target.id] = re.sub(r"\s+", " ", below.value.value).strip()
    return found
