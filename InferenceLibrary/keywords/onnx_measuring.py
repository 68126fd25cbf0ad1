"""Keywords that measure ONNX models and judge the figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import ModelError, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.onnx_base import OnnxGroup
from InferenceLibrary.types import JsonObject

if TYPE_CHECKING:
    from InferenceLibrary.onnx.benchmark_record import Benchmark


class OnnxMeasuringKeywords(OnnxGroup):
    """Latency, throughput and memory of ONNX models."""

    @keyword(tags=["onnx", "performance"])
    def benchmark_onnx_model(
        self,
        *,
        batch: str | Sequence[int] = "1",
        runs: int = 200,
        warmup: int = 20,
        providers: str | Sequence[str] = (),
        io_binding: Literal["off", "on", "both"] = "off",
        dimensions: JsonObject | None = None,
        seed: int = 0,
        save_as: Path | None = None,
        model: Any = None,
        timeout: timedelta = timedelta(minutes=10),
    ) -> Any:
        """Measure a model: the first run apart from the steady state, by batch, provider and IO binding.

        Each provider has a session of its own. A run is timed from arrays of the host to arrays of the host, after the
        device is done. The log shows the figures, a picture, and a file of all times as JSON.

        Args:
            batch: Sizes of the batch, such as `1,4,16`.
            runs: Runs of each row that count.
            warmup: Runs before them that do not count, the first one included.
            providers: Providers to compare side by side, such as `CUDA,CPU`; those of the loaded model by default.
            io_binding: Whether inputs and outputs are bound to memory of the device; `both` by turns.
            dimensions: Sizes of other free dimensions by name, such as `{"sequence": 16}`.
            seed: For the inputs that are made up.
            save_as: Where the figures are written as well: a baseline for [Onnx Model Should Not Be Slower].
            model: As for [Run Onnx Model].
            timeout: Time limit of the whole; a Robot timeout ends it as well.

        Returns:
            The benchmark: `${benchmark.rows}`, each with `provider`, `batch`, `io_binding`, `first`, `times` (seconds),
            `throughput` (items/s), `host_growth` and `device_growth` (bytes).

        Raises:
            ModelError: A number cannot be used, a provider did not start, a run failed, or time passed.

        Example:
        ```robotframework
        *** Test Cases ***
        Steady
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Benchmark Onnx Model    batch=1,4    runs=20    warmup=5
            Get Onnx Latency    <    5 s    percentile=p99    batch=4
            Get Onnx Throughput    >    1    batch=4
        ```
        """
        from InferenceLibrary.onnx.benchmark import Plan, benchmark

        plan = Plan(
            batches=_sizes(batch),
            runs=runs,
            warmup=warmup,
            providers=[item.strip() for item in providers.split(",")] if isinstance(providers, str) else providers,
            bindings={"off": (False,), "on": (True,), "both": (False, True)}[io_binding],
            dimensions=dict(dimensions or {}),
            seed=seed,
        )
        loaded = self.context.onnx_models.get(model)
        with self.onnx_notes(loaded):
            found = benchmark(loaded, plan, timeout=timeout.total_seconds())
        self.context.onnx_benchmarks.add(found)
        for row in found.rows:
            self.log.info(str(row))
        self._benchmark_picture(found)
        path = self.context.artifact("onnx", f"benchmark {found.name}", "json")
        for target in [path] if save_as is None else [path, save_as]:
            found.save(target)
            self.log.file("All times", target)
        return found

    @keyword(tags=["onnx", "performance", "getter"])
    def get_onnx_latency(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        percentile: str = "p50",
        provider: str | None = None,
        batch: int | None = None,
        io_binding: bool | None = None,
        first: bool = False,
        benchmark: Any = None,
    ) -> float:
        """Return the time of a run of a benchmark, in seconds.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `5 ms`.
            message: Replaces the text of the failure.
            percentile: `p50`, `p99`, `mean`, `min`, `max`.
            provider: Chooses a row: `CUDA`.
            batch: Chooses a row.
            io_binding: Chooses a row.
            first: Whether the first run is meant, which the others leave out.
            benchmark: What [Benchmark Onnx Model] returned; None for the latest.

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: No row fits, or several do.

        Example:
        ```robotframework
        *** Test Cases ***
        Fast
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Benchmark Onnx Model    runs=20    warmup=5
            Get Onnx Latency    <    5 s    percentile=p99
        ```
        """
        row = self._benchmark(benchmark).row(provider, batch, io_binding)
        value = row.first if first else row.latency(percentile)
        name = f"{'first run' if first else f'latency ({percentile})'} of {row.label}"
        return float(check_number(value, assertion_operator, assertion_expected, name, unit="s", message=message))

    @keyword(tags=["onnx", "performance", "getter"])
    def get_onnx_throughput(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        provider: str | None = None,
        batch: int | None = None,
        io_binding: bool | None = None,
        benchmark: Any = None,
    ) -> float:
        """Return how many items a second a model computes: the batch over the mean time of a run.

        Args:
            assertion_operator: Such as `>`.
            assertion_expected: A number.
            message: Replaces the text of the failure.
            provider: Chooses a row: `CUDA`.
            batch: Chooses a row.
            io_binding: Chooses a row.
            benchmark: As for [Get Onnx Latency].

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: No row fits, or several do.

        Example:
        ```robotframework
        *** Test Cases ***
        Many
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Benchmark Onnx Model    batch=8    runs=20    warmup=5
            Get Onnx Throughput    >    1
        ```
        """
        row = self._benchmark(benchmark).row(provider, batch, io_binding)
        name = f"throughput of {row.label}"
        return float(
            check_number(row.throughput, assertion_operator, assertion_expected, name, "items/s", message=message)
        )

    @keyword(tags=["onnx", "performance", "getter"])
    def get_onnx_memory_growth(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        where: Literal["host", "device"] = "host",
        provider: str | None = None,
        batch: int | None = None,
        io_binding: bool | None = None,
        benchmark: Any = None,
    ) -> int:
        """Return by how many bytes memory grew over the runs of a benchmark.

        Args:
            assertion_operator: Such as `<`.
            assertion_expected: Such as `50 MB`.
            message: Replaces the text of the failure.
            where: `host` is this process, `device` all GPUs of the machine, whoever takes it.
            provider: Chooses a row.
            batch: Chooses a row.
            io_binding: Chooses a row.
            benchmark: As for [Get Onnx Latency].

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: It cannot be seen here, no row fits, or several do.

        Example:
        ```robotframework
        *** Test Cases ***
        No Leak
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Benchmark Onnx Model    runs=50    warmup=5
            Get Onnx Memory Growth    <    500 MB
        ```
        """
        row = self._benchmark(benchmark).row(provider, batch, io_binding)
        value = row.host_growth if where == "host" else row.device_growth
        if value is None:
            from InferenceLibrary.extras import install_command

            raise MonitorError(
                describe(
                    f"Memory of the {where} was not seen",
                    expected="an NVIDIA GPU and nvidia-ml-py" if where == "device" else "Linux, or psutil",
                    hint=install_command("performance"),
                )
            )
        name = f"memory growth of the {where} ({row.label})"
        return int(check_number(value, assertion_operator, assertion_expected, name, unit="B", message=message))

    @keyword(tags=["onnx", "performance", "assertion"])
    def onnx_model_should_not_be_slower(self, baseline: Path, *, tolerance: float = 0.1, benchmark: Any = None) -> None:
        """Fail when a model became slower than a baseline that was measured on the same machine.

        Each row is compared with that of the baseline. It is slower when even the low end of the 95 % interval of the
        ratio of medians lies above `1 + tolerance`; the interval assumes nothing on the distribution.

        Args:
            baseline: A file that [Benchmark Onnx Model] wrote.
            tolerance: Share by which it may be slower.
            benchmark: As for [Get Onnx Latency].

        Raises:
            CheckFailure: A row is slower; the message has the ratio and its interval.
            MonitorError: The file is missing or of another machine, or has no row in common.

        Example:
        ```robotframework
        *** Test Cases ***
        As Fast As Before
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
            Benchmark Onnx Model    runs=20    warmup=5    save_as=${OUTPUT_DIR}/baseline.json
            Benchmark Onnx Model    runs=20    warmup=5
            Onnx Model Should Not Be Slower    ${OUTPUT_DIR}/baseline.json    tolerance=20
        ```
        """
        from InferenceLibrary.onnx.benchmark_record import check_not_slower, read_benchmark

        for line in check_not_slower(self._benchmark(benchmark), read_benchmark(baseline), tolerance):
            self.log.info(line)

    def _benchmark(self, ref: Any) -> Benchmark:
        from InferenceLibrary.onnx.benchmark_record import Benchmark

        return ref if isinstance(ref, Benchmark) else self.context.onnx_benchmarks.get(ref)

    def _benchmark_picture(self, found: Benchmark) -> None:
        from InferenceLibrary.charts import Bar, bars_chart

        def series(row: Any) -> str:
            return f"{row.provider}{', bound' if row.io_binding else ''}"

        latency = [
            Bar(f"batch {row.batch}", series(row), row.latency("p50") * 1000, row.latency("p99") * 1000)
            for row in found.rows
        ]
        rate = [Bar(f"batch {row.batch}", series(row), row.throughput) for row in found.rows]
        picture = bars_chart(
            f"ONNX model '{found.name}'",
            f"{found.runs} runs after {found.warmup}; bars are medians, lines reach p99; {found.machine['gpus']} GPU",
            [("ms a run", latency), ("items/s", rate)],
        )
        path = self.context.artifact("charts", f"onnx {found.name}", "svg")
        path.write_text(self.context.redactor(picture), encoding="utf-8")
        self.log.picture(f"Benchmark of '{found.name}'", path)


def _sizes(given: str | Sequence[int]) -> list[int]:
    try:
        return [int(item) for item in (given.split(",") if isinstance(given, str) else given)]
    except (TypeError, ValueError):
        raise ModelError(describe("batch cannot be used", expected="sizes such as 1,4,16", got=f"{given!r}")) from None
