"""All faults: find one by what asks for it, `NAME:key=value,key=value`; print them."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any

from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.faults import (  # noqa: F401 - each adds its faults to the catalogue
    bodies,
    choices,
    clients,
    connections,
    counts,
    embeddings,
    events,
    framing,
    http_bytes,
    json_text,
    logprobs,
    messages,
    process,
    ranking,
    requests,
    responses,
    tool_calls,
    typed_events,
    worker,
)
from InferenceLibrary.simulator.faults.kinds import KINDS, WHEN, Fault, Parameter, ask

REACH_FILE = Path(__file__).parent / "reach.json"
"""By fault and personality the forms of answers that it can change, as scripts/fault_reach.py measured them."""


# The APIs that answer on a path, as the table of what faults reach names them.
_APIS = {
    "/v1/chat/completions": ("chat", "orchestration"),
    "/v1/completions": ("completions",),
    "/v1/responses": ("responses",),
    "/v1/messages": ("messages",),
    "/v1/embeddings": ("embeddings",),
    "/v1/models": ("models",),
    "/rerank": ("rerank",),
    "/v1/rerank": ("rerank",),
    "/v2/rerank": ("rerank",),
    "/score": ("score",),
    "/v1/score": ("score",),
    "/tokenize": ("tokens",),
    "/detokenize": ("tokens",),
    "/execute": ("worker",),
    "/metrics": ("other",),
}


@cache
def reach() -> dict[str, dict[str, list[str]]]:
    """Return by fault and personality the forms of answers that it can change; a fault without a row may strike any."""
    found: dict[str, dict[str, list[str]]] = json.loads(REACH_FILE.read_text(encoding="utf-8"))
    return found


def apis_at(path: str) -> list[str]:
    """Return the APIs that answer on a path, or below it, as the table of what faults reach names them."""
    found = [known for known in _APIS if path == known or path.startswith(f"{known}/")]
    return list(_APIS[max(found, key=len)]) if found else ["other"]


def measured_as(personality: str) -> str:
    """Return the personality under which the table has what a personality answers; empty where it was not measured."""
    name = _ANSWERS_AS.get(personality, personality)
    return name if name in _MEASURED else ""


def header_faults(text: str, personality: str, path: str) -> list[Fault]:
    """Return the faults that a header of a request asks for.

    Raises:
        ValueError: One of them is wrong, or can never strike this request.
    """
    faults = parse_faults(text)
    for fault in faults:
        why = _never(fault, personality, path)
        if why:
            raise ValueError(f"fault '{fault.kind.name}' {why}")
    return faults


def _never(fault: Fault, personality: str, path: str) -> str:
    """Why a fault that a header asks for can never strike; empty when it can."""
    kind = fault.kind
    if kind.of_process and kind.on_answer is None:
        return "is one of the process: give it on the command line, --fault"
    if kind.on_connect is not None:
        return "strikes connections, before there is a request: give it on the command line, --fault"
    counting = [key for key, parameter in WHEN.items() if fault.values[key] != parameter.default]
    if counting:
        return f"strikes the request of its header only, '{counting[0]}' counts those of a server: use --fault"
    if kind.paths and not path.startswith(kind.paths):
        return f"is for {', '.join(kind.paths)}, not for {path}"
    forms = reach().get(kind.name)
    apis = _APIS.get(path)
    if forms is None or apis is None or _ANSWERS_AS.get(personality, personality) not in _MEASURED:
        return ""
    here = [
        form
        for form in forms.get(_ANSWERS_AS.get(personality, personality), ())
        if form.removesuffix(" stream") in apis
    ]
    if here:
        return ""
    there = ", ".join(f"{name} ({', '.join(found)})" for name, found in forms.items())
    return f"cannot strike {path} of {personality}: it strikes {there or 'none of the plain calls'}"


_ANSWERS_AS = {"llm-d": "openai"}
"""Personalities whose answers are those of another, but for refusals."""
_MEASURED = {"openai", "worker", "service", "gateway", "router", "mistralrs"}


def print_catalogue(as_json: bool = False) -> int:
    """Print every fault: name, what it does, the rules of the wire that it breaks, its parameters."""
    kinds = KINDS
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "name": kind.name,
                        "text": kind.text,
                        "breaks": list(kind.breaks),
                        "nature": kind.nature,
                        "strikes": reach().get(kind.name),
                        "parameters": {key: item.default for key, item in kind.parameters.items()},
                    }
                    for kind in kinds.values()
                ],
                indent=2,
            )
        )
        return 0
    width = max(map(len, kinds))
    for kind in kinds.values():
        rules = f"  [{', '.join(kind.breaks)}]" if kind.breaks else ""
        print(f"{kind.name:<{width}}  {kind.text}{rules}")
        for key, item in kind.parameters.items():
            print(f"{'':<{width}}    {key}={item.default}  {item.text}")
        for personality, forms in reach().get(kind.name, {}).items():
            print(f"{'':<{width}}    strikes {personality}: {', '.join(forms)}")
    broken = {rule for kind in kinds.values() for rule in kind.breaks}
    print()
    print(f"{len(kinds)} faults; {len(broken)} rules of the wire are broken by at least one.")
    print()
    print("Every fault also takes:")
    for key, item in WHEN.items():
        print(f"  {key}  {item.text}")
    print()
    print("For example: inference-simulator --fault stall:seconds=2,first=1")
    print("A fault without `strikes` may strike any answer: it is of time, of size, or of the process.")
    print("[F10] and the like are the ids of the wire rules that a fault breaks; checks name them in failures.")
    return 0


def parse_fault(text: str) -> Fault:
    """Return the fault that `NAME:key=value,...` asks for.

    Raises:
        ValueError: The name, a key or a value is wrong.
    """
    name, _, rest = text.strip().partition(":")
    kinds = KINDS
    kind = kinds.get(name.strip())
    if kind is None:
        close = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "--list-faults names them"
        raise ValueError(f"unknown fault '{name}'; {hint}")
    allowed = {**WHEN, **kind.parameters}
    given: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in allowed:
            raise ValueError(f"fault '{kind.name}' has no parameter '{key}'; it takes {', '.join(allowed)}")
        try:
            given[key] = _value(allowed[key], value)
        except ValueError as error:
            raise ValueError(f"fault '{kind.name}', parameter '{key}': {error}") from None
    if given.get("every", 1) < 1:
        raise ValueError(f"fault '{kind.name}', parameter 'every': must be at least 1")
    return ask(kind, text.strip(), **given)


def parse_faults(text: str) -> list[Fault]:
    """Return the faults of a header; several are separated by semicolons, or stand in repeated headers.

    Raises:
        ValueError: One of them is wrong.
    """
    found: list[Fault] = []
    for part in text.split(";"):
        # A repeated header arrives joined by `, `; parameters are joined by `,` without a name and colon after it.
        for item in _split_joined(part):
            found.append(parse_fault(item))
    return found


def _split_joined(text: str) -> list[str]:
    items: list[str] = []
    for piece in text.split(","):
        if items and "=" in piece.partition(":")[0]:
            items[-1] += "," + piece
        elif piece.strip():
            items.append(piece)
    return items


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.kind == "int":
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"'{text}' is not a whole number") from None
        if number < 0:
            raise ValueError(f"{number} is below 0")
        return number
    if parameter.kind == "number":
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"'{text}' is not a number") from None
    if parameter.kind == "duration":
        # A bare number is seconds here: faults have no past in which it meant milliseconds.
        return float(text) if text.replace(".", "", 1).isdigit() else parse_duration(text)
    if "|" in parameter.kind and text not in parameter.kind.split("|"):
        raise ValueError(f"'{text}' is none of {', '.join(parameter.kind.split('|'))}")
    return text
