"""A language model that is loaded: its tokenizer, its sizes, and one step of it for a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.language.decoder import CONFIG, Sizes, cache_names
from InferenceLibrary.onnx.language.tokenizer import METADATA, Tokenizer
from InferenceLibrary.onnx.model import OnnxModel
from InferenceLibrary.onnx.native_errors import native_errors

Cache = Mapping[str, Any]
"""Keys and values by input name: float32[batch, key_heads, past, head]."""


@dataclass
class LanguageModel:
    """A decoder in an onnxruntime session.

    Args:
        model: The loaded model.
        tokenizer: From its metadata.
        sizes: From its metadata.
    """

    model: OnnxModel
    tokenizer: Tokenizer
    sizes: Sizes

    def __post_init__(self) -> None:
        self._names = cache_names(self.sizes.layers)
        self._outputs = ["logits", *(out for _, out in self._names)]
        self._np = packages.numpy("Generating")

    @property
    def name(self) -> str:
        return self.model.name

    def empty_cache(self, batch: int = 1) -> dict[str, Any]:
        """Return the cache of a batch that has seen nothing."""
        shape = (batch, self.sizes.key_heads, 0, self.sizes.head)
        return {name: self._np.zeros(shape, "float32") for name, _ in self._names}

    def step(self, tokens: Any, mask: Any, positions: Any, cache: Cache, options: Any = None) -> tuple[Any, Cache]:
        """Run the model once.

        Args:
            tokens: int64[batch, sequence], the new tokens.
            mask: int64[batch, total], 1 for each token of past and present that counts.
            positions: int64[batch, sequence].
            cache: Of the past.
            options: Run options of onnxruntime.

        Returns:
            Logits, float32[batch, sequence, vocabulary], and the cache with the new tokens.

        Raises:
            ModelError: The model failed.
        """
        feed = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions, **cache}
        try:
            logits, *grown = self.model.session.run(self._outputs, feed, options)
        except native_errors() as error:
            raise self.model.failure(error) from None
        return logits, dict(zip([name for name, _ in self._names], grown, strict=True))

    def check_room(self, prompt: int, limit: int) -> None:
        """Refuse what does not fit into the context.

        Raises:
            ModelError: The prompt is empty, or prompt and answer together are longer.
        """
        if prompt < 1:
            raise ModelError("The prompt is empty: expected at least one token.")
        if limit < 1:
            raise ModelError(describe("max_tokens cannot be used", expected="a whole number above 0", got=str(limit)))
        if prompt + limit > self.sizes.context:
            raise ModelError(
                describe(
                    f"Prompt and answer do not fit into the context of '{self.name}'",
                    expected=f"at most {self.sizes.context} tokens",
                    got=f"{prompt} of the prompt and up to {limit} of the answer",
                )
            )


def language_model(model: OnnxModel) -> LanguageModel:
    """Return a loaded model as a language model.

    Raises:
        ModelError: It does not hold a tokenizer and the sizes of a decoder, or lacks an input.
    """
    custom = model.metadata.get("custom", {})
    if METADATA not in custom or CONFIG not in custom:
        raise ModelError(
            describe(
                f"ONNX model '{model.name}' is not a language model of this library",
                expected=f"metadata '{METADATA}' and '{CONFIG}'",
                got=", ".join(custom) or "none",
                hint="Create Onnx Language Model makes one",
            )
        )
    try:
        sizes = Sizes(**json.loads(custom[CONFIG]))
    except (ValueError, TypeError) as error:
        raise ModelError(describe(f"The sizes in '{model.name}' cannot be read", got=str(error))) from None
    needed = {"input_ids", "attention_mask", "position_ids", *(name for name, _ in cache_names(sizes.layers))}
    missing = needed - {port.name for port in model.inputs}
    if missing:
        raise ModelError(
            describe(
                f"ONNX model '{model.name}' is not a whole decoder", expected=f"input '{min(missing)}'", got="none"
            )
        )
    return LanguageModel(model, Tokenizer.from_json(custom[METADATA]), sizes)
