# ruff: noqa: E501 - messages in whole
"""What Robot Framework and Python say of a keyword's failure reaches a tester in plain words, in the log and after it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner
from robot.running import testlibraries

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.files import make_folder, text_file, write_table, write_text
from InferenceLibrary.plain_words import in_plain_words

OBJECT = 'a JSON object such as {"name": "value"}, or a dictionary variable'
TEXTS = 'one text, or several as a list variable or as JSON such as ["one", "two"]'
ANSWER = "a reply of Chat, Complete or Send Request or a stream of Stream Chat or Stream Completion"


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (
            "ValueError: Argument 'headers' got value 'a: b' that cannot be converted to JsonObject or None.",
            f"Argument 'headers': expected {OBJECT}, got 'a: b'.",
        ),
        (
            "ValueError: Argument 'x' got value 'city=Paris' that cannot be converted to JsonObject or None.",
            f"Argument 'x': expected {OBJECT}, got 'city=Paris'. Hint: as a JSON object it is {{\"city\": \"Paris\"}}.",
        ),
        (
            "ValueError: Argument 'x' got value 'a=b' that cannot be converted to JsonObject: Expected JSON, got 'a=b'.",
            "Argument 'x': expected JSON, got 'a=b'. Hint: as a JSON object it is {\"a\": \"b\"}.",
        ),
        (
            "ValueError: Argument 'x' got value 'hi' (TerminalAnswer) that cannot be converted to Reply or Stream.",
            f"Argument 'x': expected {ANSWER}, got 'hi' (TerminalAnswer). Hint: what was said in a terminal is "
            "${answer.text}, for Should Contain.",
        ),
        (
            "ValueError: Argument 'x' got value 'a=b' that cannot be converted to float.",
            "Argument 'x': expected a number, got 'a=b'.",
        ),
        (
            "ValueError: Argument 'x' got value 'a that cannot be converted to b: c.' that cannot be converted to float.",
            "Argument 'x': expected a number, got 'a that cannot be converted to b: c.'.",
        ),
        (
            "ValueError: Argument 'x' got value 'a' that cannot be converted to 'one', 'two' or 'three'.",
            "Argument 'x': expected one of 'one', 'two' or 'three', got 'a'.",
        ),
        (
            "ValueError: Argument 'x' got value 'heathy' that cannot be converted to 'health', 'chat' or None.",
            "Argument 'x': expected one of 'health' or 'chat', got 'heathy'. Did you mean 'health'?",
        ),
        (
            "ValueError: Argument 'x' got value 'a' that cannot be converted to 'none', Secret or None.",
            "Argument 'x': expected 'none' or a Robot secret, such as ${KEY: Secret}    %{MY_KEY}, got 'a'.",
        ),
        (
            "ValueError: Argument 'x' got value 'a' that cannot be converted to Thing or None: It is odd.",
            "Argument 'x': expected Thing, got 'a' (It is odd).",
        ),
        (
            "ValueError: Argument 'x' got value 'a' that cannot be converted to Texts: Expected texts, got the text 'a'.",
            "Argument 'x': expected texts, got the text 'a'.",
        ),
        ("Keyword 'Lib.Chat' expected at least 1 non-named argument, got 0.", "Keyword: expected at least 1 argument without a name, got 0."),
        ("Keyword 'Lib.Chat' expected 0 to 2 non-named arguments, got 3.", "Keyword: expected 0 to 2 arguments without a name, got 3."),
        ("ValueError: Expected a number, got 'many'.", "Keyword: expected a number, got 'many'."),
        ("ValueError: JSON it is not.", "Keyword: JSON it is not."),
        (
            "AttributeError: 'str' object has no attribute 'value'",
            "Keyword cannot use what it was given: 'str' object has no attribute 'value'. Hint: check the values of its "
            "arguments; if they are right, this is a defect of the library: report it with the log at level DEBUG.",
        ),
        (
            f"OSError: [Errno {errno.ENOSPC}] No space left on device: '/out/a.txt'",
            "Keyword: '/out/a.txt' cannot be used: No space left on device. Hint: free some space on the disk, or write "
            "elsewhere with --outputdir.",
        ),
        (
            f"PermissionError: [Errno {errno.EACCES}] Permission denied: '/out'",
            "Keyword: '/out' cannot be used: Permission denied. Hint: give this user the right to it, or write elsewhere "
            "with --outputdir.",
        ),
        (f"OSError: [Errno {errno.EIO}] Input/output error", "Keyword: a file cannot be used: Input/output error."),
        ("Reply: expected a text that contains 'a', got 'b'.", "Reply: expected a text that contains 'a', got 'b'."),
        ("", ""),
    ],
)  # fmt: skip
def test_messages(message: str, plain: str) -> None:
    assert in_plain_words(message, "Keyword") == plain


def test_text_that_was_taken_for_a_named_argument_is_told() -> None:
    message = "Keyword 'Lib.Chat' expected at least 1 non-named argument, got 0."
    plain = in_plain_words(message, "Chat", ["model=gpt is what?"])
    assert plain.endswith(
        "Hint: model=gpt is what? is read as the argument 'model'; a text is written model\\=gpt is what?."
    )
    assert "Hint" not in in_plain_words(message, "Chat", ["a b=c", "plain"])


PYTHON = re.compile(r"NoneType|Sequence|Literal|Traceback|expression|\[int|\[str|\b(dict|int|str|tuple|\w+Error)\b")


def test_no_argument_is_refused_in_the_words_of_python() -> None:
    library = testlibraries.TestLibrary.from_name("InferenceLibrary")
    told = {}
    for keyword in library.keywords:
        for argument in filter(lambda each: each.type, keyword.args):
            for value in ("a=b", "[1", '{"a"', "9" * 50, None, 3.5, b"x"):
                try:
                    argument.type.convert(value, argument.name, library.converters)
                except (ValueError, OverflowError) as error:
                    message = f"{type(error).__name__}: {error}"
                    told[str(argument.type), str(value)] = in_plain_words(message, keyword.name)
    assert len(told) > 100
    assert {key: text for key, text in told.items() if PYTHON.search(text) or "expected" not in text} == {}


STAGES = "one of 'profile', 'healthy', 'model listed', 'checks passed' or 'first token'"
EXPECTED = {
    "Headers That Are No Object": f"Argument 'headers': expected {OBJECT}, got 'Authorization: Bearer x'.",
    "Extra That Is No Object": f"Argument 'extra': expected {OBJECT}, got 'temperature=1'. Hint: as a JSON object it is {{\"temperature\": 1}}.",
    "Arguments Of A Tool": "'city' is not an argument of Tool Should Be Called: expected one of answer, name, arguments. Hint: text with an equals sign is written city\\=...",
    "A Key In Plain Text": "Argument 'api_key': expected a Robot secret, such as ${KEY: Secret}    %{MY_KEY}, got '***'.",
    "A Number": "Argument 'temperature': expected a number, got 'hot'.",
    "A Fraction Of A Count": "Argument 'count': expected a whole number, got '1.5'.",
    "Neither True Nor False": "Argument 'keep': expected True or False, got 'flase'.",
    "A Time": "Argument 'timeout': expected a time with a unit, such as 200 ms or 2 s, got 'soon'.",
    "An Answer": f"Argument 'answer': expected {ANSWER}, got 'text'.",
    "A Stream": "Argument 'stream': expected a stream of Stream Chat or Stream Completion, got None.",
    "Prompts": "Argument 'messages': expected a text, or messages such as [{\"role\": \"user\", \"content\": \"Hi\"}], got '5' (integer).",
    "Results": "Results: expected what Call At Once or Wait For Calls returned, got the text 'abc'.",
    "Results With A Gap": "Results: expected what calls returned, got None in place 1. Hint: is a variable unset?",
    "Statuses": "Results: expected what Call At Once or Wait For Calls returned, got the number 5.",
    "Lengths Of A Text": "Embeddings: expected what Create Embeddings returned, got the text 'abc'.",
    "Embeddings That Agree With A Number": "Embeddings: expected what Create Embeddings returned, got the number 5.",
    "Metrics From Before": "Metrics from before: expected what Get Metrics returned, got the text 'abc'.",
    "Counters From Before": "Metrics from before: expected what Get Metrics returned, got None.",
    "Labels That Are Not There": (
        "Metric vllm:num_requests_running: there is no sample of it with the labels {'model_name': 'no'}: expected "
        "labels of one of its samples, which are {'model_name': 'fake-model'}."
    ),
    "The Name Of A Metric": "Metric vllm:num_requests_running: expected > 0, got 0.",
    "A Number For A Metric": "Get Metric: expected a number, got 'many'.",
    "Text With An Equals Sign": (
        "Chat: expected 1 argument without a name, got 0. Hint: model=gpt is what? is read as the argument "
        "'model'; a text is written model\\=gpt is what?."
    ),
    "A Misspelt Argument": (
        "No server 'exit_code=3' is open: expected one of: 1 = simulator. Hint: if exit_code= was meant as an "
        "argument, this keyword has none of that name."
    ),
    "A Call In Place Of A Stage": f"Argument 'wait_for': expected {STAGES}, got 'chat'. Did you mean 'first token'?",
    "A Route In Place Of A Stage": f"Argument 'wait_for': expected {STAGES}, got 'health'. Did you mean 'healthy'?",
    "A Stage Before The Checks": (
        "Start Server: expected wait_for=checks passed or first token where checks= is given, got 'healthy', after "
        "which no check is asked."
    ),
    "In A User Keyword": "Argument 'temperature': expected a number, got 'hot'.",
    "Another Library": "ValueError: Argument 'count' got value 'x' that cannot be converted to integer.",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("plain_words.robot", tmp_path_factory.mktemp("plain") / "out")


@pytest.mark.parametrize("test", EXPECTED)
def test_a_failure_says(run: InnerRun, test: str) -> None:
    assert (run[test].status, run[test].message) == ("FAIL", EXPECTED[test])
    assert EXPECTED[test] in run[test].log, "the log says the same"


def test_a_failure_that_is_expected_has_the_same_words(run: InnerRun) -> None:
    assert (run["An Expected Failure"].status, run["An Expected Failure"].message) == ("PASS", "")


def test_every_test_is_looked_at(run: InnerRun) -> None:
    assert set(run.tests) == {*EXPECTED, "An Expected Failure"}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "inference"
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    run = run_inner("plain_words.robot", tmp_path / "out", "--test", "The Name Of A Metric")
    assert "Permission denied" in run["The Name Of A Metric"].message
    assert "Hint: give this user the right to it" in run["The Name Of A Metric"].message


def test_a_full_disk_is_told_with_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    path = tmp_path / "text"
    with pytest.raises(InferenceError) as error:
        write_text(path, "text")
    assert str(error.value) == (
        f"'{path}' cannot be written: got No space left on device. Hint: free some space on the disk, or write "
        "elsewhere with --outputdir."
    )


def test_what_is_not_a_file_is_left_as_it_is(tmp_path: Path) -> None:
    """A pipe would wait for a reader for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for write in (lambda: write_text(pipe, "text"), lambda: write_table(pipe, [{"a": 1}], "{}")):
        with pytest.raises(InferenceError) as error:
            write()
        assert str(error.value) == (
            f"'{pipe}' cannot be written: got a pipe in its place, which is not a regular file. "
            "Hint: give another name: something else has this one."
        )
    assert pipe.is_fifo()


def test_the_folder_of_a_file_is_made(tmp_path: Path) -> None:
    whole, pieces, rows = (tmp_path / folder / "new" / "text.csv" for folder in ("a", "b", "c"))
    write_text(whole, "text")
    with text_file(pieces) as file:
        file.write("text")
    write_table(rows, [{"a": 1}], "{}")
    assert [path.read_text(encoding="utf-8").split() for path in (whole, pieces, rows)] == [
        ["text"],
        ["text"],
        ["a", "1"],
    ]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InferenceError, match=r"file/inner' cannot be written: got Not a directory\.$"):
        make_folder(tmp_path / "file" / "inner")
