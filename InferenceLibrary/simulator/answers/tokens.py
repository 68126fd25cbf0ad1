"""Tokens of a made-up tokenizer, and texts to answer with.

A token is a word or a sign with the space before it, as in the vocabularies of real models; scripts without spaces have
one token a character. The tokens of a text always join to the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from zlib import crc32

from InferenceLibrary.simulator.core.draws import Draws

_TOKEN = re.compile(r"\s?[^\W\u2e80-\U0010ffff]+|\s?\S|\s+")
_PLAIN_TOKEN = re.compile(r"\s?[a-zA-Z0-9_]+|\s?\S|\s+")
"""The same for texts in ASCII, at four fifths of the time."""

_TEXT = """
The first token takes the longest, because the whole prompt is read before it. Every token after that comes at a
steady pace, until the server is full. Then requests wait in a queue, and the pace slows down. A good test looks at
both: the time to the first token, and the gaps between the others. It was a bright cold day in April, and the clocks
were striking thirteen. Nobody noticed, except the watchdog. Streams end with a marker, and a stream without it was
cut. To be honest is to say how many tokens were used, and to count them only once. A server that answers quickly but
wrongly is of no use to anybody. Alas, the cache was cold, and so were the users. Give a busy server some room, and it
will thank you with throughput. Give it none, and it will answer with 429. Testing one request is easy; testing ten
thousand at once is a different craft. The answer to most questions is that it depends on the batch size. If in doubt,
measure it twice, and report the median. Today is a nice sunny day, and the fans are quiet. Tomorrow the model will be
larger, and the context longer. One byte at a time, the text found its way through the network. It arrived complete,
in order, and with a blank line at its end. What was promised in the header was kept in the body. Half a character is
no character, so wait for the rest of it. The rest is silence, or a keep-alive comment.
"""


def tokenize(text: str) -> list[str]:
    """Return the tokens of `text`."""
    return (_PLAIN_TOKEN if text.isascii() else _TOKEN).findall(text)


def count_tokens(text: str) -> int:
    """Return how many tokens `text` has."""
    return len(tokenize(text))


_IDS = 128_000


_REMEMBERED_BYTES = 32_000_000
_ENTRY_BYTES = 150


class Vocabulary:
    """Ids of tokens: hashes, so that every server gives the same. Only ids that were given before have a text.

    Of very many tokens the oldest are forgotten.
    """

    def __init__(self, limit: int = _REMEMBERED_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._tokens: OrderedDict[int, str] = OrderedDict()

    def ids(self, text: str) -> list[int]:
        """Return the id of each token of `text`, and remember them."""
        return [self.id_of(token) for token in tokenize(text)]

    def text(self, ids: list[int]) -> str:
        """Return the text of token ids.

        Raises:
            KeyError: An id is none that was given before.
        """
        return "".join([self._tokens[number] for number in ids])

    def id_of(self, token: str) -> int:
        """Return the id of one token, and remember it."""
        number = crc32(token.encode(errors="surrogatepass")) % _IDS
        # Where two tokens have one hash, the later one gets an id of its own.
        while (known := self._tokens.get(number, token)) != token:
            number += _IDS
        if number not in self._tokens:
            self._tokens[number] = known
            self._size += len(token) + _ENTRY_BYTES
            while self._size > self._limit and len(self._tokens) > 1:
                self._size -= len(self._tokens.popitem(last=False)[1]) + _ENTRY_BYTES
        return number


CORPUS = tokenize(" " + " ".join(_TEXT.split()))
_SENTENCES = [0, *(place + 1 for place, token in enumerate(CORPUS[:-1]) if token == ".")]


def random_tokens(draws: Draws, count: int) -> list[str]:
    """Return `count` tokens of running text that begins with a sentence."""
    start = _SENTENCES[draws.below(len(_SENTENCES))]
    tokens = CORPUS[start : start + count]
    while len(tokens) < count:
        tokens += CORPUS[: count - len(tokens)]
    if tokens:
        tokens[0] = tokens[0].lstrip()
    return tokens


# Shares of the lengths within a limit, from llm-d-inference-sim v0.10.2: five buckets from the shortest on, then the
# limit itself.
_SHARES = (20, 50, 70, 75, 85, 100)
_LARGEST_BUCKET = 20
_WIDE_BUCKET = 3
"""The bucket that takes what five of the largest size leave of a high limit."""


def random_length(draws: Draws, limit: int | None, longest: int) -> int:
    """Return how many tokens a random answer has: normal (40, 20) without a limit, else by the histogram."""
    if limit is None:
        return max(1, min(longest, round(draws.normal(40, 20))))
    if limit <= len(_SHARES):
        return draws.between(1, limit)
    share = draws.below(100)
    bucket = bisect_right(_SHARES, share)
    if bucket == len(_SHARES) - 1:
        return limit
    edges = [int((limit - 1) / 5 * place) for place in range(6)]
    if edges[-1] > 5 * _LARGEST_BUCKET:
        wider = limit - 5 * _LARGEST_BUCKET
        edges = [_LARGEST_BUCKET * place + (wider if place > _WIDE_BUCKET else 0) for place in range(6)]
    return draws.between(edges[bucket] + 1, min(limit - 1, edges[bucket + 1]))
