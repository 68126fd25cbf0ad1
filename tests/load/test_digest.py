"""What becomes of the bytes of an answer: on answers that are written here, with the times of their reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load.connections import Raw
from InferenceLibrary.load.digest import Digest
from InferenceLibrary.load.framing import read_head
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
TOOL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def recorded(*deltas: dict[str, Any]) -> Record:
    """The record of a stream whose chunks come a tenth of a second apart, the head at zero."""
    parts: list[Any] = [HEAD, 100.0]
    for number, delta in enumerate(deltas, start=1):
        chunk = {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        }  # fmt: skip
        parts += [f"data: {json.dumps(chunk)}\n\n".encode(), 100.0 + number / 10]
    parts[-2] += b"data: [DONE]\n\n"
    raw = Raw(
        number=0, kind=0, prompt="", scheduled=100.0, sent=100.0, connected=None, ended=parts[-1], parts=parts,
        head=read_head(HEAD[:-2]), head_end=len(HEAD), error=None, detail="", warmup=False, cancelled=False,
        resent=False, said=b"", turn=1,
    )  # fmt: skip
    return Digest(LoadPlan("http://x", Users(1), requests=1, judged=0), 100.0).record(raw)


def test_each_channel_has_its_first_output() -> None:
    made = recorded(
        {"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"content": "Yes"}, {"tool_calls": [TOOL]}
    )
    assert made.error is None
    result = LoadResult(LoadPlan("http://x", Users(1), requests=1), 0.0, [made], [], {}, None)
    figures = {name: result.get(f"{name}_p50") for name in ("ttft", "ttft_reasoning", "ttft_text", "ttft_tool_call")}
    assert figures == pytest.approx({"ttft": 0.2, "ttft_reasoning": 0.2, "ttft_text": 0.3, "ttft_tool_call": 0.4})
    assert result.goodput(ttft_text=0.31) > 0
    assert result.goodput(ttft_text=0.29) == 0


def test_a_channel_that_never_spoke_has_no_figure() -> None:
    made = recorded({"content": "Yes"}, {"content": " sir"})
    assert (made.first_text, made.first_reasoning) == (pytest.approx(0.1), None)
    result = LoadResult(LoadPlan("http://x", Users(1), requests=1), 0.0, [made], [], {}, None)
    with pytest.raises(MonitorError, match="has no time to first reasoning"):
        result.get("ttft_reasoning_p50")
