"""Measure ONNX models on a GPU beside the CPU, judge the figures, and keep them: JSON, and a page of the documents.

    python scripts/gpu_figures.py [--json FILE] [--docs docs/gpu.md] [--provider CUDA]

Judged: outputs agree with those of the CPU, every node of the models is on the GPU, IO binding is not slower, memory of
the device comes back after unloading, and a run for which there is no memory fails with one line and leaves the model
usable. Exit code 1 when one of these does not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from InferenceLibrary.errors import CheckFailure, InferenceError, ModelError
from InferenceLibrary.monitor.gpu import open_gpus
from InferenceLibrary.onnx.agreement import check_providers_agree
from InferenceLibrary.onnx.benchmark import Plan, benchmark, machine
from InferenceLibrary.onnx.benchmark_record import Benchmark
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.compare import check_outputs
from InferenceLibrary.onnx.language.generate import generate
from InferenceLibrary.onnx.language.make import TRAINED, create_language_model
from InferenceLibrary.onnx.language.model import language_model
from InferenceLibrary.onnx.made_inputs import make_inputs
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions
from InferenceLibrary.onnx.placement import check_on_gpu, profile_placement
from InferenceLibrary.onnx.values import Port
from InferenceLibrary.sizes import show_bytes

EXACT = {"CUDA": {"use_tf32": 0}}
SHAPES = ("Shape", "Gather", "Unsqueeze", "Range", "Sub", "Concat", "Squeeze", "Cast", "Slice", "Constant")
"""Operators on shapes, which onnxruntime computes on the host on purpose."""
BATCHES = (1, 256, 16384)
ROWS, TOO_MANY_ROWS = 4_000_000, 20_000_000
"""Rows of two float32: 80 MB with the output, and 400 MB for which 16 MB have no room."""
LEFT = 100_000_000
"""Bytes of the device that may be left after a model was unloaded; the driver's own context stays."""


class Judge:
    """Runs the parts; keeps what each found and whether it holds."""

    def __init__(self) -> None:
        self.lines: list[tuple[bool, str, str]] = []

    def part(self, name: str, call: Callable[[], str]) -> None:
        try:
            self.lines.append((True, name, call()))
        except (CheckFailure, InferenceError) as error:
            self.lines.append((False, name, str(error).splitlines()[0]))
        print(f"{'holds' if self.lines[-1][0] else 'FAILS'}: {name}: {self.lines[-1][2]}", flush=True)


def on_gpu(provider: str, **more: Any) -> LoadOptions:
    exact = EXACT if provider == "CUDA" else {}
    return LoadOptions(providers=provider, provider_options=exact, **more)


def agreement(folder: Path, provider: str) -> str:
    kinds = ("matmul", "mlp", "sigmoid", "add", "external")
    for kind in kinds:
        model = load_model(create_model(kind, folder / f"{kind}.onnx"), LoadOptions())
        feed = make_inputs(model.inputs, batch=64, seed=1)
        check_providers_agree(
            model,
            provider,
            "CPU",
            feed,
            judge=lambda got, wanted: check_outputs(got, wanted, rtol=1e-3, atol=1e-4),
            timeout=60,
        )
    return f"{', '.join(kinds)}: batch 64, rtol 1e-3"


def placed(folder: Path, provider: str) -> str:
    model = load_model(create_model("mlp", folder / "mlp.onnx"), on_gpu(provider))
    placement = profile_placement(model, make_inputs(model.inputs, batch=64))
    check_on_gpu(model, placement)
    return str(placement)


def decoder_placed(folder: Path, provider: str) -> str:
    path = create_language_model("random", folder / "random.onnx", seed=1)
    model = load_model(path, on_gpu(f"{provider},CPU") if provider != "CPU" else LoadOptions())
    ports = [Port(port.name, port.onnx_type, port.shape) for port in model.inputs]
    feed = make_inputs(ports, dimensions={"sequence": 8, "total": 8, "past": 0})
    feed["attention_mask"][:] = 1
    placement = profile_placement(model, feed)
    check_on_gpu(model, placement, allowed_on_cpu=SHAPES)
    return str(placement)


def language(provider: str) -> tuple[str, dict[str, Any]]:
    question = [{"role": "user", "content": "Count to 60."}]
    found: dict[str, Any] = {}
    tokens: dict[str, list[int]] = {}
    for name in (provider, "CPU"):
        model = language_model(load_model(TRAINED, on_gpu(f"{name},CPU") if name != "CPU" else LoadOptions()))
        prompt = model.tokenizer.chat(question)
        generate(model, prompt, max_tokens=8)
        answer = generate(model, prompt, max_tokens=120)
        tokens[name] = answer.tokens
        found[name] = {"tokens_per_second": answer.tokens_per_second, "time_to_first_token": answer.time_to_first_token}
        model.model.close()
    if tokens[provider] != tokens["CPU"]:
        raise CheckFailure(
            f"{provider} and CPU generate different tokens: {tokens[provider][:20]} and {tokens['CPU'][:20]}"
        )
    return f"{len(tokens['CPU'])} tokens, the same", found


def binding(record: Benchmark, provider: str) -> str:
    ratios = []
    for batch in BATCHES:
        bound, plain = record.row(provider, batch, True), record.row(provider, batch, False)
        ratio = bound.latency("p50") / plain.latency("p50")
        ratios.append(f"batch {batch}: {ratio:.2f} times")
        if ratio > 1.05:
            raise CheckFailure(
                f"With IO binding a run of batch {batch} takes {ratio:.2f} times as long: expected at most 1.05"
            )
    return ", ".join(ratios)


def memory_back(folder: Path, provider: str) -> str:
    gpus, reason = open_gpus()
    if gpus is None:
        raise ModelError(reason)
    path = create_model("matmul", folder / "matmul.onnx")
    feed = {"x": np.ones((ROWS, 2), np.float32)}

    def once() -> None:
        model = load_model(path, on_gpu(provider))
        model.run(feed)
        model.close()
        gc.collect()

    try:
        once()  # the driver's context and the libraries stay
        before = gpus.used()
        for _ in range(5):
            once()
        left = gpus.used() - before
    finally:
        gpus.close()
    if left > LEFT:
        raise CheckFailure(
            f"{show_bytes(left)} of the device are left after five models: expected at most {show_bytes(LEFT)}"
        )
    return f"{left / 1e6:.0f} MB left after five models"


def no_memory(folder: Path, provider: str) -> str:
    path = create_model("matmul", folder / "matmul.onnx")
    model = load_model(path, on_gpu(provider, memory_limit=16_000_000))
    try:
        model.run({"x": np.ones((TOO_MANY_ROWS, 2), np.float32)})
    except ModelError as error:
        said = str(error)
    else:
        raise CheckFailure("A run of 400 MB fitted into 16 MB: expected it to fail")
    if "out of memory" not in said or "\n" in said:
        raise CheckFailure(f"expected one line on memory, got: {said}")
    check_outputs(model.run([[1, 1]]).outputs, {"y": [[5, 7, 9]]}, rtol=1e-3)
    return said


def page(data: dict[str, Any]) -> str:
    """The page of the documents."""
    lines = ["# ONNX models on a GPU", "", f"Measured on {data['date']} by `make test-gpu`:", ""]
    lines += [f"- {name}: {value}" for name, value in data["machine"].items()]
    lines += ["", "| what | holds | found |", "| --- | --- | --- |"]
    lines += [
        f"| {one['name']} | {'yes' if one['holds'] else '**no**'} | {one['found'].replace('|', '/')} |"
        for one in data["judged"]
    ]
    lines += ["", "| run of mlp | median | p99 | items/s | first run |", "| --- | --- | --- | --- | --- |"]
    for row in data["rows"]:
        times = " | ".join(f"{row[key] * 1000:.3f} ms" for key in ("p50", "p99"))
        lines.append(f"| {row['label']} | {times} | {row['throughput']:.4g} | {row['first'] * 1000:.1f} ms |")
    lines += ["", "| language model | tokens/s | time to first token |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {figures['tokens_per_second'] or 0:.0f} | {(figures['time_to_first_token'] or 0) * 1000:.1f} ms |"
        for name, figures in data["language"].items()
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure and judge ONNX models on a GPU.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--provider", default="CUDA")
    options = parser.parse_args()
    provider: str = options.provider
    judge = Judge()
    rows: list[dict[str, Any]] = []
    tokens: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judge.part("outputs agree with those of the CPU", lambda: agreement(folder, provider))
        judge.part("every node of mlp is on the GPU", lambda: placed(folder, provider))
        judge.part("the decoder is on the GPU, shapes apart", lambda: decoder_placed(folder, provider))

        def generated() -> str:
            text, found = language(provider)
            tokens.update(found)
            return text

        judge.part("the language model says the same", generated)
        model = load_model(create_model("mlp", folder / "mlp.onnx"), on_gpu(provider))
        record = benchmark(model, Plan(BATCHES, 200, 20, (provider, "CPU"), (False, True)), timeout=240)
        model.close()
        for row in record.rows:
            figures = {"p50": row.latency("p50"), "p99": row.latency("p99"), "throughput": row.throughput}
            rows.append({"label": row.label, **figures, "first": row.first, "device_growth": row.device_growth})
        judge.part("IO binding is not slower", lambda: binding(record, provider))
        judge.part("memory of the device comes back", lambda: memory_back(folder, provider))
        judge.part("memory that cannot be had is told", lambda: no_memory(folder, provider))
    data = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "judged": [{"holds": holds, "name": name, "found": found} for holds, name, found in judge.lines],
        "rows": rows,
        "language": tokens,
    }
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if options.docs is not None:
        options.docs.write_text(page(data), encoding="utf-8")
    return 0 if all(holds for holds, _, _ in judge.lines) else 1


if __name__ == "__main__":
    sys.exit(main())
