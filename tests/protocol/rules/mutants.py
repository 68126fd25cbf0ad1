"""Mutants of good answers: any JSON type at any node, keys and events dropped and doubled, bytes broken.

Whatever stands in an answer, a rule and a reader say what is wrong or nothing; none of them fails. `python -m
protocol.rules.mutants --count 100000` with `tests` on the path tries as many.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from protocol.rules.exchanges import exchange
from protocol.rules.good_answers import GOOD_ANSWERS
from protocol.rules.typed_exchanges import good

from InferenceLibrary.protocol.errors import error_of, read_refusal
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.messages import join_tool_calls, merge_usage, read_pieces, read_usage
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import Known, Reference
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.protocol.strict_json import read_json

KNOWN = Known(models=("m",), key=True, reference=Reference.OPEN_RESPONSES)
AROUND = [
    good("/v1/models"),
    exchange("/metrics", None, b"vllm:request_success_total 1\n", method="GET", headers=()),
]
"""Good calls for the rules over several exchanges."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, 10**30, -(10**350), float("nan"), float("inf"), "", "x", "assistant", "\ud83d",
    "[DONE]", [], [None], [[]], ["x"], [{}], [1, 2], {}, {"a": 1}, {"a": None}, {"type": "x"}, {"error": "x"},
    {"choices": [{}]},
)  # fmt: skip
_EVENT = re.compile(rb"(?:event: [^\n]*\n)?data: ([^\n]*)\n\n")


def paths_of(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every node, the whole included."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, item in items:
        yield from paths_of(item, (*path, step))


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


def _dropped(data: Any, path: tuple[Any, ...]) -> Any:
    if len(path) > 1:
        return changed(data, path[:1], _dropped(data[path[0]], path[1:]))
    copy = dict(data) if isinstance(data, dict) else list(data)
    del copy[path[0]]
    return copy


def _doubled(data: Any, path: tuple[Any, ...]) -> str:
    """JSON text in which a key or an item stands twice."""
    marked = changed(data, path, "\0mark\0")
    text, item = json.dumps(marked), data
    for step in path:
        item = item[step]
    mark, value = json.dumps("\0mark\0"), json.dumps(item)
    if isinstance(path[-1], str):
        key = json.dumps(path[-1])
        return text.replace(f"{key}: {mark}", f"{key}: {value}, {key}: {value}")
    return text.replace(mark, f"{value}, {value}")


def texts_of(data: Any) -> Iterator[str]:
    """Every mutant of one value, as JSON text."""
    for path in paths_of(data):
        for value in VALUES:
            yield json.dumps(changed(data, path, value))
        if path:
            yield json.dumps(_dropped(data, path))
            yield _doubled(data, path)


def all_mutants(exchange: Exchange) -> Iterator[Exchange]:
    """Every mutant of one answer in one place, and of what was asked."""
    for text in texts_of(exchange.asked):
        yield dataclasses.replace(exchange, request=exchange.request._replace(body=text.encode()))
    if not exchange.is_event_stream:
        for text in texts_of(exchange.json):
            yield dataclasses.replace(exchange, body=text.encode())
        return
    for match in _EVENT.finditer(exchange.body):
        before, after = exchange.body[: match.start()], exchange.body[match.end() :]
        yield dataclasses.replace(exchange, body=before + after)
        yield dataclasses.replace(exchange, body=before + match.group() * 2 + after)
        data = read_json(match.group(1).decode()).value
        for text in texts_of(data) if data is not None else ():
            body = exchange.body[: match.start(1)] + text.encode() + exchange.body[match.end(1) :]
            yield dataclasses.replace(exchange, body=body)


def broken(exchange: Exchange, draw: random.Random) -> Exchange:
    """An answer with some bytes cut out, doubled or replaced."""
    body = bytearray(exchange.body)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(body) + 1)
        end = min(len(body), start + draw.choice((0, 1, 1, 2, 40)))
        body[start:end] = draw.choice(
            (b"", body[start:end] * 2, bytes([draw.randrange(256)]), b"\n\n", b'"', b"[DONE]")
        )
    return dataclasses.replace(exchange, body=bytes(body))


def look(exchange: Exchange) -> None:
    """Ask every rule and every reader."""
    judge(exchange)
    judge(exchange, KNOWN)
    judge_several([*AROUND, exchange, exchange, *AROUND], KNOWN)
    objects = [exchange.json]
    if exchange.is_event_stream:
        objects = [read_json(event.data).value for event in SSEDecoder().feed(exchange.body)]
    usages = []
    for data in objects:
        pieces = read_pieces(data)
        for piece in pieces:
            for call in join_tool_calls(piece.tool_calls):
                str(call), call.input
            [entry.margin for entry in piece.logprobs]
        usages += [usage] if (usage := read_usage(data)) else []
        error_of(data)
    merge_usage(usages)
    read_refusal(500, exchange.text)


def main(arguments: list[str]) -> int:
    """Try mutants until there are enough; print what failed; return how many kinds of failures there were."""
    parser = argparse.ArgumentParser(description="Judge mutants of good answers; none may end in a Python error.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    draw = random.Random(options.seed)
    tried = 0
    failures: dict[str, tuple[str, str, bytes, bytes]] = {}

    def check(name: str, exchange: Exchange) -> None:
        nonlocal tried
        tried += 1
        try:
            look(exchange)
        except Exception as error:  # noqa: BLE001  (what may never be raised is what is looked for)
            where = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} in {where.filename}:{where.lineno}"
            failures.setdefault(key, (name, str(error), exchange.body[:2000], exchange.request.body[:500]))

    names = list(GOOD_ANSWERS)
    pools = {name: list(all_mutants(GOOD_ANSWERS[name])) for name in names}
    every = [(name, mutant) for name in names for mutant in pools[name]]
    for name, mutant in every if options.count >= len(every) else draw.sample(every, options.count):
        check(name, mutant)
    single = tried
    while tried < options.count:
        name = draw.choice(names)
        # Two changes: one of the single ones, and broken bytes on top.
        check(name, broken(draw.choice(pools[name]), draw))
    for key, (name, error, body, asked) in failures.items():
        print(f"{key}: {error}\n  from: {name}\n  body: {body!r}\n  asked: {asked!r}")
    print(
        f"{tried} mutants of {len(names)} answers ({single} of the {len(every)} with one change), "
        f"{len(failures)} errors"
    )
    return len(failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
