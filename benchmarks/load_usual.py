"""The clients that people would write a load with: streams by httpx and by openai, with their CPU time an event.

    python benchmarks/load_usual.py httpx|openai URL STREAMS EACH TOKENS

Prints the events that were read and the CPU seconds that it took, without imports and the first stream.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable

Chat = Callable[[], AsyncIterator[object]]


def by_httpx(url: str, tokens: int, streams: int) -> Chat:
    """Streams whose lines are read one by one and whose events are decoded."""
    import json

    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=streams), timeout=60)
    body = _body(tokens) | {"stream": True, "stream_options": {"include_usage": True}}

    async def chat() -> AsyncIterator[object]:
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line[6:])

    return chat


def by_openai(url: str, tokens: int, streams: int) -> Chat:
    """Streams of the openai package."""
    import httpx
    import openai

    http = httpx.AsyncClient(limits=httpx.Limits(max_connections=streams), timeout=60)
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", http_client=http)
    body = _body(tokens)

    async def chat() -> AsyncIterator[object]:
        answer = await client.chat.completions.create(
            model="fake-model",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=tokens,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={name: body[name] for name in ("ignore_eos", "min_tokens")},
        )
        async for event in answer:
            yield event

    return chat


def _body(tokens: int) -> dict[str, object]:
    return {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": tokens,
        "min_tokens": tokens,
        "ignore_eos": True,
    }


async def _run(chat: Chat, streams: int, each: int) -> tuple[int, float]:
    events = 0

    async def user(count: int) -> None:
        nonlocal events
        for _ in range(count):
            async for _ in chat():
                events += 1

    await user(1)
    events, before = 0, time.process_time()
    await asyncio.gather(*(user(each) for _ in range(streams)))
    return events, time.process_time() - before


def measure() -> None:
    kind, url, (streams, each, tokens) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
    chat = {"httpx": by_httpx, "openai": by_openai}[kind](url, tokens, streams)
    print(*asyncio.run(_run(chat, streams, each)))


if __name__ == "__main__":
    measure()
