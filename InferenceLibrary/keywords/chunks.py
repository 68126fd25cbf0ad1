"""Keywords on the single events of a stream: what each of them holds, and how values go from one to the next."""

from __future__ import annotations

import itertools
from typing import Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.client.answers import shorten
from InferenceLibrary.client.streams import Chunk, Stream
from InferenceLibrary.errors import CheckFailure, refuse_empty
from InferenceLibrary.keywords.shared.base import KeywordGroup


class ChunkKeywords(KeywordGroup):
    """Checks of chunk after chunk."""

    @keyword(tags=["stream", "assertion"])
    def every_chunk_should_have(
        self,
        stream: Stream,
        key: str,
        value: Any = None,
        *,
        among: Literal["all", "text"] = "all",
    ) -> None:
        """Check that every chunk of a stream has a key, and the same value there where one is given.

        A closing `[DONE]` is not a chunk of JSON and does not count. A key that holds null counts as missing.

        Args:
            stream: A stream of any API.
            key: The key, or a path to one: `timings`, `choices.0.delta`.
            value: What must stand there: text, a number, or JSON text.
            among: `all` chunks, or those with `text` only.

        Raises:
            CheckFailure: The chunk does not exist; a chunk lacks the key; or it holds another value. The message names
                the first chunk that does.

        Example:
        ```robotframework
        *** Test Cases ***
        All Of One Kind
            Start Server    simulator
            ${stream} =    Stream Chat    Hello
            Every Chunk Should Have    ${stream}    object    chat.completion.chunk
            Every Chunk Should Have    ${stream}    choices.0.delta
        ```
        """
        from InferenceLibrary.keywords.shared.json_values import same, shown_value
        from InferenceLibrary.protocol.json_path import place_in

        refuse_empty("a chunk", key)
        seen = self._chunks(stream, among)
        for number, chunk in seen:
            found = place_in(chunk.json, key)
            if found.missing is not None:
                raise CheckFailure(
                    f"Chunks: expected '{key}' in each of {len(seen)}, got no {found.missing} in event {number}: "
                    f"{_shown(chunk)}."
                )
            if value is not None and not same(found.value, value):
                raise CheckFailure(
                    f"Chunks: expected '{key}' to be {shown_value(value)} in each of {len(seen)}, got "
                    f"{shown_value(found.value)} in event {number}."
                )
        self.log.info(f"'{key}' stands in each of {len(seen)} chunks.")

    @keyword(tags=["stream", "assertion"])
    def values_should_not_fall(self, stream: Stream, key: str, *, rising: bool = False) -> list[Any]:
        """Check that a number never falls from one chunk of a stream to the next, as counts and times must not.

        Chunks without the key are passed over.

        Args:
            stream: A stream of any API.
            key: The key, or a path to one: `usage.completion_tokens`.
            rising: Whether each value must be above the one before, rather than at least that.

        Returns:
            The values, in order.

        Raises:
            CheckFailure: Fewer than two chunks have the key; a value is not a number; or one is below the one before
                it. The message names both events.

        Example:
        ```robotframework
        *** Test Cases ***
        Time Goes On
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?
            Values Should Not Fall    ${stream}    created
        ```
        """
        from InferenceLibrary.keywords.shared.json_values import is_number, shown_value
        from InferenceLibrary.protocol.json_path import place_in

        refuse_empty("a chunk", key)
        found = [(number, place_in(chunk.json, key)) for number, chunk in self._chunks(stream, "all")]
        values = [(number, item.value) for number, item in found if item.missing is None]
        for number, value in values:
            if not is_number(value):
                raise CheckFailure(f"Values of '{key}': expected a number, got {shown_value(value)} in event {number}.")
        if len(values) < 2:
            raise CheckFailure(
                f"Values of '{key}': expected two or more chunks that have it, got {len(values)} of {len(found)}."
            )
        for (before, earlier), (number, value) in itertools.pairwise(values):
            if value < earlier or (rising and value == earlier):
                raise CheckFailure(
                    f"Values of '{key}': expected {'above' if rising else 'at least'} {earlier} in event {number}, as "
                    f"event {before} has it, got {value}."
                )
        self.log.info(f"'{key}' goes from {values[0][1]} to {values[-1][1]} in {len(values)} chunks.")
        return [value for _, value in values]

    @keyword(tags=["stream", "assertion"])
    def stream_should_end_with_error(
        self,
        stream: Stream,
        *,
        error_type: str | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
    ) -> None:
        """Check that a stream ended with an error event after it had begun, and what that says.

        Args:
            stream: A stream that was asked for with `allow_broken=True`.
            error_type: Type of the error.
            error_code: Code of the error, as text, whether the server sends text or a number.
            error_message: Text that the message contains, whatever its case.

        Raises:
            CheckFailure: There is no error event; another event than `[DONE]` comes after it; or the error has another
                type, another code, or another message.

        Example:
        ```robotframework
        *** Test Cases ***
        Out Of Memory
            Start Server    simulator    fault=error-mid-stream
            ${stream} =    Stream Chat    What is the capital of France?    allow_broken=True
            Stream Should End With Error    ${stream}    error_type=server_error
        ```
        """
        refuse_empty("the error", error_code, error_type, error_message)
        error = stream.error
        if error is None:
            raise CheckFailure(f"Error of a stream: expected an error event, got none in {stream}.")
        place = next((number for number, chunk in enumerate(stream.chunks) if chunk.error), len(stream.chunks))
        after = [chunk for chunk in stream.chunks[place + 1 :] if not chunk.is_done]
        if after:
            raise CheckFailure(
                f"Error of a stream: expected nothing after event {place + 1}, got {len(after)} more, the first "
                f"{_shown(after[0])}."
            )
        wanted = {"type": (error_type, error.type), "code": (error_code, error.code)}
        for what, (expected, got) in wanted.items():
            if expected is not None and expected != got:
                raise CheckFailure(f"Error of a stream: expected {what} {expected}, got {got} in '{error}'.")
        if error_message is not None and error_message.lower() not in str(error).lower():
            raise CheckFailure(f"Error of a stream: expected a message that contains '{error_message}', got '{error}'.")
        self.log.info(f"The stream ended with: {error}")

    @staticmethod
    def _chunks(stream: Stream, among: str) -> list[tuple[int, Chunk]]:
        """The chunks that count, each with its number among the events, from 1."""
        numbered = [(number, chunk) for number, chunk in enumerate(stream.chunks, start=1) if not chunk.is_done]
        kept = [item for item in numbered if among == "all" or item[1].has_token]
        if not kept:
            kind = "with text " if among == "text" else ""
            raise CheckFailure(f"Chunks: expected at least one {kind}in the stream, got none in {stream}.")
        return kept


def _shown(chunk: Chunk) -> str:
    return shorten(chunk.redact(chunk.event.data), 200)
