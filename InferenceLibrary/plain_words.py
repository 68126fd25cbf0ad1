"""Failures of this library's keywords in words for testers, where Robot Framework or Python wrote the message.

Robot Framework converts the arguments of keywords and tells what failed in the names of Python's types; an error of the
operating system or of Python itself reaches it with the name of its class. A listener may change the message of a
keyword that failed, in the log and for what comes after it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from InferenceLibrary.files import hint_of

_CONVERSION = (
    r"(?s)ValueError: Argument '(?P<name>[^']*)' got value (?P<value>.*) "
    r"that cannot be converted to (?P<types>[^:]*?)(?:: (?P<reason>.*?))?\.?"
)
_COUNT = r"Keyword '[^']*' expected (?P<expected>.*) non-named arguments?, got (?P<got>\d+)\."
_SYSTEM = r"(?s)\w*Error: \[(?:Errno|WinError) (?P<number>\d+)\] (?P<text>.*?)(?:: '(?P<path>.*)')?"
_RAISED = r"(?s)(?P<kind>\w+(?:Error|Exception)): (?P<text>.*)"

_WANTED = {
    "JsonObject": 'a JSON object such as {"name": "value"}, or a dictionary variable',
    "Secret": "a Robot secret, such as ${KEY: Secret}    %{MY_KEY}",
    "Texts": 'one text, or several as a list variable or as JSON such as ["one", "two"]',
    "Messages": 'a text, or messages such as [{"role": "user", "content": "Hi"}]',
    "Kinds": 'kinds such as [{"name": "short", "weight": 3, "max_tokens": 8}]',
    "Tools": 'functions as JSON such as [{"name": "add", "parameters": {"type": "object"}}]',
    "ResponseFormat": 'text, json_object, or a JSON schema such as {"type": "object"}',
    "Reply": "a reply of Chat, Complete or Send Request",
    "Stream": "a stream of Stream Chat or Stream Completion",
    "RunResult": "a result of Run Program",
    "TerminalAnswer": "an answer of Ask In Terminal",
    "Job": "a job of Execute Job",
    "ToolChoice": "auto, none, required, or the name of a tool",
    "Statuses": "a status such as 404, a class such as 4xx, several such as 400,422, any, or failure",
    "CommandLine": "words as a shell has them",
    "timedelta": "a time with a unit, such as 200 ms or 2 s",
    "float": "a number",
    "integer": "a whole number",
    "boolean": "True or False",
    "string": "a text",
    "list": 'a list variable, or a list such as ["one", "two"]',
    "list[str]": 'a list variable, or a list such as ["one", "two"]',
    "list[int]": "whole numbers such as [1, 2]",
    "list[list[int]]": "several lists of them such as [[1, 2], [3]]",
    "Path": "a path",
    "AssertionOperator": "an operator such as ==, <, contains or matches",
}
"""What Robot Framework calls a type, and what a tester writes for it."""


_FORMERLY = {"wait_for": {"'health'": "'healthy'", "'chat'": "'first token'", "'completion'": "'first token'"}}
"""By argument: words that a profile or an older suite has, and what they are called now."""


def in_plain_words(message: str, keyword: str, arguments: Sequence[Any] = ()) -> str:
    """Return the message of a failed keyword without the words of Python and Robot Framework.

    Args:
        message: What the keyword failed with.
        keyword: Its name.
        arguments: What it was given, as the test wrote it.
    """
    if found := re.fullmatch(_CONVERSION, message):
        return _conversion(found)
    if found := re.fullmatch(_COUNT, message):
        plural = "argument" if found["expected"].split()[-1] == "1" else "arguments"
        count = f"expected {found['expected']} {plural} without a name, got {found['got']}"
        return f"{keyword}: {count}.{_named(arguments)}"
    if found := re.fullmatch(_SYSTEM, message):
        what = f"'{found['path']}' cannot be used" if found["path"] else "a file cannot be used"
        hint = hint_of(int(found["number"]))
        return f"{keyword}: {what}: {found['text']}.{f' Hint: {hint}' if hint else ''}"
    if found := re.fullmatch(_RAISED, message):
        if found["kind"] == "ValueError":
            return f"{keyword}: {_clause(found['text'])}"
        if found["kind"] == "OverflowError":
            return f"{keyword}: expected smaller numbers and times than it was given."
        return (
            f"{keyword} cannot use what it was given: {found['text'].rstrip('.')}. Hint: check the values of its "
            "arguments; if they are right, this is a defect of the library: report it with the log at level DEBUG."
        )
    return message


def _conversion(found: re.Match[str]) -> str:
    reason = found["reason"] or ""
    types = found["types"].removesuffix(" or None").removesuffix(", None")
    names = re.split(r", | or ", types)
    hint = _as_json_object(found["value"]) if "JsonObject" in names else ""
    if "Reply" in names and found["value"].endswith("(TerminalAnswer)"):
        hint = " Hint: what was said in a terminal is ${answer.text}, for Should Contain."
    if reason.startswith("Expected "):
        return f"Argument '{found['name']}': {_clause(reason)}.{hint}"
    words = [name for name in names if name.startswith("'")]
    others = [_WANTED.get(name, name) for name in names if not name.startswith("'")]
    listed = " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
    wanted = " or ".join([*([f"one of {listed}"] if len(words) > 1 else words), *others])
    because = f" ({reason})" if reason and not any(name in _WANTED for name in names) else ""
    formerly = _FORMERLY.get(found["name"], {}).get(found["value"])
    close = [formerly] if formerly in words else difflib.get_close_matches(found["value"], words, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return f"Argument '{found['name']}': expected {wanted}, got {found['value']}{because}.{meant}{hint}"


def _as_json_object(value: str) -> str:
    """Return a hint for a text such as `city=Paris`, as keywords of other libraries take it."""
    name, equals, text = value.strip("'").partition("=")
    if not equals or not name.isidentifier() or len(text) > 60:
        return ""
    try:
        meant = json.loads(text)
    except ValueError:
        meant = text
    return f" Hint: as a JSON object it is {json.dumps({name: meant}, ensure_ascii=False)}."


def _named(arguments: Sequence[Any]) -> str:
    """Text with an equals sign is taken for a named argument, and then there is no text left."""
    for argument in arguments:
        name, equals, value = str(argument).partition("=")
        if equals and name.isidentifier():
            return f" Hint: {argument!s} is read as the argument '{name}'; a text is written {name}\\={value}."
    return ""


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[:2].istitle() else sentence
