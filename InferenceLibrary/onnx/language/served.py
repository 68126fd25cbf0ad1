"""What a server needs of the models in ONNX behind it, in plain numbers and texts.

The simulator knows these classes by protocols of its own, and imports this module only when a model is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.onnx.language.embedding import EmbeddingModel, create_embedding_model, embedding_model
from InferenceLibrary.onnx.language.make import TRAINED
from InferenceLibrary.onnx.language.sampling import Sampling
from InferenceLibrary.onnx.language.serving import BatchedAnswer, Engine, serve_model
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions

SHIPPED = "trained"
"""In place of a path: the language model that is shipped."""
MADE = "topics"
"""In place of a path: an embedding model that is made when the server starts."""


class ServedText:
    """A language model that many requests share."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._tokenizer = engine.model.tokenizer
        self.where = where
        self.context = engine.model.sizes.context

    def chat_tokens(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the prompt of a chat.

        Raises:
            ModelError: A role is unknown to the model.
        """
        return self._tokenizer.chat(messages)

    def text_tokens(self, text: str) -> list[int]:
        """Return the prompt of a plain text."""
        return self._tokenizer.prompt(text)

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens.

        Raises:
            KeyError: A token does not exist.
        """
        for token in tokens:
            if not 0 <= token < len(self._tokenizer):
                raise KeyError(token)
        return self._tokenizer.decode(tokens)

    def start(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        seed: int | None,
        stops: Sequence[str],
        top_logprobs: int | None,
        ignore_eos: bool,
        news: Callable[[], None],
    ) -> BatchedAnswer:
        """Begin an answer; `news` is called from another thread after each token and at the end.

        Raises:
            ModelError: It does not fit into the context, or a number is out of range.
        """
        sampling = Sampling(temperature, top_p, top_k, seed)
        answer = BatchedAnswer(prompt, sampling, max_tokens, stops, top_logprobs, ignore_eos, news)
        self._engine.submit(answer)
        return answer

    def stats(self) -> dict[str, int]:
        """Return how many answers are in the batch now, and the steps and rows computed so far."""
        return {"running": self._engine.running, "steps": self._engine.steps, "rows": self._engine.rows_computed}

    def close(self) -> None:
        """Release the model."""
        self._engine.close()


class ServedVectors:
    """An embedding model."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self.dimensions = model.dimensions

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._model.encode(text))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a unit vector for each text."""
        return self._model.embed(texts)

    def close(self) -> None:
        """Release the model."""
        self._model.model.close()


def served_text(path: str, *, places: int, device: str) -> ServedText:
    """Load a language model for a server.

    Args:
        path: The .onnx file, or `trained` for the one that is shipped.
        places: Most answers at once.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: The file is not a language model, or CUDA was asked for and did not start.
        MissingExtraError: onnxruntime or numpy is not installed.
    """
    return ServedText(*serve_model(str(TRAINED) if path == SHIPPED else path, places=places, device=device))


def served_vectors(path: str) -> ServedVectors:
    """Load an embedding model for a server, on the CPU.

    Args:
        path: The .onnx file, or `topics` for one that is made now.

    Raises:
        ModelError: The file is not an embedding model.
        MissingExtraError: onnxruntime, numpy, or for `topics` onnx is not installed.
    """
    if path != MADE:
        return ServedVectors(embedding_model(load_model(path)))
    with tempfile.TemporaryDirectory(prefix="embedding-model-") as folder:
        made = create_embedding_model(Path(folder) / "topics.onnx")
        return ServedVectors(embedding_model(load_model(made, LoadOptions(threads=1))))
