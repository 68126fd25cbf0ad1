"""Places in JSON by a dotted path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.protocol.json_path import place_in

DATA = {"a": {"b": [1, {"c": "x"}], "n": None}, "z": 0}


@pytest.mark.parametrize(("path", "value"), [("z", 0), ("a.b.0", 1), ("a.b.1.c", "x"), ("a.b.-1.c", "x")])
def test_what_is_there_is_found(path: str, value: object) -> None:
    place = place_in(DATA, path)
    assert (place.value, place.missing) == (value, None)


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("y", "'y'"),
        ("a.x", "'x' in a"),
        ("a.b.2", "'2' in a.b"),
        ("a.b.one", "'one' in a.b"),
        ("a.n", "'n' in a"),
        ("z.q", "'q' in z"),
    ],
)
def test_where_a_path_ends_is_told(path: str, missing: str) -> None:
    assert place_in(DATA, path).missing == missing


@pytest.mark.parametrize("path", ["", ".", "a.", "a..b"])
def test_a_path_with_an_empty_part_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="Expected a path such as"):
        place_in(DATA, path)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_every_leaf_of_an_object_is_found(data: object) -> None:
    keys = data if isinstance(data, dict) else {}
    for key, value in keys.items():
        if key and "." not in key and value is not None:
            assert place_in(data, key).value == value
