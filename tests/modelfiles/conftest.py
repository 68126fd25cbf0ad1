"""A second opinion on the model files: a tokenizer and a llama forward pass in numpy that read nothing but the file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

SPACE = "\u2581"


class ReferenceLlama:
    """Greedy decoding by the book, with the whole prompt computed anew for each token."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {tensor.name: np.array(tensor.data, dtype=np.float32) for tensor in reader.tensors}
        self.tokens: list[str] = self.fields["tokenizer.ggml.tokens"]
        self.scores: list[float] = self.fields["tokenizer.ggml.scores"]
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self.end: int = self.fields["tokenizer.ggml.eos_token_id"]

    def meta(self, name: str) -> Any:
        return self.fields[f"llama.{name}"]

    def encode(self, text: str) -> list[int]:
        """Join the neighbours with the best score until none can be joined; then bytes for what is not a token."""
        symbols = list(text.replace(" ", SPACE))
        while True:
            pairs = [
                (self.scores[self.ids[left + right]], -place)
                for place, (left, right) in enumerate(pairwise(symbols))
                if left + right in self.ids
            ]
            if not pairs:
                break
            place = -max(pairs)[1]
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        ids: list[int] = []
        for symbol in symbols:
            known = self.ids.get(symbol)
            ids += [known] if known is not None else [self.ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
        return ids

    def chat(self, *turns: tuple[str, str]) -> list[int]:
        ids = [self.fields["tokenizer.ggml.bos_token_id"]]
        for role, content in turns:
            ids += [self.ids[f"<|{role}|>"], *self.encode(content), self.end]
        return [*ids, self.ids["<|assistant|>"]]

    def norm(self, values: Any, name: str) -> Any:
        epsilon = self.meta("attention.layer_norm_rms_epsilon")
        return values / np.sqrt((values**2).mean(axis=-1, keepdims=True) + epsilon) * self.tensors[f"{name}.weight"]

    def logits(self, ids: list[int]) -> Any:
        heads, width = self.meta("attention.head_count"), self.meta("embedding_length")
        size, count = width // heads, len(ids)
        angles = np.outer(np.arange(count), self.meta("rope.freq_base") ** (-np.arange(0, size, 2) / size))
        turn = np.exp(1j * angles)[:, None, :]
        hidden = self.tensors["token_embd.weight"][ids]
        for layer in range(self.meta("block_count")):
            weight = {
                name: self.tensors[f"blk.{layer}.{name}.weight"]
                for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
            }
            normed = self.norm(hidden, f"blk.{layer}.attn_norm")
            query, key, value = (
                (normed @ weight[name].T).reshape(count, heads, size) for name in ("attn_q", "attn_k", "attn_v")
            )
            # Neighbouring dimensions are a pair; half precision keys are what llama.cpp keeps in its cache.
            query, key = ((half[..., 0::2] + 1j * half[..., 1::2]) * turn for half in (query, key))
            key = key.real.astype(np.float16) + 1j * key.imag.astype(np.float16)
            scores = np.einsum("qhd,khd->hqk", query, key.conj()).real / np.sqrt(size)
            scores[:, np.triu_indices(count, 1)[0], np.triu_indices(count, 1)[1]] = -np.inf
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed = np.einsum("hqk,khd->qhd", scores, value).reshape(count, width)
            hidden = hidden + mixed @ weight["attn_output"].T
            normed = self.norm(hidden, f"blk.{layer}.ffn_norm")
            gate = normed @ weight["ffn_gate"].T
            opened = gate / (1 + np.exp(-np.clip(gate, -80, 80)))
            hidden = hidden + (opened * (normed @ weight["ffn_up"].T)) @ weight["ffn_down"].T
        return self.norm(hidden[-1], "output_norm") @ self.tensors["output.weight"].T

    def generate(self, ids: list[int], limit: int = 60) -> list[str]:
        """Return the tokens of the answer; the last one is the end token unless the limit came first."""
        said: list[str] = []
        while len(said) < limit and said[-1:] != [self.tokens[self.end]]:
            best = int(np.argmax(self.logits(ids)))
            ids = [*ids, best]
            said.append(self.tokens[best])
        return said

    def answer(self, *turns: tuple[str, str]) -> str:
        """Return the answer to a chat as text; fail when it does not end by itself."""
        said = self.generate(self.chat(*turns))
        assert said[-1] == self.tokens[self.end], f"the answer does not end: {said}"
        return "".join(said[:-1]).replace(SPACE, " ")


@pytest.fixture(scope="session")
def read_model() -> Callable[[Path], ReferenceLlama]:
    return ReferenceLlama
