"""The JSON Schemas of profiles and dialects, made from their types: editors complete and check a YAML file by it."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import msgspec

from InferenceLibrary.dialects import dialect as dialect_module
from InferenceLibrary.dialects.dialect import Dialect
from InferenceLibrary.servers import profile as profile_module
from InferenceLibrary.servers import ready_check, sections
from InferenceLibrary.servers.profile import Profile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def profile_schema() -> dict[str, Any]:
    """Return the schema of profiles."""
    return _schema(Profile, "Profile of an inference server")


def dialect_schema() -> dict[str, Any]:
    """Return the schema of dialects."""
    return _schema(Dialect, "Dialect of an inference server")


def _schema(kind: type[Any], title: str) -> dict[str, Any]:
    """Return the schema of a type. What the source says about each key stands in it as its description."""
    schema = msgspec.json.schema(kind)
    described = key_descriptions()
    for name, part in schema["$defs"].items():
        if part.get("description", "").startswith(f"{name}("):
            del part["description"]
        for key in getattr(kind, "filled_in", ()) if name == kind.__name__ else ():
            del part["properties"][key]
        for key, shape in part.get("properties", {}).items():
            text = described.get(name, {}).get(key)
            if text:
                shape["description"] = text
        # YAML files may have no other keys.
        part["additionalProperties"] = False
    return {"$schema": DIALECT, "title": title, **schema}


def key_descriptions() -> dict[str, dict[str, str]]:
    """Return what is written below each field of the types, by type and key."""
    found: dict[str, dict[str, str]] = {}
    sources = [inspect.getsource(module) for module in (profile_module, sections, ready_check, dialect_module)]
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
