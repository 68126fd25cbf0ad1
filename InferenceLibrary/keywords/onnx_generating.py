"""Keywords that make language models in ONNX and generate from them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot.api import SkipExecution
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MissingExtraError, ModelError, describe
from InferenceLibrary.keywords.shared.onnx_base import OnnxGroup
from InferenceLibrary.types import JsonObject, Messages, Texts

if TYPE_CHECKING:
    from InferenceLibrary.onnx.language.model import LanguageModel

LanguageKind = Literal["trained", "computed", "random", "embedding"]


class OnnxGeneratingKeywords(OnnxGroup):
    """Language models in ONNX, generated from without a server."""

    @keyword(tags=["onnx"])
    def create_onnx_language_model(
        self,
        kind: LanguageKind = "trained",
        path: Path | None = None,
        *,
        answers: JsonObject | None = None,
        default: str = "I do not know.",
        seed: int = 0,
        context_length: int = 4096,
    ) -> Path:
        """Write a small decoder-only language model with a cache of keys and values, its tokenizer within.

        | kind | what it says |
        | --- | --- |
        | `trained` | the capitals of seventeen countries, greetings, to count; by chance a color or a die |
        | `computed` | what `answers` holds, at any temperature, or the same capitals; its weights are computed |
        | `random` | tokens by chance: random weights under `seed` |
        | `embedding` | nothing: it turns texts into vectors, for the simulator's `--embedding-model` |

        Nothing is downloaded. The inputs and outputs are named as Optimum and onnxruntime-genai name them.

        Args:
            kind: Which model.
            path: Where to write it; a new file beside the log by default.
            answers: For `computed`: answers by one word of the question, such as `{"sky": "It is blue."}`.
            default: For `computed` with `answers`: what it says when no word stands in the question.
            seed: For `random` and `embedding`.
            context_length: Most tokens of prompt and answer, for `computed` and `random`.

        Returns:
            The path of the file, for [Load Onnx Model] or the simulator's `--onnx-model`.

        Raises:
            ModelError: An answer cannot be said, or the file cannot be written.
            MissingExtraError: The package `onnx` is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        A Model Of My Own
            ${path} =    Create Onnx Language Model    computed    answers={"sky": "The sky is blue."}
            Load Onnx Model    ${path}
            ${answer} =    Generate With Onnx Model    What about the sky?
            Should Be Equal    ${answer.text}    The sky is blue.
        ```
        """
        from InferenceLibrary.modelfiles.answers import custom
        from InferenceLibrary.onnx.language.make import create_language_model

        if answers is not None and kind != "computed":
            raise ModelError(describe(f"answers do not belong to kind {kind}", expected="kind computed with them"))
        knowledge = None if answers is None else custom({word: str(text) for word, text in answers.items()}, default)
        target = path or self.context.artifact("onnx", f"language {kind}", "onnx")
        made = create_language_model(kind, target, knowledge=knowledge, seed=seed, context_length=context_length)
        self.log.info(f"Language model '{kind}' written to {made} ({made.stat().st_size:,} bytes).")
        return made

    @keyword(tags=["onnx"])
    def generate_with_onnx_model(
        self,
        messages: Messages,
        *,
        max_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Texts | None = None,
        chat: bool = True,
        logprobs: bool = False,
        ignore_eos: bool = False,
        engine: Literal["own", "genai"] = "own",
        model: Any = None,
        timeout: timedelta = timedelta(minutes=1),
    ) -> Any:
        """Generate an answer with a language model that is loaded, without a server.

        Args:
            messages: A question, or the messages of a chat.
            max_tokens: Most tokens of the answer.
            temperature: 0 takes the likeliest token each time.
            top_p: Draw from the smallest set of tokens whose probabilities sum to this.
            top_k: Draw from so many of the likeliest tokens only; 0 for all.
            seed: The same seed gives the same answer.
            stop: A text, or several, that end the answer; no part of it is in the text.
            chat: Whether the prompt is put between the markers of a chat; else it is continued as it stands.
            logprobs: Whether the logarithm of each token's probability is kept.
            ignore_eos: Whether it goes on after its end, up to `max_tokens`.
            engine: The loop of this library, or onnxruntime-genai (greedy, on the CPU; extra `onnx-genai`).
            model: As for [Run Onnx Model].
            timeout: Time limit; it ends within one step of the model.

        Returns:
            The generation: `${answer.text}`, `${answer.tokens}`, `${answer.prompt_tokens}`, `${answer.finish_reason}`
            (`stop` or `length`), `${answer.time_to_first_token}` in seconds, `${answer.tokens_per_second}`,
            `${answer.logprobs}`.

        Raises:
            ModelError: It is not a language model of [Create Onnx Language Model], prompt and answer do not fit into
                its context, a number is out of range, or time passed.
            MissingExtraError: onnxruntime-genai is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital Of France
            ${path} =    Create Onnx Language Model
            Load Onnx Model    ${path}
            ${answer} =    Generate With Onnx Model    What is the capital of France?
            Should Be Equal    ${answer.text}    The capital of France is Paris.
            Should Be Equal    ${answer.finish_reason}    stop
        ```
        """
        from InferenceLibrary.onnx.language.genai import generate_with_genai
        from InferenceLibrary.onnx.language.generate import generate
        from InferenceLibrary.onnx.language.sampling import Sampling

        found = self._language_model(model)
        tokens = _tokens(found, messages, chat)
        limit = timeout.total_seconds()
        sampling = Sampling(temperature, top_p, top_k, seed)
        if engine == "genai":
            if sampling != Sampling(seed=seed) or stop or logprobs or ignore_eos:
                raise ModelError(
                    describe("engine=genai is greedy here", expected="messages, max_tokens, chat and seed", got="more")
                )
            with self.onnx_notes(found.model):
                answer = generate_with_genai(found, tokens, max_tokens=max_tokens, timeout=limit)
        else:
            with self.onnx_notes(found.model):
                answer = generate(
                    found,
                    tokens,
                    sampling,
                    max_tokens=max_tokens,
                    stops=stop or (),
                    logprobs=logprobs,
                    ignore_eos=ignore_eos,
                    timeout=limit,
                )
        self.log.info(str(answer))
        return answer

    @keyword(tags=["onnx", "assertion"])
    def generation_engines_should_agree(
        self,
        messages: Messages,
        *,
        max_tokens: int = 64,
        chat: bool = True,
        model: Any = None,
        timeout: timedelta = timedelta(minutes=1),
    ) -> None:
        """Fail unless this library and onnxruntime-genai generate the same tokens, greedily, one by one.

        Args:
            messages: As for [Generate With Onnx Model].
            max_tokens: As for [Generate With Onnx Model].
            chat: As for [Generate With Onnx Model].
            model: As for [Run Onnx Model].
            timeout: Time limit of each.

        Raises:
            CheckFailure: They differ; the message names the first token that does.
            MissingExtraError: onnxruntime-genai is not installed.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Loops
            Skip Unless Generation Engine Is Available    genai
            ${path} =    Create Onnx Language Model
            Load Onnx Model    ${path}
            Generation Engines Should Agree    What is the capital of Italy?
        ```
        """
        from InferenceLibrary.onnx.language.genai import generate_with_genai
        from InferenceLibrary.onnx.language.generate import generate

        found = self._language_model(model)
        tokens = _tokens(found, messages, chat)
        limit = timeout.total_seconds()
        with self.onnx_notes(found.model):
            own = generate(found, tokens, max_tokens=max_tokens, timeout=limit).tokens
            other = generate_with_genai(found, tokens, max_tokens=max_tokens, timeout=limit).tokens
        if not own and not other:
            raise CheckFailure(
                f"Neither engine generated a token with '{found.name}': expected one or more to compare."
            )
        pairs = list(zip([*own, None], [*other, None], strict=False))
        place = next((index for index, (one, two) in enumerate(pairs) if one != two), None)
        if place is not None:
            one, two = pairs[place]
            raise CheckFailure(
                describe(
                    f"The engines do not agree on token {place} of '{found.name}'",
                    expected=_shown(found, two),
                    got=_shown(found, one),
                    state=f"{len(own)} tokens here, {len(other)} by onnxruntime-genai",
                )
            )
        self.log.info(f"Both engines generated the same {len(own)} tokens with '{found.name}'.")

    @keyword(tags=["onnx", "skip"])
    def skip_unless_generation_engine_is_available(self, engine: Literal["own", "genai"]) -> None:
        """Skip the test unless an engine of [Generate With Onnx Model] is installed.

        Args:
            engine: `genai` is onnxruntime-genai; `own` is always there.

        Raises:
            SkipExecution: It is not; the reason says what to install.

        Example:
        ```robotframework
        *** Test Cases ***
        By The Other Engine
            Skip Unless Generation Engine Is Available    genai
            ${path} =    Create Onnx Language Model
            Load Onnx Model    ${path}
            ${answer} =    Generate With Onnx Model    What is the capital of Italy?    engine=genai
            Should Be Equal    ${answer.text}    The capital of Italy is Rome.
        ```
        """
        from InferenceLibrary.onnx.language.genai import genai

        if engine == "genai":
            try:
                genai()
            except MissingExtraError as reason:
                raise SkipExecution(str(reason)) from None

    def _language_model(self, ref: Any) -> LanguageModel:
        from InferenceLibrary.onnx.language.model import language_model

        return language_model(self.context.onnx_models.get(ref))


def _tokens(model: LanguageModel, prompt: Messages, chat: bool) -> list[int]:
    if chat:
        return model.tokenizer.chat(prompt)
    if len(prompt) != 1 or not isinstance(prompt[0].get("content"), str):
        raise ModelError(describe("chat=False takes a plain text", expected="one text", got=f"{len(prompt)} messages"))
    return model.tokenizer.prompt(prompt[0]["content"])


def _shown(model: LanguageModel, token: int | None) -> str:
    return "the end" if token is None else f"{token} ({model.tokenizer.pieces[token]!r})"
