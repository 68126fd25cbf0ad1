"""Keywords that call a server several times at once, to see that it serves all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.records import Reply, milliseconds
from InferenceLibrary.errors import CheckFailure, InferenceError
from InferenceLibrary.keywords.calling import CallGroup
from InferenceLibrary.types import Texts, to_texts


class ConcurrencyKeywords(CallGroup):
    """Load of the functional kind."""

    @keyword(tags=["chat"])
    def chat_at_once(
        self,
        prompts: Texts,
        *,
        count: int = 1,
        max_tokens: int | None = None,
        timeout: timedelta | None = None,
        allow_failures: bool = False,
        server: Any = None,
    ) -> list[Reply | InferenceError]:
        """Ask several chats at the same time, each on a connection of its own.

        Args:
            prompts: One text or several, one chat each.
            count: How often each prompt is asked.
            max_tokens: Longest answer in tokens.
            timeout: Time limit for each call.
            allow_failures: Whether to return the errors of failed calls instead of failing.
            server: Alias, handle or object; None for the current one.

        Returns:
            The replies in the order of the prompts; with `allow_failures` an error in the place of a failed one.

        Raises:
            CheckFailure: A call failed, or there was nothing to ask.

        Example:
        ```robotframework
        *** Test Cases ***
        Ten At Once
            Start Server    simulator    mode=echo    scenario=
            ${replies} =    Chat At Once    Hello there    count=10
            Length Should Be    ${replies}    10
        ```
        """
        from InferenceLibrary.client.at_once import at_once

        call_of = self._call({"server": server, "timeout": timeout})
        found = call_of.server
        asked = [prompt for prompt in to_texts(prompts) for _ in range(count)]
        if not asked:
            raise CheckFailure("There is nothing to ask: expected at least one prompt and a count of at least 1.")

        def call(prompt: str) -> Reply:
            message = [{"role": "user", "content": prompt}]
            reply: Reply = found.client.chat(message, max_tokens=max_tokens, **call_of.sending)
            return reply

        results = at_once([lambda prompt=prompt: call(prompt) for prompt in asked])  # type: ignore[misc]
        failures = [result for result in results if isinstance(result, InferenceError)]
        slowest = max((result.elapsed for result in results if isinstance(result, Reply)), default=None)
        self.log.info(
            f"{len(results)} chats at once on {found.name}: {len(results) - len(failures)} answered, "
            f"{len(failures)} failed, slowest after {milliseconds(slowest)}."
        )
        for prompt, result in zip(asked, results, strict=True):
            self.log.debug(f"{prompt!r} -> {result}")
        if failures and not allow_failures:
            raise CheckFailure(f"{len(failures)} of {len(results)} chats at once failed; the first: {failures[0]}")
        return results
