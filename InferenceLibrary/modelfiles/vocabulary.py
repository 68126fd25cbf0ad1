"""A SentencePiece vocabulary of words, for models whose tokens a reader recognises.

The tokenizer of the `llama` kind joins neighbouring symbols for as long as the joined text is in the vocabulary, the
best score first. A word is therefore reached through its beginnings, which all become tokens: `F`, `Fr`, `Fra` ...
What no word covers falls back to characters, then to bytes, so that every text can be encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

SPACE = "\u2581"
"""How SentencePiece writes a space."""

UNKNOWN, BOS, END = "<unk>", "<s>", "<|end|>"
ROLES = ("system", "user", "assistant", "tool")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

TOOLS_TEMPLATE = """\
{%- if tools %}<|system|>You may call these functions:
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
A call is a JSON object with name and arguments:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|end|>{% endif %}\
{% for message in messages %}<|{{ message['role'] }}|>{% if message['content'] %}{{ message['content'] }}{% endif %}\
{% if message.tool_calls %}{% for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}{% endif %}<|end|>{% endfor %}\
{% if add_generation_prompt %}<|assistant|>{% endif %}"""
"""Tools as Hermes and Qwen have them; engines find out from it how this model calls."""

THINKING_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{% if message.reasoning_content %}"
    "<think>{{ message.reasoning_content }}</think> {% endif %}{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""A thought before the answer as DeepSeek and Qwen have it; engines find out from it how this model thinks."""

# Common words, so that a prompt has about as many tokens as words. It holds words that begin like a trigger too
# ("country" like "count"): as tokens of their own they do not raise the trigger's topic.
COMMON_WORDS = (
    "a about after all also am an and answer any are as at be because but by can capital capitals city code could "
    "counter countries country county day do does down explain fine first for four from full function get give go good "
    "great has have he help her here him his history hour how I if in into is it its just know language last large "
    "like list little long make many me model more most my name new no not now number of on one only or other our "
    "out over people please prompt question read reply say second see sentence server she short should small so some "
    "story take tell ten test text than that the their them then there they thing think this three time to token two "
    "up us use very was way we well were what when where which who why will with word words work world would write "
    "year yes you your"
)
FIRST_WORDS = (
    "Answer Are Can Do Explain Give How I Is List Name Please Read Reply Tell The What When Where Which Who Why Write"
)


class TokenType(IntEnum):
    """The token types of the GGUF specification."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    UNUSED = 5
    BYTE = 6


@dataclass
class Vocabulary:
    """Tokens with their scores and types; `ids` finds a token by its text."""

    tokens: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def add(self, token: str, score: float, kind: TokenType = TokenType.NORMAL) -> None:
        if token not in self.ids:
            self.ids[token] = len(self.tokens)
            self.tokens.append(token)
            self.scores.append(score)
            self.types.append(int(kind))

    def fill(self, count: int) -> None:
        """Add tokens that no text has, until there are `count`: benchmarks ask for token ids by chance."""
        for number in range(count - len(self.tokens)):
            self.add(f"<|unused_{number}|>", 0.0, TokenType.UNUSED)

    def role(self, name: str) -> int:
        return self.ids[f"<|{name}|>"]


def pieces_of(text: str) -> list[str]:
    """Split an answer into tokens: words with the space before them, none of them twice.

    A word that was used already is joined with what follows it, because the model knows where it is in an answer by
    the token that it said last.
    """
    words = [word.replace(" ", SPACE) for word in re.findall(r"\s*\S+", text)]
    pieces: list[str] = []
    held = ""
    for word in words:
        held += word
        if held not in pieces:
            pieces.append(held)
            held = ""
    if held:
        # The rest repeats an earlier piece: the last pieces are joined until the joined one is new.
        while held in pieces or not held:
            held = pieces.pop() + held
        pieces.append(held)
    return pieces


def words_of(piece: str) -> list[str]:
    """Split a token at its spaces, each word with the space before it."""
    return re.findall(f"{SPACE}*[^{SPACE}]+", piece)


def spellings(word: str) -> list[str]:
    """The tokens under which a trigger word can stand in a question: with a space before it or not, either case."""
    forms = dict.fromkeys([word, word.lower(), word.capitalize(), word.upper()])
    return [prefix + form for form in forms for prefix in (SPACE, "")]


def build_vocabulary(answers: Iterable[str], triggers: Iterable[str]) -> Vocabulary:
    """Return a vocabulary that holds the pieces of all answers and the spellings of all triggers as single tokens."""
    vocabulary = Vocabulary()
    vocabulary.add(UNKNOWN, 0.0, TokenType.UNKNOWN)
    for control in (BOS, END, *(f"<|{role}|>" for role in ROLES)):
        vocabulary.add(control, 0.0, TokenType.CONTROL)
    for byte in range(256):
        vocabulary.add(f"<0x{byte:02X}>", -1e6, TokenType.BYTE)
    words = dict.fromkeys(piece for answer in answers for piece in pieces_of(answer))
    words |= dict.fromkeys(form for trigger in triggers for form in spellings(trigger))
    words |= dict.fromkeys(SPACE + word for word in COMMON_WORDS.split())
    words |= dict.fromkeys(FIRST_WORDS.split())
    for letter in [chr(code) for code in range(33, 127)] + [SPACE]:
        vocabulary.add(letter, -1e5)
    # Words with a space before them are built up first: the beginning of "Rome" must not eat into "▁Roman". Tokens of
    # several words come last and are joined from whole words only: "▁a▁small" must not eat into "▁a▁story".
    joined = [piece for piece in words if len(words_of(piece)) > 1]
    single = dict.fromkeys(word for piece in words for word in words_of(piece))
    for word in sorted(single, key=lambda text: not text.startswith(SPACE)):
        base = 0.0 if word.startswith(SPACE) else -1e4
        for end in range(1, len(word) + 1):
            vocabulary.add(word[:end], base - len(vocabulary.tokens))
    for piece in joined:
        parts = words_of(piece)
        for end in range(2, len(parts) + 1):
            vocabulary.add("".join(parts[:end]), -5e4 - len(vocabulary.tokens))
    return vocabulary
