"""What a check looks for: a text as it stands, or a regular expression."""

import pytest

from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.text_search import TextSearch


@pytest.mark.parametrize(
    ("text", "matching", "ignore_case", "found", "shown"),
    [
        ("a.c", None, False, None, "'a.c'"),
        ("a.C", None, False, "a.C", "'a.C'"),
        ("A.c", None, True, "a.C", "'A.c' in any case"),
        (None, "^A.C$", False, "ABC", "/^A.C$/"),
        (None, "^x.z$", False, None, "/^x.z$/"),
        (None, "^x.z", True, "XYZ", "/^x.z/ in any case"),
    ],
)
def test_texts_and_patterns(text, matching, ignore_case, found, shown):
    wanted = TextSearch("the answer", text, matching, ignore_case)
    assert wanted.found_in("ABC\nXYZ a.C") == found
    assert str(wanted) == shown


@pytest.mark.parametrize(
    ("text", "matching", "told"),
    [
        ("", None, "Nothing is looked for in the log: .*"),
        (None, "", "Nothing is looked for in the log: .*"),
        (None, None, "What is looked for in the log is not clear: expected .*, got neither."),
        ("a", "a", "What is looked for in the log is not clear: expected .*, got both."),
        (None, "(", r"'\(' is not a regular expression: got .*"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(text, matching, told):
    with pytest.raises(CheckFailure, match=told):
        TextSearch("the log", text, matching)
