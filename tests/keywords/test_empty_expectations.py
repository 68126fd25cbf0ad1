"""An expectation that is empty, as an unset variable is, fails the check: nothing could ever fail it."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.programs.checks import check_help, check_help_without, check_refusal, check_version
from InferenceLibrary.protocol.exchange import Exchange, Request
from InferenceLibrary.servers.loading import check_dry_run, check_refusal_of_model
from InferenceLibrary.types import JsonObject, Texts

ASKED = Request("POST", "http://host/v1/chat/completions", (), b"{}")
BODY = {"choices": [{"index": 0, "message": {"role": "assistant", "content": '{"a": 1}'}, "finish_reason": "stop"}]}
REPLY = Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), json.dumps(BODY).encode()))
REFUSAL = Reply(Exchange(ASKED, 404, (("content-type", "application/json"),), b'{"error": {"message": "no"}}'))
STREAM = stream_of(
    Exchange(
        ASKED,
        200,
        (("content-type", "text/event-stream"),),
        b'data: {"error": {"code": "c", "type": "t", "message": "m"}}\n\n',
    )
)
NOTHING: Any = None

EMPTY: dict[tuple[str, str], Callable[[InferenceLibrary], Any]] = {
    ("answer_should_contain", "expected"): lambda lib: lib.answer_should_contain(REPLY, ""),
    ("answer_should_contain", "matching"): lambda lib: lib.answer_should_contain(REPLY, matching=""),
    ("answer_should_not_contain", "unwanted"): lambda lib: lib.answer_should_not_contain(REPLY, ""),
    ("answer_should_not_contain", "matching"): lambda lib: lib.answer_should_not_contain(REPLY, matching=""),
    ("answer_should_contain_any", "texts"): lambda lib: lib.answer_should_contain_any(REPLY, "x", ""),
    ("answer_should_fit_schema", "schema"): lambda lib: lib.answer_should_fit_schema(REPLY, JsonObject()),
    ("answer_should_keep_the_rules", "only"): lambda lib: lib.answer_should_keep_the_rules(REPLY, only=Texts()),
    ("error_should_be", "error_code"): lambda lib: lib.error_should_be(REFUSAL, error_code=""),
    ("error_should_be", "error_type"): lambda lib: lib.error_should_be(REFUSAL, error_type=""),
    ("error_should_be", "error_param"): lambda lib: lib.error_should_be(REFUSAL, error_param=""),
    ("error_should_be", "error_message"): lambda lib: lib.error_should_be(REFUSAL, error_message=""),
    ("every_chunk_should_have", "key"): lambda lib: lib.every_chunk_should_have(STREAM, ""),
    ("values_should_not_fall", "key"): lambda lib: lib.values_should_not_fall(STREAM, ""),
    ("stream_should_end_with_error", "error_code"): lambda lib: lib.stream_should_end_with_error(STREAM, error_code=""),
    ("stream_should_end_with_error", "error_type"): lambda lib: lib.stream_should_end_with_error(STREAM, error_type=""),
    ("stream_should_end_with_error", "error_message"): lambda lib: lib.stream_should_end_with_error(
        STREAM, error_message=""
    ),
    ("server_log_should_contain", "text"): lambda lib: lib.server_log_should_contain(""),
    ("server_log_should_contain", "matching"): lambda lib: lib.server_log_should_contain(matching=""),
    ("server_log_should_not_contain", "text"): lambda lib: lib.server_log_should_not_contain(""),
    ("server_log_should_not_contain", "matching"): lambda lib: lib.server_log_should_not_contain(matching=""),
    ("terminal_should_contain", "text"): lambda lib: lib.terminal_should_contain(""),
    ("terminal_should_contain", "matching"): lambda lib: lib.terminal_should_contain(matching=""),
    ("terminal_should_not_contain", "text"): lambda lib: lib.terminal_should_not_contain(""),
    ("terminal_should_not_contain", "matching"): lambda lib: lib.terminal_should_not_contain(matching=""),
    ("program_help_should_contain", "words"): lambda lib: check_help(NOTHING, NOTHING, [""]),
    ("program_help_should_contain", "matching"): lambda lib: check_help(NOTHING, NOTHING, [], ""),
    ("program_help_should_not_contain", "words"): lambda lib: check_help_without(NOTHING, NOTHING, [""]),
    ("program_help_should_not_contain", "matching"): lambda lib: check_help_without(NOTHING, NOTHING, [], ""),
    ("program_version_should_match", "pattern"): lambda lib: check_version(NOTHING, NOTHING, ""),
    ("program_should_refuse_arguments", "contains"): lambda lib: check_refusal(NOTHING, NOTHING, [], contains=""),
    ("model_should_load", "matching"): lambda lib: check_dry_run(NOTHING, NOTHING, NOTHING, ""),
    ("model_should_be_refused", "matching"): lambda lib: check_refusal_of_model(
        NOTHING, Path("a"), NOTHING, matching=""
    ),
}
LOOKED_FOR = {"expected", "unwanted", "matching", "texts", "text", "words", "pattern", "contains", "schema", "only"}
LOOKED_FOR |= {"key", "error_code", "error_type", "error_param", "error_message"}
"""Arguments that say what must be there."""
ELSEWHERE = {
    # The same judge as Error Should Be.
    ("body_should_be_refused", "error_code"),
    ("body_should_be_refused", "error_type"),
    ("body_should_be_refused", "error_param"),
    ("body_should_be_refused", "error_message"),
    # It ends with Body Should Be Refused.
    ("body_change_should_be_refused", "error_code"),
    ("body_change_should_be_refused", "error_type"),
    ("body_change_should_be_refused", "error_param"),
    ("body_change_should_be_refused", "error_message"),
    # Compared as a whole: an empty one fails.
    ("finish_reason_should_be", "expected"),
    # It needs a screen: see the inner suite of terminals.
    ("terminal_text_should_have_style", "text"),
}


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def checks() -> Iterator[tuple[str, Any]]:
    for name, method in inspect.getmembers(InferenceLibrary, inspect.isfunction):
        if "assertion" in getattr(method, "robot_tags", ()):
            yield name, method


def test_every_expectation_is_asked() -> None:
    wanted = {
        (name, argument)
        for name, method in checks()
        for argument, parameter in inspect.signature(method).parameters.items()
        if argument in LOOKED_FOR and "int" not in str(parameter.annotation) and "Any" not in str(parameter.annotation)
    }
    assert wanted == {*EMPTY, *ELSEWHERE}


@pytest.mark.parametrize("case", EMPTY, ids="-".join)
def test_an_empty_expectation_fails(lib: InferenceLibrary, case: tuple[str, str]) -> None:
    with pytest.raises(CheckFailure, match=r"got an empty one|which everything fits|expected at least one"):
        EMPTY[case](lib)


LOGS = ("self.log.", "seen(", "hold(", "check_number(", "check_text(", "_judge(", "_check_screen(", "self._check(")
LOGS += ("self._rate(", "_model_here(", "self.body_should_be_refused(")
"""What a check that passes tells its value by."""


def test_every_check_that_passes_logs_what_it_saw() -> None:
    silent = [
        name
        for name, method in checks()
        if not any(log in inspect.getsource(method).rpartition('"""')[2] for log in LOGS)
    ]
    assert silent == []
    assert len(list(checks())) > 50
