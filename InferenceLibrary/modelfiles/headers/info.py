"""What the header of a model file says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ModelInfo:
    """What a model file says about its model. A field is None where the file does not say.

    Attributes:
        format: `gguf`, `safetensors` or `ggml`.
        version: Version of the format; 0 for a format without one.
        architecture: `llama`, `qwen2` and so on; SafeTensors files tell it in the `config.json` beside them.
        name: The model's own name.
        layers: Transformer blocks.
        heads: Attention heads.
        kv_heads: Attention heads of keys and values.
        embedding_length: Width of the residual stream.
        feed_forward_length: Width within a feed-forward layer.
        context_length: Tokens that the model can look back on.
        vocabulary: Tokens of its vocabulary.
        quantization: How the weights are kept: `Q4_K_M`, `F16`; by the file's own word, else what most bytes are.
        tensors: How many tensors there are.
        parameters: How many numbers they hold.
        size: Bytes of the file.
        types: Bytes of tensors of each type.
        metadata: What else the file says, by the format's own keys; long lists as their length.
    """

    format: str
    version: int = 0
    architecture: str | None = None
    name: str | None = None
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    embedding_length: int | None = None
    feed_forward_length: int | None = None
    context_length: int | None = None
    vocabulary: int | None = None
    quantization: str | None = None
    tensors: int = 0
    parameters: int = 0
    size: int = 0
    types: Counter[str] = field(default_factory=Counter)
    metadata: dict[str, Any] = field(default_factory=dict)

    def count(self, type_name: str, elements: int, size: int) -> None:
        """Add one tensor of so many numbers and bytes."""
        self.tensors += 1
        self.parameters += elements
        self.types[type_name] += size

    def settle(self) -> ModelInfo:
        """Name the quantization by what most bytes are, where the file gave none."""
        if self.quantization is None and self.types:
            self.quantization = self.types.most_common(1)[0][0]
        return self

    def __str__(self) -> str:
        parts = [f"{self.format} version {self.version}" if self.version else self.format]
        parts += [str(part) for part in (self.architecture, self.quantization) if part]
        parts += [
            f"{number:,} {noun}"
            for number, noun in (
                (self.layers, "layers"),
                (self.heads, "heads"),
                (self.vocabulary, "tokens"),
                (self.parameters, "parameters"),
            )
            if number
        ]
        parts.append(f"{self.size / 1e6:.1f} MB" if self.size >= 100_000 else f"{self.size} bytes")
        return ", ".join(parts)
