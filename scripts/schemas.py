"""Write the JSON Schemas that come with the library, made from the types that read the files."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from InferenceLibrary.report.check_results import schema as check_schema
from InferenceLibrary.report.mutation_results import mutation_schema
from InferenceLibrary.report.run_results import run_schema
from InferenceLibrary.report.verdict import verdict_schema
from InferenceLibrary.servers.schema import dialect_schema, profile_schema
from InferenceLibrary.simulator.scenario import ScenarioFile

FOLDER = Path(__file__).resolve().parents[1] / "InferenceLibrary" / "schemas"
SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "profile": profile_schema,
    "dialect": dialect_schema,
    "scenario": lambda: msgspec.json.schema(ScenarioFile),
    "check": check_schema,
    "mutate": mutation_schema,
    "report": run_schema,
    "verdict": verdict_schema,
}


PACKAGE = FOLDER.parent
FILES = {
    "profile": PACKAGE / "servers" / "profiles",
    "dialect": PACKAGE / "dialects" / "shipped",
    "scenario": PACKAGE / "simulator" / "scenarios",
}
"""Folders of YAML files whose first line names their schema."""


def first_line(name: str) -> str:
    """The line by which editors find the schema of a file; the folders lie equally deep."""
    return f"# yaml-language-server: $schema=../../schemas/{name}.schema.json\n"


def text_of(name: str) -> str:
    return json.dumps(_cleaned(SCHEMAS[name]()), indent=1, ensure_ascii=False) + "\n"


def _cleaned(node: Any) -> Any:
    """Give what versions of msgspec write otherwise one form: the indentation of descriptions, the order of choices."""
    if isinstance(node, dict):
        cleaned = {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _cleaned(value)
            for key, value in node.items()
        }
        if isinstance(choices := cleaned.get("anyOf"), list):
            choices.sort(key=json.dumps)
        return cleaned
    return [_cleaned(item) for item in node] if isinstance(node, list) else node


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in SCHEMAS:
        (FOLDER / f"{name}.schema.json").write_text(text_of(name), encoding="utf-8")
        print(FOLDER / f"{name}.schema.json")
    for name, folder in FILES.items():
        for path in folder.glob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            if not text.startswith(first_line(name)):
                path.write_text(first_line(name) + text, encoding="utf-8")


if __name__ == "__main__":
    main()
