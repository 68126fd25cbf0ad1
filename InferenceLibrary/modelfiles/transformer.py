"""A llama transformer whose weights are computed, not trained: it finds a word of the question and says its answer.

Two layers of the usual architecture (RMSNorm, rotary attention, SwiGLU) are enough.

- Layer 1, attention: each token looks at the nearest role marker before it and learns whether the user wrote it.
  Layer 1, feed-forward: a trigger word is *active* unless somebody else wrote it (system, assistant, tool).
- Layer 2, attention: each position looks at the nearest active trigger word and takes its topic. The marker of a user's
  turn is a weak trigger without a topic, so that a new question without a trigger does not get the last answer.
  Layer 2, feed-forward: one unit for each (topic, token said last) pair names the token that comes next; a weaker unit
  for each topic names the first one, which wins at the begin of an answer.

"Nearest" is rotary position encoding: one pair of dimensions turns by less than a quarter of a circle over the whole
context, so that a score falls evenly with the distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from InferenceLibrary.modelfiles.answers import Knowledge
from InferenceLibrary.modelfiles.vocabulary import (
    END,
    ROLES,
    Vocabulary,
    build_vocabulary,
    pieces_of,
    spellings,
    words_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

HEAD = 64
"""Dimensions of one attention head; a topic needs one of them."""
LAYERS = 2
EPSILON = 1e-6

# Dimensions of the residual stream. CONSTANT is so large that the norm hardly depends on anything else.
CONSTANT, PADDING, MARKER, USER, OTHER, FROM_OTHER, TRIGGER, ACTIVE = range(8)
FIRST_FREE = 8
CONSTANT_SIZE = 64.0
FLAGS_SIZE = 8.0
"""The squares of an embedding's other values add up to this, PADDING filling the gap: all embeddings have one norm."""

SLOPE = 2.0
"""How much the attention score falls from one position to the next."""
FALLING, FLAT, FINE = 2 * (HEAD // 4), HEAD - 2, HEAD - 4
"""The pairs of head dimensions in use: one whose score falls with the distance, and two that do not turn. FINE holds
small differences apart, because llama.cpp keeps keys in half precision, where 5000 and 5001 are the same."""
FLOOR = 30.0
"""The score of an active trigger at the far end of the context, to which all other tokens' zero is compared."""
TURN_MARGIN = 3.0
"""How far a user's marker stays below a trigger word at the same place."""

TOKENS = 2048
"""The fewest tokens of a vocabulary: `mistralrs bench` asks for any id below 2,001."""
START, NEXT = 60.0, 400.0
"""Sizes that the feed-forward layer writes for the first and for a following token of an answer."""
LOGIT = 60.0
# What a grammar leaves over when it forbids the answer: prefer what ends an array, an object, a string.
ENDINGS = {END: 18.0, "}": 16.0, "]": 14.0, '"': 12.0, ",": 10.0, ":": 10.0, "{": 8.0, "1": 6.0}
QUOTE = '"'
QUOTE_SHARE = 0.5
"""At the end of an answer a quotation mark is the second choice: within a JSON string the end token is forbidden."""


@dataclass(frozen=True)
class Transformer:
    """The weights (GGUF names; shape (outputs, inputs)) with everything that a file says about them."""

    vocabulary: Vocabulary
    tensors: dict[str, Matrix]
    embedding_length: int
    feed_forward_length: int
    head_count: int
    block_count: int
    context_length: int
    rope_freq_base: float
    rms_epsilon: float = EPSILON


def answering_transformer(knowledge: Knowledge, context_length: int) -> Transformer:
    """Compute the weights of a model that says what `knowledge` holds."""
    return _Construction(knowledge, context_length).result()


def rope_base(context_length: int) -> float:
    """The base at which the FALLING pair turns by a quarter of a circle over the context."""
    return math.pow(math.pi / 2 / context_length, -HEAD / FALLING)


class _Construction:
    def __init__(self, knowledge: Knowledge, context_length: int) -> None:
        self.context_length = context_length
        self.default = pieces_of(knowledge.default)
        self.topics = {trigger: pieces_of(answer) for trigger, answer in knowledge.answers.items()}
        self.vocabulary = build_vocabulary([knowledge.default, *knowledge.answers.values()], self.topics)
        self.vocabulary.fill(TOKENS)
        # Residual dimensions: one for each topic, one for each token that can be said last, one for each said next.
        said = dict.fromkeys(piece for pieces in [self.default, *self.topics.values()] for piece in pieces)
        free = iter(range(FIRST_FREE, 1 << 30))
        self.topic = {trigger: next(free) for trigger in self.topics}
        self.last = {piece: next(free) for piece in said}
        self.next = {piece: next(free) for piece in [*said, END]}
        self.width = -(-next(free) // HEAD) * HEAD
        self.units = 0

    def result(self) -> Transformer:
        tensors = {"token_embd.weight": self.embeddings(), "output_norm.weight": self.ones()}
        tensors |= self.layer(0, self.look_for_marker(), self.activate_triggers())
        tensors |= self.layer(1, self.look_for_trigger(), self.say_next())
        tensors["output.weight"] = self.output()
        return Transformer(
            vocabulary=self.vocabulary,
            tensors=tensors,
            embedding_length=self.width,
            feed_forward_length=self.feed_forward_length,
            head_count=self.width // HEAD,
            block_count=LAYERS,
            context_length=self.context_length,
            rope_freq_base=rope_base(self.context_length),
        )

    @property
    def feed_forward_length(self) -> int:
        pairs = sum(len(pieces) + 1 for pieces in [self.default, *self.topics.values()])
        return -(-max(pairs, 2) // 32) * 32

    @property
    def unit(self) -> float:
        """What a 1 in the residual stream is after RMSNorm."""
        return math.sqrt(self.width / (CONSTANT_SIZE**2 + FLAGS_SIZE))

    def zeros(self, rows: int, columns: int) -> Matrix:
        import numpy as np

        return np.zeros((rows, columns), np.float32)

    def ones(self) -> Matrix:
        import numpy as np

        return np.ones(self.width, np.float32)

    def embeddings(self) -> Matrix:
        import numpy as np

        table = self.zeros(len(self.vocabulary.tokens), self.width)
        for role in ROLES:
            marker = self.vocabulary.role(role)
            table[marker, MARKER] = table[marker, USER if role == "user" else OTHER] = 1
        for piece, dimension in self.last.items():
            table[self.vocabulary.ids[piece], dimension] = 1
        for trigger, dimension in self.topic.items():
            forms = set(spellings(trigger))
            # An answer's token such as "Hello!" can be in a question as well.
            others = [piece for piece in self.last if any(word.rstrip(".,:;!?") in forms for word in words_of(piece))]
            for form in [*sorted(forms), *others]:
                row = table[self.vocabulary.ids[form]]
                if row[TRIGGER] == 0:
                    row[TRIGGER] = row[dimension] = 1
        table[:, CONSTANT] = CONSTANT_SIZE
        table[:, PADDING] = np.sqrt(FLAGS_SIZE - (table[:, 1:] ** 2).sum(axis=1))
        return table

    def layer(self, index: int, attention: dict[str, Matrix], feed_forward: dict[str, Matrix]) -> dict[str, Matrix]:
        named = {"attn_norm": self.ones(), **attention, "ffn_norm": self.ones(), **feed_forward}
        return {f"blk.{index}.{name}.weight": matrix for name, matrix in named.items()}

    def attention(self, sought: dict[int, float], copied: dict[int, int]) -> dict[str, Matrix]:
        """One head that finds the nearest token with a `sought` dimension and copies what stands there.

        Its score, query x key / sqrt(HEAD), is SLOPE lower with each position, and lower by what `sought` says.
        `copied` maps a dimension to where it goes.
        """
        fall = SLOPE * self.context_length / (math.pi / 2)
        query, key = self.zeros(self.width, self.width), self.zeros(self.width, self.width)
        value, output = self.zeros(self.width, self.width), self.zeros(self.width, self.width)
        share = math.sqrt(fall * math.sqrt(HEAD))
        # Query (0, 1) and key (1, 0) in a turning pair score minus the sine of the angle between them.
        for dimension, asked in [(FALLING + 1, share), (FLAT, share), (FINE, math.sqrt(HEAD))]:
            query[dimension, CONSTANT] = asked / self.unit / CONSTANT_SIZE
        for dimension, handicap in sought.items():
            key[FALLING, dimension] = share / self.unit
            key[FLAT, dimension] = (fall + FLOOR) / fall * share / self.unit
            key[FINE, dimension] = -handicap / self.unit
        for row, (source, target) in enumerate(copied.items()):
            value[row, source] = 1 / self.unit
            output[target, row] = 1
        return {"attn_q": query, "attn_k": key, "attn_v": value, "attn_output": output}

    def look_for_marker(self) -> dict[str, Matrix]:
        return self.attention({MARKER: 0.0}, {OTHER: FROM_OTHER})

    def look_for_trigger(self) -> dict[str, Matrix]:
        return self.attention({ACTIVE: 0.0, USER: TURN_MARGIN}, {topic: topic for topic in self.topic.values()})

    def feed_forward(self) -> dict[str, Matrix]:
        size = self.feed_forward_length
        return {
            "ffn_gate": self.zeros(size, self.width),
            "ffn_up": self.zeros(size, self.width),
            "ffn_down": self.zeros(self.width, size),
        }

    def gate(
        self, weights: dict[str, Matrix], row: int, terms: dict[int, float], threshold: float, gain: float
    ) -> None:
        """Open unit `row` by `gain` for each 1 by which the sum of `terms` exceeds the threshold; its input is 1."""
        for dimension, factor in terms.items():
            weights["ffn_gate"][row, dimension] += factor * gain / self.unit
        weights["ffn_gate"][row, CONSTANT] = -threshold * gain / self.unit / CONSTANT_SIZE
        weights["ffn_up"][row, CONSTANT] = 1 / self.unit / CONSTANT_SIZE

    def activate_triggers(self) -> dict[str, Matrix]:
        """ACTIVE = 1 for a trigger that nobody but the user wrote: a step, made of two ramps with an offset."""
        weights = self.feed_forward()
        gain, offset = 100.0, 0.2
        for row, (threshold, sign) in enumerate([(0.3, 1.0), (0.3 + offset, -1.0)]):
            self.gate(weights, row, {TRIGGER: 1.0, FROM_OTHER: -2.0}, threshold, gain)
            weights["ffn_down"][ACTIVE, row] = sign / (gain * offset)
        return weights

    def say_next(self) -> dict[str, Matrix]:
        weights = self.feed_forward()
        gain, row = 60.0, 0
        no_topic = dict.fromkeys(self.topic.values(), -1.0)
        for pieces, terms, base in [
            (self.default, no_topic, 0.0),
            *((pieces, {self.topic[trigger]: 1.0}, 1.0) for trigger, pieces in self.topics.items()),
        ]:
            self.gate(weights, row, terms, base - 0.5, gain)
            weights["ffn_down"][self.next[pieces[0]], row] = START / (gain * 0.5)
            row += 1
            for last, following in zip(pieces, [*pieces[1:], END], strict=True):
                self.gate(weights, row, {**terms, self.last[last]: 1.0}, base + 0.5, gain)
                weights["ffn_down"][self.next[following], row] = NEXT / (gain * 0.5)
                row += 1
        return weights

    def output(self) -> Matrix:
        # After the last norm a first token's dimension is START / |(START, CONSTANT)| of the whole.
        started = START / math.hypot(START, CONSTANT_SIZE) * math.sqrt(self.width)
        table = self.zeros(len(self.vocabulary.tokens), self.width)
        for piece, dimension in self.next.items():
            table[self.vocabulary.ids[piece], dimension] = LOGIT / started
        table[self.vocabulary.ids[QUOTE], self.next[END]] = QUOTE_SHARE * LOGIT / started
        for piece, logit in ENDINGS.items():
            table[self.vocabulary.ids[piece], CONSTANT] = logit / started
        return table
