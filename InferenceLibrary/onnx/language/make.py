"""Language models made on the spot: computed ones that know answers, and one of random weights; no download."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal, get_args

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.answers import Knowledge, capitals
from InferenceLibrary.modelfiles.transformer import HEAD, Transformer, answering_transformer
from InferenceLibrary.modelfiles.vocabulary import BOS, END, TokenType, Vocabulary, build_vocabulary
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.language.decoder import Sizes, shapes, write_decoder
from InferenceLibrary.onnx.language.embedding import create_embedding_model
from InferenceLibrary.onnx.language.tokenizer import Tokenizer

LanguageKind = Literal["trained", "computed", "random", "embedding"]
KINDS = get_args(LanguageKind)

TRAINED = Path(__file__).parent / "capitals.onnx"
"""The model that `scripts/train_capitals.py` made."""

_OF_LAYER = {
    "attn_norm": "attention_norm",
    "attn_q": "query",
    "attn_k": "key",
    "attn_v": "value",
    "attn_output": "attention_output",
    "ffn_norm": "feed_forward_norm",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}


def create_language_model(
    kind: str, path: Path, *, knowledge: Knowledge | None = None, seed: int = 0, context_length: int = 4096
) -> Path:
    """Write a decoder-only language model with its tokenizer as one .onnx file.

    Args:
        kind: `trained` knows a few capitals and was trained: its probabilities are those of a language model.
            `computed` has weights that are computed: it says what `knowledge` holds, whatever the temperature.
            `random` says tokens by chance. `embedding` turns texts into vectors instead.
        path: The file.
        knowledge: For `computed`; a few capitals by default.
        seed: For `random` and `embedding`.
        context_length: Most tokens of prompt and answer, for `computed` and `random`.

    Raises:
        ModelError: The kind is unknown, or the file cannot be written.
        MissingExtraError: The package onnx is not installed.
    """
    if kind not in KINDS:
        raise ModelError(describe(f"Unknown kind of language model '{kind}'", expected=f"one of: {', '.join(KINDS)}"))
    if kind == "trained":
        with replaced(path, "Language model") as part:
            shutil.copyfile(TRAINED, part)
        return path
    if kind == "embedding":
        return create_embedding_model(path, seed=seed)
    if kind == "computed":
        return _write_computed(path, answering_transformer(knowledge or capitals(), context_length))
    return _write_random(path, seed, context_length)


def tokenizer_of(vocabulary: Vocabulary) -> Tokenizer:
    """Return the tokenizer of a vocabulary of the tiny models."""
    controls = [
        number for number, kind in enumerate(vocabulary.types) if kind in {TokenType.CONTROL, TokenType.UNKNOWN}
    ]
    return Tokenizer.of(vocabulary.tokens, controls, vocabulary.ids[BOS], vocabulary.ids[END])


def _write_computed(path: Path, model: Transformer) -> Path:
    sizes = Sizes(
        vocabulary=len(model.vocabulary.tokens),
        width=model.embedding_length,
        layers=model.block_count,
        heads=model.head_count,
        key_heads=model.head_count,
        head=HEAD,
        inner=model.feed_forward_length,
        context=model.context_length,
        rope_base=model.rope_freq_base,
        epsilon=model.rms_epsilon,
    )
    weights: dict[str, Any] = {
        "embedding": model.tensors["token_embd.weight"],
        "norm": model.tensors["output_norm.weight"],
        "output": model.tensors["output.weight"],
    }
    for layer in range(model.block_count):
        for part, name in _OF_LAYER.items():
            weights[f"{layer}.{name}"] = model.tensors[f"blk.{layer}.{part}.weight"]
        for name in ("query", "key"):
            weights[f"{layer}.{name}"] = _halves(weights[f"{layer}.{name}"])
    return write_decoder(path, sizes, weights, tokenizer_of(model.vocabulary))


def _halves(matrix: Any) -> Any:
    """Neighbouring dimensions turn together in GGUF files; here those of the two halves of a head do."""
    np = packages.numpy("Making a language model")
    order = np.concatenate([np.arange(0, HEAD, 2), np.arange(1, HEAD, 2)])
    return matrix.reshape(-1, HEAD, matrix.shape[1])[:, order].reshape(matrix.shape)


def _write_random(path: Path, seed: int, context_length: int) -> Path:
    np = packages.numpy("Making a language model")
    vocabulary = build_vocabulary([], [])
    sizes = Sizes(len(vocabulary.tokens), 64, 2, 4, 2, 16, 128, context_length)
    draw = np.random.default_rng(seed)
    weights = {
        name: np.ones(shape, "float32")
        if len(shape) == 1
        else draw.standard_normal(shape).astype("float32") * shape[1] ** -0.5
        for name, shape in shapes(sizes).items()
    }
    return write_decoder(path, sizes, weights, tokenizer_of(vocabulary))
