"""Whole model files: one that says a given sentence, one that answers questions, and one of random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.modelfiles import answers as knowledge_of
from InferenceLibrary.modelfiles.gguf_file import Header, Tensor, require_packages, write_gguf
from InferenceLibrary.modelfiles.transformer import EPSILON, Transformer, answering_transformer
from InferenceLibrary.modelfiles.vocabulary import build_vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TINY_KINDS = ("scripted", "capitals", "tools", "thinking", "answers", "random")
_KNOWING = {"capitals": knowledge_of.capitals, "tools": knowledge_of.tools, "thinking": knowledge_of.thinking}
"""Kinds that answer questions, each with what it knows."""
BLOCK = 32
"""Engines like layers whose sizes are multiples of this."""
CONTEXT_LIMITS = (128, 16384)
SMALLEST_FILLED = 2_000_000
LARGEST = 16_000_000_000


@dataclass(frozen=True)
class ModelFile:
    """A model file that was made: where it is, what it is, and how large (bytes). A broken one has no parameters."""

    path: Path
    kind: str
    name: str
    size: int
    parameters: int
    context_length: int
    format: str = "gguf"

    def __str__(self) -> str:
        size = f"{self.size / 1e6:.1f} MB" if self.size >= 100_000 else f"{self.size} bytes"
        parameters = f", {self.parameters:,} parameters" if self.parameters else ""
        return f"{self.path} ({self.kind}, {size}{parameters})"


def create_tiny_model(
    path: str | Path,
    kind: str = "scripted",
    *,
    sentence: str = knowledge_of.DEFAULT_SENTENCE,
    answers: Mapping[str, str] | None = None,
    size: int | None = None,
    seed: int = 0,
    context_length: int = 4096,
    name: str | None = None,
) -> ModelFile:
    """Write a GGUF file of the llama architecture that llama.cpp and its relatives load.

    Every text can be encoded (words, characters, bytes), and the file brings a chat template with the roles system,
    user, assistant and tool. All kinds but `random` give the same answer at any usual temperature and then end.

    Args:
        path: The file to write; an older one is replaced, its directory is made.
        kind: `scripted` says `sentence` to everyone. `capitals` answers "What is the capital of France?" with
            "The capital of France is Paris.", knows sixteen more, greets, counts to ten and tells a long story.
            `tools` does so too, and calls `get_weather` and `get_time` where a question has the words weather or time;
            `thinking` thinks before it answers; engines find out how from their chat templates.
            `answers` looks for one of the words of `answers` in the last question. `random` emits tokens by chance.
        sentence: What `scripted` says, and what `answers` says when no word fits. 1 to 2000 characters.
        answers: For kind `answers`: up to 60 single words, upper and lower case alike, each with its answer.
        size: How large the file shall be, in bytes, within a tenth: 2 MB to 16 GB. Kind `random` has 2 MB when it is
            not given, the others what they need. They are filled up with weights of zero, which change no answer and
            cost their time: with 400 MB a processor core says some tens of tokens a second.
        seed: For kind `random`: the same seed gives the same file.
        context_length: The most tokens that the model can look back on: 128 to 16384.
        name: The model's name in the file; `tiny-<kind>` when not given.

    Raises:
        ModelError: A value does not fit, or the file cannot be written.
        MissingExtraError: numpy or the `gguf` package is not installed.
    """
    if kind not in TINY_KINDS:
        raise ModelError(
            describe("Tiny model cannot be made", expected=f"kind to be one of {', '.join(TINY_KINDS)}", got=repr(kind))
        )
    if (answers is not None) != (kind == "answers"):
        raise ModelError(
            describe(
                "Tiny model cannot be made",
                expected="`answers` with kind 'answers' and with no other kind",
                got=f"kind {kind!r} {'with' if answers is not None else 'without'} answers",
            )
        )
    low, high = CONTEXT_LIMITS
    if not low <= context_length <= high:
        raise ModelError(
            describe(
                "Tiny model cannot be made", expected=f"a context length of {low} to {high}", got=str(context_length)
            )
        )
    if size is not None and not SMALLEST_FILLED <= size <= LARGEST:
        raise ModelError(
            describe(
                "Tiny model cannot be made",
                expected=f"a size of {SMALLEST_FILLED} to {LARGEST} bytes",
                got=f"{size} bytes",
            )
        )
    require_packages()
    target, name = Path(path), name or f"tiny-{kind}"
    if kind == "random":
        return _write_random(target, name, size or SMALLEST_FILLED, seed, context_length)
    if kind == "scripted":
        knowledge = knowledge_of.scripted(sentence)
    elif kind in _KNOWING:
        knowledge = _KNOWING[kind]()
    else:
        knowledge = knowledge_of.custom(answers or {}, sentence)
    model = answering_transformer(knowledge, context_length)
    return _write_answering(target, kind, name, model, size or 0, knowledge.template)


def _write_answering(path: Path, kind: str, name: str, model: Transformer, size: int, template: str) -> ModelFile:
    import numpy as np

    missing = size - 4 * sum(matrix.size for matrix in model.tensors.values())
    ballast = max(0, missing // (4 * 3 * model.embedding_length * model.block_count * BLOCK)) * BLOCK

    def padded(tensor_name: str, matrix: NDArray[np.float32]) -> Tensor:
        """Add closed units to a feed-forward layer."""
        extra = {"ffn_gate": (ballast, 0), "ffn_up": (ballast, 0), "ffn_down": (0, ballast)}
        rows, columns = next((more for part, more in extra.items() if part in tensor_name), (0, 0))
        if rows == columns:
            return Tensor(tensor_name, matrix.shape, 4, lambda: matrix)
        shape = (matrix.shape[0] + rows, matrix.shape[1] + columns)
        return Tensor(tensor_name, shape, 4, lambda: np.pad(matrix, ((0, rows), (0, columns))))

    header = Header(
        name=name,
        description="A test model with computed weights",
        context_length=model.context_length,
        embedding_length=model.embedding_length,
        feed_forward_length=model.feed_forward_length + ballast,
        head_count=model.head_count,
        block_count=model.block_count,
        rope_freq_base=model.rope_freq_base,
        rms_epsilon=model.rms_epsilon,
        file_type=0,
        chat_template=template,
    )
    tensors = [padded(tensor_name, matrix) for tensor_name, matrix in model.tensors.items()]
    write_gguf(path, header, model.vocabulary, tensors)
    return _described(path, kind, name, tensors, model.context_length)


def _write_random(path: Path, name: str, size: int, seed: int, context_length: int) -> ModelFile:
    """Write weights by chance as half precision numbers; a block of them is repeated: quicker, and it loads alike."""
    import numpy as np

    if seed < 0:
        raise ModelError(describe("Tiny model cannot be made", expected="a seed of 0 or more", got=str(seed)))
    vocabulary = build_vocabulary([], [])
    tokens = len(vocabulary.tokens)
    # The shape of usual models: as wide as about 100 times the number of layers, four times that within a layer.
    width, layers = 64, 2
    while _random_bytes(tokens, width + 64, max(2, (width + 64) // 96)) <= size:
        width += 64
        layers = max(2, width // 96)
    layers = max(layers, round((size - _random_bytes(tokens, width, 0)) / (2 * 16 * width * width)))
    inner = 4 * width
    numbers = np.random.default_rng(seed)
    block = numbers.standard_normal(1 << 20, np.float32).astype(np.float16)

    def by_chance(shape: tuple[int, int], scale: float) -> NDArray[np.float16]:
        count = shape[0] * shape[1]
        begin = int(numbers.integers(len(block)))
        values = np.resize(np.roll(block, begin), count) * np.float16(scale)
        return values.astype(np.float16, copy=False).reshape(shape)

    def ones() -> NDArray[np.float32]:
        return np.ones(width, np.float32)

    def matrix(tensor_name: str, rows: int, columns: int) -> Tensor:
        return Tensor(tensor_name, (rows, columns), 2, partial(by_chance, (rows, columns), columns**-0.5))

    tensors = [matrix("token_embd.weight", tokens, width), Tensor("output_norm.weight", (width,), 4, ones)]
    for layer in range(layers):
        tensors += [Tensor(f"blk.{layer}.{norm}.weight", (width,), 4, ones) for norm in ("attn_norm", "ffn_norm")]
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors.append(matrix(f"blk.{layer}.{part}.weight", width, width))
        for part, rows, columns in (("ffn_gate", inner, width), ("ffn_up", inner, width), ("ffn_down", width, inner)):
            tensors.append(matrix(f"blk.{layer}.{part}.weight", rows, columns))
    tensors.append(matrix("output.weight", tokens, width))
    header = Header(
        name=name,
        description="A test model with random weights",
        context_length=context_length,
        embedding_length=width,
        feed_forward_length=inner,
        head_count=width // 64,
        block_count=layers,
        rope_freq_base=10000.0,
        rms_epsilon=EPSILON,
        file_type=1,
    )
    write_gguf(path, header, vocabulary, tensors)
    return _described(path, "random", name, tensors, context_length)


def _random_bytes(tokens: int, width: int, layers: int) -> int:
    return 2 * (2 * tokens * width + layers * 16 * width * width)


def _described(path: Path, kind: str, name: str, tensors: list[Tensor], context_length: int) -> ModelFile:
    import math

    return ModelFile(
        path=path,
        kind=kind,
        name=name,
        size=path.stat().st_size,
        parameters=sum(math.prod(tensor.shape) for tensor in tensors),
        context_length=context_length,
    )
