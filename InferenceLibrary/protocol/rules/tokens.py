"""Rules of the routes that turn text into tokens and back, as vLLM and llama.cpp have them."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.forms import inside, is_count, is_integer, is_text
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import View
from InferenceLibrary.protocol.strict_json import read_json, show

_TEXTS = ("prompt", "content", "text")
"""What the text of `/detokenize` is called: by vLLM, llama.cpp, llama-cpp-python."""


class Tokens(View):
    """The answer of `/tokenize`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value


class TokensText(View):
    """The answer of `/detokenize`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value


@builds(Api.TOKENS, stream=False)
def views(exchange: Exchange, api: Api) -> list[View]:
    """The views of an answer."""
    back = exchange.request.path.rstrip("/").endswith("/detokenize")
    return [TokensText(exchange, api) if back else Tokens(exchange, api)]


@rule(
    "TK1",
    Level.MUST,
    "The answer to tokenize has the list tokens, of token ids, and a count that is theirs where it has one.",
    source="vLLM's documentation, Tokenizer API; llama.cpp's server README, /tokenize; read 2026-11",
    kinds=("tokens", "token", "count"),
    view=Tokens,
    apis=(Api.TOKENS,),
)
def tokens(view: Tokens, known: Known) -> Iterator[Found]:
    given = inside(view.data, "tokens")
    if not isinstance(given, list):
        yield Found("tokens", f"tokens {show(given)}")
        return
    for place, token in enumerate(given):
        # llama.cpp gives objects where the pieces are asked for.
        if not is_count(inside(token, "id") if isinstance(token, dict) else token):
            yield Found("token", f"{show(token)} as token {place}")
            break
    if "count" in view.data and not (is_integer(view.data["count"]) and view.data["count"] == len(given)):
        yield Found("count", f"count {show(view.data['count'])} of {len(given)} tokens")


@rule(
    "TK2",
    Level.MUST,
    "The answer to detokenize has the text.",
    source="vLLM's documentation, Tokenizer API; llama.cpp's server README, /detokenize; read 2026-11",
    kinds=("text",),
    view=TokensText,
    apis=(Api.TOKENS,),
)
def text(view: TokensText, known: Known) -> Iterator[Found]:
    if not any(is_text(inside(view.data, name)) for name in _TEXTS):
        yield Found("text", show(view.data))
