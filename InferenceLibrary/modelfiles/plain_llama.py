"""A llama model of random weights without any package: for formats that need no more than numbers in order."""

from __future__ import annotations

import random
import sys
from array import array
from dataclasses import dataclass

WIDTH, INNER, LAYERS, HEADS = 64, 192, 2, 2
MULTIPLE = 32
"""GGML files name no inner width but this: the inner width is 8/3 of the width, rounded up to a multiple of it."""


@dataclass(frozen=True)
class PlainTensor:
    """One tensor of 32-bit floats, under its two names; shape (rows, columns) with the columns next to each other."""

    meta_name: str
    hugging_face_name: str
    shape: tuple[int, ...]
    values: array[float]

    def bytes(self) -> bytes:
        """Return the values, little-endian."""
        values = self.values
        if sys.byteorder == "big":
            values = array("f", values)
            values.byteswap()
        return values.tobytes()


@dataclass(frozen=True)
class PlainLlama:
    """The weights and the vocabulary: marks as text, bytes as numbers."""

    tensors: tuple[PlainTensor, ...]
    vocabulary: tuple[str | int, ...]
    embedding_length: int = WIDTH
    feed_forward_length: int = INNER
    layers: int = LAYERS
    heads: int = HEADS

    @property
    def parameters(self) -> int:
        return sum(len(tensor.values) for tensor in self.tensors)


def plain_llama(seed: int) -> PlainLlama:
    """Return a model; the same seed gives the same one."""
    vocabulary: tuple[str | int, ...] = ("<unk>", "<s>", "</s>", *range(256))
    source = random.Random(seed)
    tensors: list[PlainTensor] = []

    def matrix(meta: str, hugging_face: str, rows: int, columns: int) -> None:
        scale = (3 / columns) ** 0.5
        values = array("f", (scale * (2 * source.random() - 1) for _ in range(rows * columns)))
        tensors.append(PlainTensor(f"{meta}.weight", f"{hugging_face}.weight", (rows, columns), values))

    def norm(meta: str, hugging_face: str) -> None:
        ones = array("f", [1.0]) * WIDTH
        tensors.append(PlainTensor(f"{meta}.weight", f"{hugging_face}.weight", (WIDTH,), ones))

    matrix("tok_embeddings", "model.embed_tokens", len(vocabulary), WIDTH)
    norm("norm", "model.norm")
    matrix("output", "lm_head", len(vocabulary), WIDTH)
    for layer in range(LAYERS):
        meta, theirs = f"layers.{layer}", f"model.layers.{layer}"
        for short, long in (("wq", "q_proj"), ("wk", "k_proj"), ("wv", "v_proj"), ("wo", "o_proj")):
            matrix(f"{meta}.attention.{short}", f"{theirs}.self_attn.{long}", WIDTH, WIDTH)
        norm(f"{meta}.attention_norm", f"{theirs}.input_layernorm")
        matrix(f"{meta}.feed_forward.w1", f"{theirs}.mlp.gate_proj", INNER, WIDTH)
        matrix(f"{meta}.feed_forward.w2", f"{theirs}.mlp.down_proj", WIDTH, INNER)
        matrix(f"{meta}.feed_forward.w3", f"{theirs}.mlp.up_proj", INNER, WIDTH)
        norm(f"{meta}.ffn_norm", f"{theirs}.post_attention_layernorm")
    return PlainLlama(tuple(tensors), vocabulary)
