"""Answers from a data set: SQLite in the form of llm-d-inference-sim, or a plain YAML of questions and answers.

The SQLite table has the columns `prompt_hash` (SHA-256 of the prompt, as bytes or hexadecimal text) and `gen_tokens`
(a JSON list of the answer's tokens). The YAML file is a mapping of questions to answers.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from InferenceLibrary.simulator.answers.tokens import tokenize


class DatasetError(Exception):
    """The data set cannot be read; the text is one line."""


class Dataset:
    """Answers by prompt."""

    def __init__(self, answers: dict[bytes, list[str]]) -> None:
        self._answers = answers

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, prompt: str) -> list[str] | None:
        """Return the tokens of the answer to exactly this prompt."""
        return self._answers.get(_hash(prompt))


def _hash(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode("utf-8", "replace")).digest()


def load_dataset(path: str, table: str) -> Dataset:
    """Read a data set; the suffix .yaml or .yml means questions and answers, all else SQLite.

    Raises:
        DatasetError: It is missing or wrong.
    """
    file = Path(path)
    if not file.is_file():
        raise DatasetError(f"there is no file '{path}'")
    return Dataset(_from_yaml(file) if file.suffix in {".yaml", ".yml"} else _from_sqlite(file, table))


def _from_yaml(file: Path) -> dict[bytes, list[str]]:
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DatasetError(f"'{file}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict) or not all(isinstance(item, str) for pair in data.items() for item in pair):
        raise DatasetError(f"'{file}' must hold questions and answers, both as text")
    return {_hash(question): tokenize(answer) for question, answer in data.items()}


def _from_sqlite(file: Path, table: str) -> dict[bytes, list[str]]:
    if not re.fullmatch(r"\w+", table):
        raise DatasetError(f"'{table}' is not a table name")
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            rows = connection.execute(f"SELECT prompt_hash, gen_tokens FROM {table}").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DatasetError(f"cannot read table '{table}' of '{file}': {error}") from None
    return {_key(prompt_hash): _tokens(tokens, file) for prompt_hash, tokens in rows}


def _key(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value if len(value) == 32 else bytes.fromhex(value.decode("ascii", "replace"))
    return bytes.fromhex(str(value))


def _tokens(value: Any, file: Path) -> list[str]:
    try:
        found = json.loads(value)
    except (ValueError, TypeError):
        found = None
    if isinstance(found, dict):
        found = found.get("strings")
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise DatasetError(f"'{file}': gen_tokens must be a JSON list of texts")
    return found
