"""How fast an event stream is decoded and judged: our decoder and JSON, against httpx-sse and json, in one run.

    python benchmarks/sse.py [--events 200000] [--large 1000000]

The events are those of a chat, 215 bytes each. They are read in large pieces, and one event a read. Then the openai
client reads the same bytes, as its user gets them. At last a recording of a million events is judged by the whole book:
what that takes is told in times of decoding it, and the memory at its height in sizes of its bytes. So are recordings
with log probabilities, or with the usage so far, in each chunk, a tenth as long.

Every figure is the best of some rounds of CPU time, every bar a ratio within the run: exit code 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

import httpx
from bars import Bars

from InferenceLibrary.protocol.exchange import Exchange, Request, decode_json
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.sse import SSEDecoder

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
HEAD = b'data: {"id":"chatcmpl-0a1b2c3d4e5f60718293a4b5c6d7e8f9","object":"chat.completion.chunk","created":1700000000,'
HEAD += b'"model":"m","choices":[{"index":0,"delta":{'
TAIL = b'},"logprobs":null,"finish_reason":null}]}\n\n'
ROUNDS = 5
LARGE_READ = 1 << 16


def events_of_a_chat(count: int) -> list[bytes]:
    """The events of a stream of so many tokens."""
    first = HEAD + b'"role":"assistant","content":""' + TAIL
    tokens = [HEAD + b'"content":" token%d"' % (number % 9973) + TAIL for number in range(count)]
    return [first, *tokens, HEAD + TAIL.replace(b"null}]", b'"stop"}]'), b"data: [DONE]\n\n"]


def events_with_logprobs(count: int) -> list[bytes]:
    """The events of a stream of so many tokens, each with its log probability and two alternatives."""

    def token(text: str, number: float, more: str = "") -> str:
        return f'{{"token":"{text}","logprob":{number},"bytes":{list(text.encode())}{more}}}'

    def event(number: int) -> bytes:
        text = f" token{number % 9973}"
        top = f',"top_logprobs":[{token(text, -0.25)},{token(" other", -3.5)}]'
        logprobs = f'"logprobs":{{"content":[{token(text, -0.25, top)}],"refusal":null}}'
        return HEAD + f'"content":"{text}"'.encode() + TAIL.replace(b'"logprobs":null', logprobs.encode())

    first, last, done = events_of_a_chat(0)
    return [first, *map(event, range(count)), last, done]


def events_with_usage(count: int) -> list[bytes]:
    """The events of a stream of so many tokens, each with the usage so far."""

    def told(event: bytes, number: int) -> bytes:
        usage = f',"usage":{{"prompt_tokens":9,"completion_tokens":{number},"total_tokens":{number + 9}}}}}\n\n'
        return event[: -len(b"}\n\n")] + usage.encode()

    first, *tokens, last, done = events_of_a_chat(count)
    whole = told(last.replace(last[last.index(b"[") : last.index(b"]") + 1], b"[]"), count)
    return [told(first, 0), *map(told, tokens, range(1, count + 1)), told(last, count), whole, done]


def ours(reads: list[bytes]) -> int:
    """Decode events and their JSON as the client of this library does."""
    decoder = SSEDecoder()
    found = 0
    for read in reads:
        for event in decoder.feed(read):
            found += decode_json(event.data) is not None
    decoder.close()
    return found


def httpx_sse(reads: list[bytes]) -> int:
    """Decode events by httpx-sse, and their JSON by json."""
    from httpx_sse import EventSource

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(reads)

    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    found = 0
    for event in EventSource(response).iter_sse():
        if event.data != "[DONE]":
            found += json.loads(event.data) is not None
    return found


def openai_client(reads: list[bytes]) -> int:
    """Read the chunks as a user of the openai client gets them."""
    from openai import OpenAI

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(reads)

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        chat = OpenAI(base_url="http://test/v1", api_key="-", http_client=client).chat.completions
        stream = chat.create(model="m", messages=[{"role": "user", "content": "Hello"}], stream=True)
        return sum(1 for _ in stream)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU time that it takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def best(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The least CPU time of each, taken in turns so that all meet the machine in the same state."""
    found = [[cpu(work) for work in works] for _ in range(rounds)]
    return [min(column) for column in zip(*found, strict=True)]


def compare(bars: Bars, count: int) -> None:
    """Decode the same events with three libraries."""
    events = events_of_a_chat(count)
    body = b"".join(events)
    large = [body[start : start + LARGE_READ] for start in range(0, len(body), LARGE_READ)]
    few = b"".join(events[: count // 20] + events[-2:])
    few_reads = [few[start : start + LARGE_READ] for start in range(0, len(few), LARGE_READ)]
    assert ours(large) == httpx_sse(large) == count + 2
    tokens = ours(few_reads)
    assert openai_client(few_reads) == tokens
    for name, reads, bar in (("large reads", large, 3.3), ("one event a read", events, 2.5)):
        mine, theirs = best(lambda reads=reads: ours(reads), lambda reads=reads: httpx_sse(reads))
        print(f"{name}: {mine / count * 1e6:.2f} us an event; httpx-sse and json {theirs / count * 1e6:.2f} us")
        bars.at_least(f"{name}, times as fast as httpx-sse and json", theirs / mine, bar)
    mine, theirs = best(lambda: ours(few_reads), lambda: openai_client(few_reads), rounds=3)
    print(f"openai client: {theirs / tokens * 1e6:.1f} us an event, ours {mine / tokens * 1e6:.2f} us")
    bars.at_least("times as fast as the openai client", theirs / mine, 50)


def long_recording(bars: Bars, what: str, events: list[bytes], **asked: object) -> None:
    """Judge a long recording by the whole book."""
    body = b"".join(events)
    request = Request("POST", "http://test/v1/chat/completions", body=json.dumps({**ASKED, **asked}).encode())

    def judging() -> tuple[str, ...]:
        # An exchange keeps its views: each judgement needs one that was not judged before.
        return judge(Exchange(request, 200, (("content-type", "text/event-stream"),), body)).broken

    reads = [body[start : start + LARGE_READ] for start in range(0, len(body), LARGE_READ)]
    broken = judging()
    assert broken == (), f"a good stream breaks {broken}"
    decoded, judged = best(lambda: ours(reads), judging, rounds=2)
    size = f"{len(events)} events, {len(body) / 1e6:.0f} MB"
    print(f"a recording with {what}, {size}: decoded {decoded:.2f} s, judged {judged:.2f} s")
    bars.at_most(f"judging {what}, in times of decoding", judged / decoded, 3.0)
    tracemalloc.start()
    judging()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    bars.at_most(f"memory to judge {what}, in sizes of the bytes", peak / len(body), 1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    options = parser.parse_args()
    bars = Bars()
    compare(bars, options.events)
    long_recording(bars, "text alone", events_of_a_chat(options.large))
    long_recording(bars, "log probabilities", events_with_logprobs(options.large // 10), logprobs=True, top_logprobs=2)
    told = {"include_usage": True, "continuous_usage_stats": True}
    long_recording(bars, "usage in each chunk", events_with_usage(options.large // 10), stream_options=told)
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
