"""Keywords that measure generation: time to first token, tokens per second, and the chart in the log."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, describe
from InferenceLibrary.keywords.monitors import bytes_of
from InferenceLibrary.keywords.shared.assertions import check_number, show
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.protocol.paths import CHAT
from InferenceLibrary.types import JsonObject, Messages, seconds, to_messages

if TYPE_CHECKING:
    from InferenceLibrary.charts import MemoryCurve
    from InferenceLibrary.load.measurement import Figure, Measurement

Below = Literal["fail", "warn"]
_UNITS = {
    "tokens per second": "tokens/s",
    "time to first token": "s",
    "inter-token latency": "s",
    "end-to-end latency": "s",
}


def _iterations(measurement: Measurement) -> str:
    count = len(measurement.generations)
    return f"{count} iteration{'' if count == 1 else 's'}"


class PerformanceKeywords(KeywordGroup):
    """Measured generations and their thresholds."""

    @keyword(tags=["performance"])
    def measure_generation(
        self,
        messages: Messages,
        *,
        iterations: int = 3,
        warmup: int = 1,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        model: str | None = None,
        extra: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        timeout: timedelta | None = None,
        alias: str | None = None,
        server: Any = None,
    ) -> Any:
        """Stream the same chat several times, one after the other, and return the figures.

        - Time to first token: from the sending of the request to the first output that is not empty.
        - Tokens per second: the tokens after the first output, over the time from there to the last, so the prompt does
          not count. There is no rate where it would lie: hidden tokens, or chunks that something on the way held back.
        - Tokens are those of the server's usage; when it reports none, each chunk counts as one and the log says so.

        A generation without output fails the measurement. Tests that measure time belong to a suite tagged
        `pabot:exclusive`, so that nothing else runs beside them.

        Args:
            messages: Text, or messages as for [Chat].
            iterations: Number of generations that count.
            warmup: Number of generations before them that are thrown away.
            max_tokens: Longest answer in tokens.
            temperature: Sampling temperature.
            seed: Seed of the sampling.
            model: Model to ask for; the server's by default.
            extra: Further keys of the request, as a JSON object.
            timeout: Time limit of each generation.
            alias: Name for later keywords.
            server: Alias, handle or object; None for the current one.

        Returns:
            The measurement: `${measurement.generations}`, each with `time_to_first_token`, `gaps` and `elapsed` in
            seconds, `output_tokens` and `tokens_per_second`.

        Raises:
            MonitorError: A generation had no output, or a number is out of range.
            RequestError: A call failed.
            StreamError: A stream broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Speed
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?    iterations=3
            Measured Tokens Per Second Should Be At Least    10
            Measured Time To First Token Should Be At Most    2 s
        ```
        """
        from InferenceLibrary.keywords.shared.test_facts import note_generations
        from InferenceLibrary.load.sequential import measure_generation

        found = self.context.servers.get(server)
        from InferenceLibrary.client.sending import Sending
        from InferenceLibrary.protocol.requests import Question

        question = Question(
            messages=to_messages(messages),
            model=model,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            include_usage=True,
            extra=extra,
        )
        limits = found.client.stream_limits or found.client.limits
        limit = seconds(timeout)
        sending = Sending(limits=limits if limit is None else limits.replace(total=limit))

        def generate() -> Any:
            return found.client.ask_stream(CHAT, question, sending)

        measurement = measure_generation(
            generate,
            name=found.name,
            iterations=iterations,
            warmup=warmup,
            model=model or found.model,
            progress=self.log.progress,
        )
        self.context.measurements.add(measurement, alias)
        note_generations(self.context, found, measurement.generations)
        self.log.info(f"Measured {measurement}")
        self.log.file("Figures", self.log.kept(f"measurement of {found.name}", measurement.as_json(), "json"))
        for number, generation in enumerate(measurement.generations, start=1):
            self.log.debug(f"Iteration {number}: {generation}")
        return measurement

    @keyword(tags=["performance", "assertion"])
    def measured_tokens_per_second_should_be_at_least(
        self, minimum: float, *, percentile: str = "p50", below: Below = "fail", measurement: Any = None
    ) -> None:
        """Fail unless a measurement generated fast enough.

        Args:
            minimum: Tokens per second.
            percentile: `p50` (the median of the iterations), `p10`, `mean`, `min`.
            below: `fail`, or `warn` to let a slower one pass with a warning.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: It was slower; the message has the values of all iterations.
            MonitorError: There is no rate: one token only, or all tokens at one moment.

        Example:
        ```robotframework
        *** Test Cases ***
        Fast Enough In Every Iteration
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?
            Measured Tokens Per Second Should Be At Least    5    percentile=min
        ```
        """
        try:
            self._check("tokens per second", minimum, percentile, measurement, at_least=True)
        except CheckFailure as failure:
            if below == "fail":
                raise
            self.log.warn(str(failure))

    @keyword(tags=["performance", "assertion"])
    def measured_time_to_first_token_should_be_at_most(
        self, maximum: timedelta, *, percentile: str = "p50", measurement: Any = None
    ) -> None:
        """Fail unless the first token of a measurement's generations came soon enough.

        Args:
            maximum: Such as `500 ms`.
            percentile: `p50`, `p90`, `mean`, `max`.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: It came later; the message has the values of all iterations.

        Example:
        ```robotframework
        *** Test Cases ***
        Soon Enough
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?
            Measured Time To First Token Should Be At Most    2 s    percentile=max
        ```
        """
        self._check("time to first token", maximum.total_seconds(), percentile, measurement, at_least=False)

    @keyword(tags=["performance", "getter"])
    def get_measured_tokens_per_second(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        percentile: str = "p50",
        measurement: Any = None,
    ) -> float:
        """Return the tokens per second of a measurement.

        Args:
            assertion_operator: Such as `>`.
            assertion_expected: A number.
            message: Replaces the text of the failure.
            percentile: `p50`, `p90`, `mean`, `min`, `max`.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: There is no rate.

        Example:
        ```robotframework
        *** Test Cases ***
        Rate
            Start Server    simulator    mode=echo    inter_token_latency=10 ms
            Measure Generation    Tell a story of a robot that reads the log of every server in the house.
            ${rate} =    Get Measured Tokens Per Second    >    1
        ```
        """
        return self._get("tokens per second", assertion_operator, assertion_expected, message, percentile, measurement)

    @keyword(tags=["performance", "getter"])
    def get_measured_time_to_first_token(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        percentile: str = "p50",
        measurement: Any = None,
    ) -> float:
        """Return the time to first token of a measurement, in seconds.

        For a single stream there is [Get Time To First Token].

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `200 ms`.
            message: Replaces the text of the failure.
            percentile: `p50`, `p90`, `mean`, `min`, `max`.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        First Token
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?
            Get Measured Time To First Token    <    2 s    percentile=p90
        ```
        """
        return self._get(
            "time to first token", assertion_operator, assertion_expected, message, percentile, measurement
        )

    @keyword(tags=["performance", "getter"])
    def get_measured_inter_token_latency(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        percentile: str = "p50",
        measurement: Any = None,
    ) -> float:
        """Return the time between tokens, over all gaps, in seconds.

        Where a chunk carries several tokens, the gap between chunks is not it: then each generation counts with the
        mean time of its tokens.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `50 ms`.
            message: Replaces the text of the failure.
            percentile: `p50`, `p99`, `mean`, `min`, `max`.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: There is no gap: one chunk a generation.

        Example:
        ```robotframework
        *** Test Cases ***
        No Stall
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?
            Get Measured Inter Token Latency    <    2 s    percentile=max
        ```
        """
        return self._get(
            "inter-token latency", assertion_operator, assertion_expected, message, percentile, measurement
        )

    @keyword(tags=["performance", "getter"])
    def get_measured_end_to_end_latency(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        percentile: str = "p50",
        measurement: Any = None,
    ) -> float:
        """Return the time of whole generations of a measurement, in seconds.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `3 s`.
            message: Replaces the text of the failure.
            percentile: `p50`, `p90`, `mean`, `min`, `max`.
            measurement: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Whole Answer
            Start Server    simulator    inter_token_latency=5 ms
            Measure Generation    What is the capital of France?
            Get Measured End To End Latency    <    10 s
        ```
        """
        return self._get("end-to-end latency", assertion_operator, assertion_expected, message, percentile, measurement)

    @keyword(tags=["performance"])
    def log_measurement_chart(
        self,
        *,
        measurement: Any = None,
        title: str | None = None,
        monitor: Any = None,
        memory_limit: str | None = None,
    ) -> Path:
        """Show when the tokens of each iteration arrived, and the memory meanwhile.

        The picture is an SVG file beside the log.

        Args:
            measurement: Alias, handle or object; None for the latest one.
            title: Title of the picture.
            monitor: The memory monitor or record to draw; None for the latest monitor, if there is one.
            memory_limit: A limit to draw into the memory curve, such as `2 GB`.

        Returns:
            The path of the picture.

        Raises:
            TargetError: Nothing was measured.

        Example:
        ```robotframework
        *** Test Cases ***
        Picture
            Start Server    simulator    inter_token_latency=5 ms
            Start Memory Monitor
            Measure Generation    What is the capital of France?
            Log Measurement Chart
        ```
        """
        from InferenceLibrary.charts import TokenCurve, generation_chart

        found = self._measurement(measurement)
        curves = [
            TokenCurve(
                item.started,
                item.arrivals,
                item.output_tokens,
                f"{item.tokens_per_second:.4g} tokens/s" if item.tokens_per_second is not None else "",
            )
            for item in found.generations
        ]
        model = f", model {found.model}" if found.model else ""
        memory = self._memory_curve(monitor, memory_limit)
        picture = generation_chart(
            title or f"Generation on '{found.name}'{model}", str(found).partition(": ")[2], curves, memory
        )
        path = self.context.artifact("charts", f"generation {found.name}", "svg")
        from InferenceLibrary.files import write_text

        write_text(path, self.context.redactor(picture))
        self.log.picture(f"Measured {found}", path)
        return path

    def _memory_curve(self, monitor: Any, limit: str | None) -> MemoryCurve | None:
        from InferenceLibrary.charts import MemoryCurve
        from InferenceLibrary.monitor.memory_record import MemoryRecord

        monitors = self.context.monitors
        if monitor is None and not len(monitors):
            return None
        record = monitor if isinstance(monitor, MemoryRecord) else monitors.get(monitor).snapshot()
        kind = record.best_kind()
        points: list[tuple[float, float]] = [(when, float(value)) for when, value in record.series(kind)]
        return MemoryCurve(kind.upper(), points, record.peak(kind), bytes_of(limit) if limit else None)

    def _get(
        self,
        figure: Figure,
        operator: AssertionOperator | None,
        expected: Any,
        message: str | None,
        percentile: str,
        ref: Any,
    ) -> float:
        found = self._measurement(ref)
        value = found.get(figure, percentile)
        name = f"{figure} of '{found.name}' ({percentile} of {_iterations(found)})"
        return float(check_number(value, operator, expected, name, unit=_UNITS[figure], message=message))

    def _check(self, figure: Figure, bar: float, percentile: str, ref: Any, *, at_least: bool) -> None:
        found = self._measurement(ref)
        value = found.get(figure, percentile)
        unit = _UNITS[figure]
        expected = f"at {'least' if at_least else 'most'} {show(bar, unit)}"
        if not (value >= bar if at_least else value <= bar):  # nothing keeps a bar of NaN
            values = [show(item, unit) for item in found.values(figure)]
            raise CheckFailure(
                describe(
                    f"{figure[:1].upper()}{figure[1:]} of '{found.name}' ({percentile} of {_iterations(found)})",
                    expected=expected,
                    got=show(value, unit),
                    detail=(
                        f"Iterations ({found.output_tokens} tokens in all, {found.counted})",
                        [f"{number}: {item}" for number, item in enumerate(values, start=1)],
                    ),
                )
            )
        self.log.info(
            f"{figure[:1].upper()}{figure[1:]} of '{found.name}' is {expected}: {show(value, unit)} "
            f"({percentile} of {_iterations(found)})."
        )

    def _measurement(self, ref: Any) -> Measurement:
        from InferenceLibrary.load.measurement import Measurement

        if isinstance(ref, Measurement):
            return ref
        return self.context.measurements.get(ref)
