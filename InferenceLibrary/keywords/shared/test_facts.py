"""What a test and a suite were about, as metadata in log.html and output.xml: reports read it again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from InferenceLibrary.context import Context
from InferenceLibrary.log import Log
from InferenceLibrary.version import __version__

_HEAD = 4_096
"""Bytes of an answer in which its version is looked for."""
_FINGERPRINT = re.compile(rb'"system_fingerprint"\s*:\s*"([\w.+-]*\d[\w.+-]*)"')
_VERSION = re.compile(rb'"version"\s*:\s*"([\w.+-]*\d[\w.+-]*)"')

if TYPE_CHECKING:
    from InferenceLibrary.client.streams import Stream
    from InferenceLibrary.load.generation import Generation
    from InferenceLibrary.load.result import LoadResult
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.servers.server import Server

_KEPT = 1000
"""Values of a load that are noted of a figure at most."""


def note_call(context: Context, server: Server, exchange: Exchange) -> None:
    """Note a call that was answered, well or not."""
    notes = context.notes
    notes.calls += 1
    notes.servers[server.name] = exchange.header("server") or notes.servers.get(server.name, "")
    if (version := _version_in(exchange)) is not None:
        context.server_versions[server.name] = version
    if server.model:
        notes.models[server.model] = None


def note_stream(context: Context, stream: Stream) -> None:
    """Note the times of a stream, as far as it has some."""
    from InferenceLibrary.load.generation import read_generation

    generation = read_generation(stream, 0.0)
    if generation is not None:
        _note_times(context, [generation])


def note_load(context: Context, server: Server, load: LoadResult) -> None:
    """Note the requests of a load."""
    notes = context.notes
    notes.calls += len(load.measured)
    notes.servers.setdefault(server.name, "")
    if server.model:
        notes.models[server.model] = None
    for name, kept in (("ttft", notes.first_tokens), ("rate", notes.rates)):
        if (sample := load.tally.sample(name)) is not None:
            kept.extend(sample.thinned(_KEPT))


def note_generations(context: Context, server: Server, generations: Iterable[Generation]) -> None:
    """Note the generations of a measurement."""
    measured = list(generations)
    context.notes.calls += len(measured)
    context.notes.servers.setdefault(server.name, "")
    if server.model:
        context.notes.models[server.model] = None
    _note_times(context, measured)


def tell_of_test(context: Context, result: Any) -> None:
    """Write what was noted into the metadata of a test. Tests have metadata since Robot Framework 7.5."""
    from InferenceLibrary.report import run_facts

    metadata = getattr(result, "metadata", None)
    if metadata is None:
        return
    notes, log = context.notes, Log(context)
    servers = [f"{name} ({said})" if said else name for name, said in notes.servers.items()]
    facts = {
        run_facts.SERVER: ", ".join(servers),
        run_facts.VERSION: ", ".join(
            version for name in notes.servers if (version := context.server_versions.get(name)) is not None
        ),
        run_facts.MODEL: ", ".join(notes.models),
        run_facts.CALLS: str(notes.calls),
        run_facts.TTFT: run_facts.ttft_text(notes.first_tokens) if notes.first_tokens else "",
        run_facts.RATE: run_facts.rate_text(notes.rates) if notes.rates else "",
        run_facts.RULES: ", ".join(notes.broken),
    }
    metadata.update({name: log.safe(text) for name, text in facts.items() if text})


def tell_of_suite(context: Context, result: Any, worker: str | None) -> None:
    """Write which servers lived in a suite, and who ran it, into its metadata."""
    from InferenceLibrary.report import run_facts

    log = Log(context)
    facts = {
        run_facts.LIBRARY: __version__,
        run_facts.WORKER: worker or "",
        run_facts.LIVES: run_facts.lives_text(
            [run_facts.Life(name, _iso(began), _iso(ended), url, model, context.server_versions.get(name, ""))
             for name, began, ended, url, model in context.server_lives]
        ),
    }  # fmt: skip
    if context.judged_calls:
        outcomes = context.tally.take_outcomes()
        facts |= {
            run_facts.RULES_KEPT: run_facts.words_text(outcomes.kept - outcomes.waived - outcomes.broken),
            run_facts.RULES_WAIVED: run_facts.words_text(outcomes.waived - outcomes.broken),
            run_facts.RULES: run_facts.words_text(outcomes.broken),
        }
    context.server_lives.clear()
    result.metadata.update({name: log.safe(text) for name, text in facts.items() if text})


def _note_times(context: Context, generations: Iterable[Generation]) -> None:
    for generation in generations:
        context.notes.first_tokens.append(generation.time_to_first_token)
        if generation.tokens_per_second is not None:
            context.notes.rates.append(generation.tokens_per_second)


def _version_in(exchange: Exchange) -> str | None:
    """The version of the server, where this answer tells it: llama.cpp names its build as `system_fingerprint`."""
    pattern = _VERSION if exchange.request.path.endswith("/version") else _FINGERPRINT
    found = pattern.search(exchange.body[:_HEAD])
    return found[1].decode("ascii") if found else None


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment).isoformat(timespec="milliseconds")
