"""Plain calls of a simulator, judged by the rulebook."""

from __future__ import annotations

import sys
from pathlib import Path

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Judgement, Known

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from plain_calls import CALLS, MODEL, SERVERS, PlainCall, bytes_of
from recorded_calls import LIMIT, record

__all__ = ["BY_NAME", "CALLS", "KNOWN", "SERVERS", "exchange_of", "play"]

BY_NAME = {call.name: call for call in CALLS}
KNOWN = {
    "openai": Known(models=("fake-model",), chance=""),
    "keyed": Known(models=("fake-model",), key=True, chance=""),
    "slow": Known(models=("fake-model",), chance=""),
    "worker": Known(),
    "service": Known(),
}


def play(port: int, call: PlainCall, fault: str = "") -> tuple[Exchange, Judgement]:
    """Make one call, with a fault if one is given; return its record and what the rules say."""
    exchange = exchange_of(port, call, fault)
    return exchange, judge(exchange, KNOWN[call.server])


def exchange_of(port: int, call: PlainCall, fault: str = "", *, limit: float = LIMIT) -> Exchange:
    """Make one call, with a fault if one is given; return its record."""
    asked = {"x-inference-fault": fault} if fault else {}
    headers = {"content-type": call.content_type, **dict(call.headers), **asked}
    return record(port, call.method, call.path, bytes_of(call, MODEL), headers, limit)
