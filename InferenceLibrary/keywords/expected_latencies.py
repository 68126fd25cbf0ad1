"""The keyword that compares a latency with what models of a size usually take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import show
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.keywords.shared.load_plans import LoadGroup
from InferenceLibrary.types import shown_kind

SizeOfModel = Literal["auto", "simulator", "7B", "13B", "70B"]


class ExpectedLatencyKeywords(KeywordGroup):
    """Whether a server is unusually slow."""

    @keyword(tags=["performance", "assertion"])
    def latency_should_be_as_expected(
        self,
        answer: Any,
        *,
        model_class: SizeOfModel = "auto",
        maximum: timedelta = timedelta(seconds=30),
        server: Any = None,
    ) -> float:
        """Warn when an answer took longer than models of its size usually take, and fail above a maximum.

        A chat of some sentences is expected to take up to 3 s with a model of 7B parameters, 7 s with 13B, 30 s with
        70B (one GPU node, vLLM), and 0.1 s with the simulator. A failure names what to look for.

        Args:
            answer: A reply, a stream, a result of [Run Load] (its median counts), or seconds.
            model_class: `simulator`, `7B`, `13B` or `70B`; `auto` reads it from the name of the server's model.
            maximum: Fail above it.
            server: Alias, handle or object; None for the current one.

        Returns:
            The seconds that it took.

        Raises:
            CheckFailure: It took longer than `maximum`, or the load cannot be trusted.
            MonitorError: The class of the model is not known, or the answer has no latency.

        Example:
        ```robotframework
        *** Test Cases ***
        Not Unusually Slow
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            Latency Should Be As Expected    ${reply}
        ```
        """
        from InferenceLibrary.load.expected import CAUSES, EXPECTED, class_of

        found = self.context.servers.get(server)
        name = model_class
        if name == "auto":
            simulated = found.profile.name == "simulator"
            name = "simulator" if simulated else class_of(found.model or "") or "auto"
        if name == "auto":
            raise MonitorError(
                describe(
                    f"The size of the model of '{found.name}' is not known",
                    expected="a name with it, such as Llama-2-7b",
                    got=f"'{found.model or 'no name'}'",
                    hint=f"give model_class={', '.join(EXPECTED)}",
                )
            )
        usual, took = EXPECTED[name], _seconds(answer)
        what = f"Latency of '{found.name}', a model of class {name}"
        expected = f"up to {show(usual.high, 's')}"
        if took > maximum.total_seconds():
            raise CheckFailure(
                describe(
                    what, expected=f"{expected}, at most {show(maximum.total_seconds(), 's')}", got=show(took, "s"),
                    hint=CAUSES,
                )
            )  # fmt: skip
        if took > usual.high:
            self.log.warn(describe(f"{what}, is unusual", expected=expected, got=show(took, "s")))
        else:
            self.log.info(f"{what}: {show(took, 's')}, {expected} is usual.")
        return took


def _seconds(answer: Any) -> float:
    """Return the latency of what has one.

    Raises:
        CheckFailure: It is a load that cannot be trusted.
        MonitorError: It has none.
    """
    from InferenceLibrary.load.result import LoadResult

    if isinstance(answer, LoadResult):
        LoadGroup.refuse_doubts(answer)
        return answer.get("latency_p50")
    value = getattr(answer, "elapsed", answer)
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise MonitorError(
            describe(
                "A latency cannot be read", expected="a reply, a stream, a load or seconds", got=shown_kind(answer)
            )
        )
    return number
