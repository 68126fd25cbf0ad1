"""docs/objects.md tells every public attribute of what keywords return, as the classes have them."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from InferenceLibrary.keywords.shared.arguments import refuse_run_result, refuse_terminal_answer
from InferenceLibrary.keywords.workers import refuse_job
from InferenceLibrary.types import refuse_reply, refuse_stream

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import objects_document  # noqa: E402

TEXT = (ROOT / "docs" / "objects.md").read_text(encoding="utf-8")


def test_the_page_is_as_the_classes_are() -> None:
    assert objects_document.page() == TEXT, "run scripts/objects_document.py"
    assert objects_document.undocumented() == []


@pytest.mark.parametrize("title", objects_document.CLASSES)
def test_every_public_attribute_stands_there(title: str) -> None:
    module, _, name = objects_document.CLASSES[title].partition(":")
    found = getattr(importlib.import_module(f"InferenceLibrary.{module}"), name)
    properties = {
        name
        for name, _ in inspect.getmembers(
            found, lambda member: isinstance(member, property) or hasattr(member, "attrname")
        )
        if not name.startswith("_")
    }
    slots = {slot for slot in getattr(found, "__slots__", ()) if not slot.startswith("_")}
    fields = set(getattr(found, "_fields", ()))
    part = TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))
    assert (properties | slots | fields) - told - objects_document.INNER == set()
    assert told


@pytest.mark.parametrize(
    ("title", "converter"),
    [
        ("A reply", refuse_reply),
        ("A stream", refuse_stream),
        ("A job", refuse_job),
        ("The result of a program", refuse_run_result),
        ("An answer in a terminal", refuse_terminal_answer),
    ],
    ids=["reply", "stream", "job", "program", "terminal"],
)
def test_the_type_names_its_attributes(title: str, converter: Callable[[object], object]) -> None:
    names = {one.name for one in objects_document.attributes_of(objects_document.CLASSES[title])}
    assert set(re.findall(r"`(\w+)`", inspect.getdoc(converter) or "")) == names


def test_an_attribute_without_a_word_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_document, "SHARED", {})
    assert "RunResult.stdout" in objects_document.undocumented()


def test_each_attribute_that_keywords_name_in_their_texts_stands_there() -> None:
    """`${reply.text}` in the documentation of a keyword."""
    from InferenceLibrary import InferenceLibrary

    docs = "\n".join(
        inspect.getdoc(method) or "" for _, method in inspect.getmembers(InferenceLibrary, inspect.isfunction)
    )
    named = set(re.findall(r"\$\{(?:reply|stream|job|embeddings|error)\.(\w+)", docs))
    told = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert len(named) > 20
    assert named - told == set()
