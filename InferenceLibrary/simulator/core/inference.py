"""Models that really compute, behind the simulator: what it needs of them, and the one place that imports them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.simulator.core.settings import StartError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings


class InferredToken(Protocol):
    """One token: what it adds to the text, its bytes, its log probability and the likeliest ones."""

    @property
    def text(self) -> str: ...
    @property
    def raw(self) -> bytes: ...
    @property
    def logprob(self) -> float: ...
    @property
    def top(self) -> tuple[tuple[bytes, float], ...]: ...


class Inferred(Protocol):
    """An answer that is being generated in another thread."""

    @property
    def tokens(self) -> Sequence[InferredToken]: ...
    @property
    def finish(self) -> str: ...
    @property
    def stopped_by(self) -> str: ...
    @property
    def rest(self) -> str: ...
    @property
    def error(self) -> InferenceError | None: ...
    @property
    def done(self) -> bool: ...

    def cancel(self) -> None:
        """Free its place at the next step."""


class TextModel(Protocol):
    """A language model that many requests share."""

    where: str
    context: int

    def chat_tokens(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the prompt of a chat."""

    def text_tokens(self, text: str) -> list[int]:
        """Return the prompt of a plain text."""

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; KeyError for one that does not exist."""

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
    ) -> Inferred:
        """Begin an answer; `news` is called from another thread."""

    def stats(self) -> dict[str, int]:
        """Return how many answers are `running` in the batch now, and the `steps` and `rows` computed so far."""

    def close(self) -> None:
        """Release the model."""


class VectorModel(Protocol):
    """An embedding model."""

    dimensions: int

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a unit vector for each text."""

    def close(self) -> None:
        """Release the model."""


def load_text_model(settings: Settings) -> TextModel:
    """Load the model of `--onnx-model`.

    Raises:
        StartError: It cannot be loaded.
    """
    from InferenceLibrary.onnx.language.served import served_text

    try:
        return served_text(settings.onnx_model, places=settings.max_num_seqs, device=settings.onnx_device)
    except InferenceError as error:
        raise StartError(f"--onnx-model: {' '.join(str(error).split())}") from None


def load_vector_model(settings: Settings) -> VectorModel:
    """Load the model of `--embedding-model`.

    Raises:
        StartError: It cannot be loaded.
    """
    from InferenceLibrary.onnx.language.served import served_vectors

    try:
        return served_vectors(settings.embedding_model)
    except InferenceError as error:
        raise StartError(f"--embedding-model: {' '.join(str(error).split())}") from None
