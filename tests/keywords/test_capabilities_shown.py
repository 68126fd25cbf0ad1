"""The table of capabilities in the metadata of the outermost suite."""

from __future__ import annotations

from types import SimpleNamespace

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.keywords.shared.capabilities import show_capabilities


def test_a_suite_without_a_table_bears_no_empty_row() -> None:
    outer = SimpleNamespace(parent=None, metadata={})
    show_capabilities(InferenceLibrary().context, SimpleNamespace(parent=outer, metadata={}))
    assert outer.metadata == {}
