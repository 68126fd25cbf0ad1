"""The graph of a decoder-only language model: RMSNorm, rotary grouped attention with a cache, SwiGLU.

Names and shapes are those that Optimum and onnxruntime-genai use: `input_ids`, `attention_mask`, `position_ids`,
`past_key_values.N.key` in; `logits`, `present.N.key` out. Opset 17, float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.graphs import BOOL, FLOAT, INT64, constant, floats
from InferenceLibrary.onnx.language.tokenizer import METADATA, Tokenizer

CONFIG = "inferencelibrary.decoder"
"""The entry of the model's metadata that holds its sizes, as JSON."""

_OPSET, _IR_VERSION = 17, 8
_HIDDEN = -1e9
"""Added in place of a score that must not count."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a decoder."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_heads: int
    head: int
    inner: int
    context: int
    rope_base: float = 10000.0
    epsilon: float = 1e-6

    def check(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ModelError: A size is not positive, heads do not divide, or the head is odd.
        """
        for name, value in asdict(self).items():
            if not value > 0:
                raise ModelError(describe(f"{name} of a decoder cannot be used", expected="above 0", got=str(value)))
        if self.heads % self.key_heads or self.head % 2:
            raise ModelError(
                describe(
                    "The heads of a decoder do not fit",
                    expected="heads divisible by key_heads, and an even head",
                    got=f"{self.heads}, {self.key_heads} and {self.head}",
                )
            )


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by name; matrices are (outputs, inputs), the embedding (tokens, width)."""
    own = sizes.heads * sizes.head
    shared = sizes.key_heads * sizes.head
    found: dict[str, tuple[int, ...]] = {"embedding": (sizes.vocabulary, sizes.width)}
    for layer in range(sizes.layers):
        found |= {
            f"{layer}.attention_norm": (sizes.width,),
            f"{layer}.query": (own, sizes.width),
            f"{layer}.key": (shared, sizes.width),
            f"{layer}.value": (shared, sizes.width),
            f"{layer}.attention_output": (sizes.width, own),
            f"{layer}.feed_forward_norm": (sizes.width,),
            f"{layer}.gate": (sizes.inner, sizes.width),
            f"{layer}.up": (sizes.inner, sizes.width),
            f"{layer}.down": (sizes.width, sizes.inner),
        }
    return found | {"norm": (sizes.width,), "output": (sizes.vocabulary, sizes.width)}


def write_decoder(
    path: Path, sizes: Sizes, weights: Mapping[str, Any], tokenizer: Tokenizer, *, half: bool = False
) -> Path:
    """Write a decoder with its tokenizer as one .onnx file.

    Args:
        path: The file.
        sizes: Its sizes.
        weights: By the names of `shapes`; rotary pairs are the halves of a head (i, i + head / 2).
        tokenizer: Its vocabulary.
        half: Whether weights are stored in float16, which halves the file; all sums are still float32.

    Raises:
        ModelError: A size or shape does not fit.
        MissingExtraError: The package onnx is not installed.
    """
    onnx = packages.onnx("Making a language model")
    np = packages.numpy("Making a language model")
    sizes.check()
    for name, shape in shapes(sizes).items():
        if name not in weights or tuple(weights[name].shape) != shape:
            got = "none" if name not in weights else str(tuple(weights[name].shape))
            raise ModelError(describe(f"Weight '{name}' does not fit", expected=str(shape), got=got))
    if len(tokenizer) != sizes.vocabulary:
        raise ModelError(
            describe("The vocabulary does not fit", expected=f"{sizes.vocabulary} tokens", got=str(len(tokenizer)))
        )
    graph = _Graph(onnx, np, sizes, weights, half).build()
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        producer_name="robotframework-inferencelibrary",
    )
    model.ir_version = _IR_VERSION
    onnx.helper.set_model_props(model, {METADATA: tokenizer.to_json(), CONFIG: json.dumps(asdict(sizes))})
    onnx.checker.check_model(model, full_check=True)
    with replaced(path, "Language model") as part:
        part.write_bytes(model.SerializeToString())
    return path


class _Graph:
    def __init__(self, onnx: Any, np: Any, sizes: Sizes, weights: Mapping[str, Any], half: bool) -> None:
        self.helper = onnx.helper
        self.np = np
        self.sizes = sizes
        self.weights = weights
        self.half = half
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.count = 0

    def build(self) -> Any:
        sizes, helper = self.sizes, self.helper
        self._tables()
        state = self("Gather", self.weight("embedding"), "input_ids")
        hidden = self._mask()
        for layer in range(sizes.layers):
            state = self._layer(layer, state, hidden)
        state = self._norm(state, "norm")
        self("MatMul", state, self.matrix("output"), name="logits")
        cache: list[int | str] = ["batch", sizes.key_heads, "past", sizes.head]
        grown: list[int | str] = ["batch", sizes.key_heads, "total", sizes.head]
        parts = [(layer, part) for layer in range(sizes.layers) for part in ("key", "value")]
        return helper.make_graph(
            self.nodes,
            "decoder",
            [
                helper.make_tensor_value_info("input_ids", INT64, ["batch", "sequence"]),
                helper.make_tensor_value_info("attention_mask", INT64, ["batch", "total"]),
                helper.make_tensor_value_info("position_ids", INT64, ["batch", "sequence"]),
                *(floats(helper, f"past_key_values.{layer}.{part}", cache) for layer, part in parts),
            ],
            [
                floats(helper, "logits", ["batch", "sequence", sizes.vocabulary]),
                *(floats(helper, f"present.{layer}.{part}", grown) for layer, part in parts),
            ],
            self.constants,
        )

    def __call__(self, operator: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any) -> Any:
        self.count += 1
        names = (
            [name or f"{operator.lower()}_{self.count}"]
            if outputs == 1
            else [f"{operator.lower()}_{self.count}_{index}" for index in range(outputs)]
        )
        self.nodes.append(
            self.helper.make_node(operator, list(inputs), names, name=f"{operator}_{self.count}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def value(self, values: Any, dtype: str = "float32") -> str:
        """A constant that is written out."""
        self.count += 1
        name = f"constant_{self.count}"
        self.constants.append(constant(name, self.np.asarray(values, dtype)))
        return name

    def weight(self, name: str, transposed: bool = False) -> str:
        values = self.np.asarray(self.weights[name], "float32")
        values = self.np.ascontiguousarray(values.T if transposed else values)
        if not self.half:
            self.constants.append(constant(name, values))
            return name
        self.constants.append(constant(name, values.astype("float16")))
        return str(self("Cast", name, to=FLOAT))

    def matrix(self, name: str) -> str:
        return self.weight(name, transposed=True)

    def _tables(self) -> None:
        """Sine and cosine of each position, both halves of a head alike: [batch, 1, sequence, head]."""
        sizes, np = self.sizes, self.np
        turns = sizes.rope_base ** (-np.arange(0, sizes.head, 2, dtype=np.float64) / sizes.head)
        places = self("Cast", self("Unsqueeze", "position_ids", self.value([1, 3], "int64")), to=FLOAT)
        angles = self("Mul", places, self.value(np.concatenate([turns, turns])))
        self("Cos", angles, name="cosine")
        self("Sin", angles, name="sine")

    def _mask(self) -> str:
        """Zero where a token may look, else a number that ends every hope: [batch, 1, sequence, total]."""
        one, zero = self.value([1], "int64"), self.value([0], "int64")
        total = self("Gather", self("Shape", "attention_mask"), self.value(1, "int64"))
        sequence = self("Gather", self("Shape", "input_ids"), self.value(1, "int64"))
        first = self("Sub", total, sequence)
        step = self.value(1, "int64")
        keys = self("Unsqueeze", self("Range", self.value(0, "int64"), total, step), zero)
        queries = self("Unsqueeze", self("Range", first, total, step), one)
        causal = self("LessOrEqual", keys, queries)
        present = self("Cast", self("Unsqueeze", "attention_mask", self.value([1, 2], "int64")), to=BOOL)
        seen = self("And", present, causal)
        return str(self("Where", seen, self.value(0.0), self.value(_HIDDEN)))

    def _norm(self, state: str, name: str) -> str:
        square = self("ReduceMean", self("Mul", state, state), axes=[-1], keepdims=1)
        size = self("Sqrt", self("Add", square, self.value(self.sizes.epsilon)))
        return str(self("Mul", self("Div", state, size), self.weight(name)))

    def _heads(self, state: str, name: str, heads: int) -> str:
        """[batch, sequence, width] to [batch, heads, sequence, head]."""
        wide = self("MatMul", state, self.matrix(name))
        apart = self("Reshape", wide, self.value([0, 0, heads, self.sizes.head], "int64"))
        return str(self("Transpose", apart, perm=[0, 2, 1, 3]))

    def _turned(self, heads: str) -> str:
        left, right = self("Split", heads, outputs=2, axis=-1)
        swapped = self("Concat", self("Neg", right), left, axis=-1)
        return str(self("Add", self("Mul", heads, "cosine"), self("Mul", swapped, "sine")))

    def _shared(self, heads: str) -> str:
        """One key head for each group of query heads."""
        sizes = self.sizes
        times = sizes.heads // sizes.key_heads
        if times == 1:
            return heads
        apart = self("Unsqueeze", heads, self.value([2], "int64"))
        spread = self("Expand", apart, self.value([1, 1, times, 1, 1], "int64"))
        return str(self("Reshape", spread, self.value([0, sizes.heads, -1, sizes.head], "int64")))

    def _layer(self, layer: int, state: str, hidden: str) -> str:
        sizes = self.sizes
        normed = self._norm(state, f"{layer}.attention_norm")
        query = self._turned(self._heads(normed, f"{layer}.query", sizes.heads))
        key = self._turned(self._heads(normed, f"{layer}.key", sizes.key_heads))
        value = self._heads(normed, f"{layer}.value", sizes.key_heads)
        keys = self("Concat", f"past_key_values.{layer}.key", key, name=f"present.{layer}.key", axis=2)
        values = self("Concat", f"past_key_values.{layer}.value", value, name=f"present.{layer}.value", axis=2)
        across = self("Transpose", self._shared(keys), perm=[0, 1, 3, 2])
        scores = self("Mul", self("MatMul", query, across), self.value(sizes.head**-0.5))
        looked = self("MatMul", self("Softmax", self("Add", scores, hidden), axis=-1), self._shared(values))
        joined = self("Transpose", looked, perm=[0, 2, 1, 3])
        flat = self("Reshape", joined, self.value([0, 0, sizes.heads * sizes.head], "int64"))
        state = self("Add", state, self("MatMul", flat, self.matrix(f"{layer}.attention_output")))
        normed = self._norm(state, f"{layer}.feed_forward_norm")
        gate = self("MatMul", normed, self.matrix(f"{layer}.gate"))
        opened = self("Mul", gate, self("Sigmoid", gate))
        up = self("MatMul", normed, self.matrix(f"{layer}.up"))
        down = self("MatMul", self("Mul", opened, up), self.matrix(f"{layer}.down"))
        return str(self("Add", state, down))


def cache_names(layers: int) -> Sequence[tuple[str, str]]:
    """Return the names of the cache, (in, out), layer by layer."""
    return [
        (f"past_key_values.{layer}.{part}", f"present.{layer}.{part}")
        for layer in range(layers)
        for part in ("key", "value")
    ]
