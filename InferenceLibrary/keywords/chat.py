"""Keywords that call a server and judge its replies."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.client.records import Reply, Stream, milliseconds
from InferenceLibrary.errors import CheckFailure, InferenceError
from InferenceLibrary.keywords.arguments import plain_mapping
from InferenceLibrary.keywords.assertions import check_number, check_text
from InferenceLibrary.keywords.base import KeywordGroup
from InferenceLibrary.types import JsonObject, Messages, Texts, seconds, to_messages, to_texts


class ChatKeywords(KeywordGroup):
    """Calls that are answered in one piece, and checks of the answers."""

    @keyword(tags=["chat"])
    def chat(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Texts | None = None,
        extra: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        headers: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        timeout: timedelta | None = None,
        expected_status: int = 200,
        server: Any = None,
    ) -> Reply:
        """Ask for a chat answer (`POST /v1/chat/completions`).

        In text that holds an equals sign right behind the name of an argument, escape it: `stop\\=now`.

        Args:
            messages: Text for one user message, or a JSON array of messages with `role` and `content`.
            system: A system message put before them.
            model: Model to ask for; the server's by default.
            max_tokens: Longest answer in tokens.
            temperature: Sampling temperature.
            top_p: Nucleus sampling.
            seed: Seed of the sampling.
            stop: One text or several at which generation stops.
            extra: Further keys of the request, as a JSON object; they win over the arguments.
            headers: Further headers, as a JSON object.
            timeout: Time limit for the whole call, its retries included.
            expected_status: HTTP status that the server must answer with.
            server: Alias, handle or object; None for the current one.

        Returns:
            The reply: `${reply.text}`, `${reply.finish_reason}`, `${reply.usage.total_tokens}`, `${reply.elapsed}` in
            seconds, `${reply.status}`, `${reply.error.message}`, `${reply.json}`, `${reply.attempts}`.

        Raises:
            RequestError: No answer in time, another status than expected, or an answer that is not JSON.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=20
            Reply Should Contain    ${reply}    Paris
        ```
        """
        found = self.context.servers.get(server)
        messages = with_system(messages, system)
        reply: Reply = found.client.chat(
            messages,
            expected_status=expected_status,
            **generation_options(model, max_tokens, temperature, top_p, seed, stop, extra),
            **self._sending(found, headers, timeout),
        )
        self._logged("chat", found, messages, reply)
        return reply

    @keyword(tags=["chat"])
    def complete(
        self,
        prompt: str,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Texts | None = None,
        extra: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        headers: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        timeout: timedelta | None = None,
        expected_status: int = 200,
        server: Any = None,
    ) -> Reply:
        """Ask for a text completion (`POST /v1/completions`).

        Args:
            prompt: The text to continue.
            model: As for [Chat], like all that follow.
            max_tokens: Longest answer in tokens.
            temperature: Sampling temperature.
            top_p: Nucleus sampling.
            seed: Seed of the sampling.
            stop: One text or several at which generation stops.
            extra: Further keys of the request, as a JSON object.
            headers: Further headers, as a JSON object.
            timeout: Time limit for the whole call, its retries included.
            expected_status: HTTP status that the server must answer with.
            server: Alias, handle or object; None for the current one.

        Returns:
            The reply, as from [Chat].

        Raises:
            RequestError: No answer in time, another status than expected, or an answer that is not JSON.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Tokens
            Start Server    simulator
            ${reply} =    Complete    What is the capital of France?    max_tokens=5
            Finish Reason Should Be    ${reply}    length
        ```
        """
        found = self.context.servers.get(server)
        reply: Reply = found.client.complete(
            prompt,
            expected_status=expected_status,
            **generation_options(model, max_tokens, temperature, top_p, seed, stop, extra),
            **self._sending(found, headers, timeout),
        )
        self._logged("completion", found, prompt, reply)
        return reply

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

        found = self.context.servers.get(server)
        asked = [prompt for prompt in to_texts(prompts) for _ in range(count)]
        if not asked:
            raise CheckFailure("There is nothing to ask: expected at least one prompt and a count of at least 1.")
        sending = self._sending(found, JsonObject(), timeout)

        def call(prompt: str) -> Reply:
            message = [{"role": "user", "content": prompt}]
            reply: Reply = found.client.chat(message, max_tokens=max_tokens, **sending)
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

    @keyword(tags=["chat"])
    def list_models(self, server: Any = None) -> list[str]:
        """Return the ids of the models that a server lists (`GET /v1/models`).

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The ids, in the server's order.

        Raises:
            RequestError: No answer, another status than 200, or no list of models.

        Example:
        ```robotframework
        *** Test Cases ***
        Model List
            Start Server    simulator
            ${models} =    List Models
            Should Be Equal    ${models}    ${{['fake-model']}}
        ```
        """
        found = self.context.servers.get(server)
        models: list[str] = found.client.models()
        self.log.info(f"{found.name} lists {len(models)} models: {', '.join(models)}.")
        return models

    @keyword(tags=["chat"])
    def send_request(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        expected_status: int | None = None,
        headers: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        timeout: timedelta | None = None,
        server: Any = None,
    ) -> Reply:
        """Send any request, also a wrong one, and return the answer.

        Args:
            method: HTTP method.
            path: Path below the server's address: `/v1/chat/completions`.
            body: Text that is sent as it is; a dictionary or list variable is sent as JSON.
            expected_status: HTTP status that the server must answer with; any when not given.
            headers: Further headers, as a JSON object; the content type is `application/json` unless given.
            timeout: Time limit for the whole call.
            server: Alias, handle or object; None for the current one.

        Returns:
            The reply, as from [Chat].

        Raises:
            RequestError: No answer in time, or another status than expected.

        Example:
        ```robotframework
        *** Test Cases ***
        Broken JSON
            Start Server    simulator
            ${reply} =    Send Request    POST    /v1/chat/completions    {"model":    expected_status=400
            Should Not Be Empty    ${reply.error.message}
        ```
        """
        found = self.context.servers.get(server)
        reply: Reply = found.client.send(
            method.upper(), path, body=body, expected_status=expected_status, **self._sending(found, headers, timeout)
        )
        self._logged(f"{method.upper()} {path}", found, body, reply)
        return reply

    @keyword(tags=["chat"])
    def use_retry_policy(
        self,
        *,
        max_retries: int,
        initial_backoff: timedelta = timedelta(seconds=1),
        max_backoff: timedelta = timedelta(seconds=60),
        backoff_factor: float = 2.0,
        jitter: float = 0.1,
        server: Any = None,
    ) -> None:
        """Set how failed calls to a server are made again. Without it none is.

        The wait before retry k (from 0) is `min(initial_backoff * backoff_factor^k, max_backoff) * (1 ± jitter)`; a
        `Retry-After` header that asks for longer is obeyed. Status 429, 5xx and missing answers are retried, within
        the time limit of the call.

        Args:
            max_retries: Retries beyond the first attempt; 0 turns retrying off.
            initial_backoff: Wait before the first retry.
            max_backoff: Longest wait.
            backoff_factor: Growth from wait to wait, 1 or more.
            jitter: Random part of a wait, 0 to 1.
            server: Alias, handle or object; None for the current one.

        Raises:
            ValueError: The policy is contradictory; the message names what is wrong.

        Example:
        ```robotframework
        *** Test Cases ***
        Third Time Lucky
            Start Server    simulator    fault=status:code=503,first=2
            Use Retry Policy    max_retries=2    initial_backoff=10 ms
            ${reply} =    Chat    Hello
            Attempts Should Be    ${reply}    3
        ```
        """
        from InferenceLibrary.client.retry import RetryPolicy

        found = self.context.servers.get(server)
        found.client.retry = RetryPolicy(
            max_retries=max_retries,
            initial_backoff=initial_backoff.total_seconds(),
            max_backoff=max_backoff.total_seconds(),
            backoff_factor=backoff_factor,
            jitter=jitter,
        )
        self.log.info(f"Calls to {found.name}: {found.client.retry}.")

    @keyword(tags=["chat", "assertion"])
    def attempts_should_be(self, answer: Reply | Stream, expected: int) -> None:
        """Check how many attempts a call took.

        Args:
            answer: A reply or a stream.
            expected: Attempts, the first one included.

        Raises:
            CheckFailure: It took more or fewer; the message lists them.

        Example:
        ```robotframework
        *** Test Cases ***
        First Try
            Start Server    simulator
            ${reply} =    Chat    Hello
            Attempts Should Be    ${reply}    1
        ```
        """
        if len(answer.attempts) != expected:
            listed = "\n".join(f"    {attempt}" for attempt in answer.attempts)
            raise CheckFailure(f"Expected {expected} attempts, got {len(answer.attempts)}:\n{listed}")

    @keyword(tags=["chat", "assertion"])
    def reply_should_contain(self, answer: Reply | Stream, expected: str, *, ignore_case: bool = False) -> None:
        """Check that the text of an answer contains a text.

        Args:
            answer: A reply or a stream.
            expected: Text that must be there; not empty.
            ignore_case: Whether upper and lower case are the same.

        Raises:
            CheckFailure: It is not there.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Reply Should Contain    ${reply}    paris    ignore_case=True
        ```
        """
        if not expected:
            raise CheckFailure("Every text contains the empty text: expected a text to look for.")
        text, wanted = (answer.text.lower(), expected.lower()) if ignore_case else (answer.text, expected)
        if wanted not in text:
            raise CheckFailure(f"Reply: expected a text that contains '{expected}', got '{answer.text}'.")

    @keyword(tags=["chat", "assertion"])
    def finish_reason_should_be(self, answer: Reply | Stream, expected: str) -> None:
        """Check why generation ended.

        Args:
            answer: A reply or a stream.
            expected: `stop`, `length`, `tool_calls`, `content_filter` or what the server has.

        Raises:
            CheckFailure: It ended for another reason, or none is given.

        Example:
        ```robotframework
        *** Test Cases ***
        Cut Off
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?    max_tokens=3
            Finish Reason Should Be    ${reply}    length
        ```
        """
        if answer.finish_reason != expected:
            raise CheckFailure(f"Finish reason: expected '{expected}', got {answer.finish_reason!r} in {answer}.")

    @keyword(tags=["chat", "assertion"])
    def usage_should_add_up(self, answer: Reply | Stream) -> None:
        """Check that an answer has usage, that prompt and completion tokens are the total, and that something was used.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.

        Raises:
            CheckFailure: Usage is missing, incomplete, or does not add up.

        Example:
        ```robotframework
        *** Test Cases ***
        Usage
            Start Server    simulator
            ${reply} =    Chat    Hello
            Usage Should Add Up    ${reply}
        ```
        """
        usage = answer.usage
        if usage is None:
            hint = " Hint: ask for it with include_usage=True." if isinstance(answer, Stream) else ""
            raise CheckFailure(f"Usage: expected prompt, completion and total tokens, got none.{hint}")
        prompt, completion, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
        if prompt is None or completion is None or total is None:
            raise CheckFailure(f"Usage: expected prompt, completion and total tokens as whole numbers, got {usage}.")
        if prompt + completion != total:
            raise CheckFailure(f"Usage: expected {prompt} + {completion} = {prompt + completion} tokens, got {total}.")
        if prompt < 1 or completion < 0:
            raise CheckFailure(f"Usage: expected at least one prompt token and no negative count, got {usage}.")
        if answer.text and completion == 0:
            raise CheckFailure(f"Usage: expected completion tokens for the text '{answer.text[:40]}', got 0.")

    @keyword(tags=["chat", "getter"])
    def get_text(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the text of an answer, checked inline when an operator is given.

        Args:
            answer: A reply or a stream.
            assertion_operator: `==`, `contains`, `matches` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            The text.

        Raises:
            AssertionError: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Get Text    ${reply}    matches    (?i)paris
        ```
        """
        return check_text(answer.text, assertion_operator, assertion_expected, "Text", message)

    @keyword(tags=["chat", "getter"])
    def get_elapsed_time(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the seconds that a call took, its retries included, checked inline when an operator is given.

        Args:
            answer: A reply or a stream.
            assertion_operator: `<`, `>=` and so on.
            assertion_expected: The other side, with a unit: `2 s`, `300 ms`.
            message: Replaces the text of the failure.

        Returns:
            Seconds.

        Raises:
            CheckFailure: The comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Latency Is Kept
            Start Server    simulator    time_to_first_token=50 ms
            ${reply} =    Chat    Hello
            Get Elapsed Time    ${reply}    >=    50 ms
        ```
        """
        return check_number(answer.elapsed, assertion_operator, assertion_expected, "elapsed time", "s", message)

    @keyword(tags=["chat", "getter"])
    def get_total_tokens(
        self,
        answer: Reply | Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the total tokens of an answer's usage, checked inline when an operator is given.

        Args:
            answer: A reply, or a stream asked for with `include_usage=True`.
            assertion_operator: `<`, `==` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            Tokens.

        Raises:
            CheckFailure: There is no usage, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Small
            Start Server    simulator
            ${reply} =    Chat    Hello    max_tokens=5
            Get Total Tokens    ${reply}    <    100
        ```
        """
        if answer.usage is None or answer.usage.total_tokens is None:
            raise CheckFailure("Total tokens: expected usage in the answer, got none.")
        return check_number(
            answer.usage.total_tokens, assertion_operator, assertion_expected, "total tokens", "tokens", message
        )

    def _sending(
        self, server: Any, headers: JsonObject, timeout: timedelta | None, *, stream: bool = False
    ) -> dict[str, Any]:
        limits = (server.client.stream_limits if stream else None) or server.client.limits
        if timeout is not None:
            limits = limits._replace(total=seconds(timeout))
        return {"headers": plain_mapping(self.context, headers), "limits": limits}

    def _logged(self, what: str, server: Any, request: Any, answer: Reply | Stream) -> None:
        self.log.info(f"{what} on {server.name}: {answer}")
        for attempt in answer.attempts[:-1]:
            self.log.info(f"    attempt {attempt}")
        self.log.debug(f"Request: {request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)}")
        if isinstance(answer, Reply):
            body = json.dumps(answer.json, ensure_ascii=False, indent=2) if answer.json is not None else answer.body
            self.log.debug(f"Headers: {self.context.redactor.headers(answer.headers)}\nBody: {body[:10_000]}")


def generation_options(
    model: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    seed: int | None,
    stop: Texts | None,
    extra: JsonObject,
) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "stop": to_texts(stop) if stop else None,
        "extra": extra,
    }


def with_system(messages: Messages, system: str | None) -> Messages:
    """Return the messages of a call; from Python they may come as plain text."""
    asked = to_messages(messages)
    return asked if system is None else Messages([{"role": "system", "content": system}, *asked])
