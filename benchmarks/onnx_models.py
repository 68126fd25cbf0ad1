"""What the ONNX part costs: a keyword's call over a bare `session.run`, generation over a loop written by hand, memory.

    python benchmarks/onnx_models.py [--calls 400] [--tokens 120] [--json FILE]

Each pair is measured by turns in the same run, so that both meet the machine in the same state. The keyword's bar is a
time, and so judged in quiet rounds only; the others are ratios and sizes. On an NVIDIA GPU the cost of IO binding is
judged there too; without one that is said, and nothing is judged in its place.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bars import Bars

from InferenceLibrary.context import Context
from InferenceLibrary.keywords.onnx_running import OnnxRunKeywords
from InferenceLibrary.onnx.benchmark import Plan, benchmark, own_memory
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.environment import gpu_inference
from InferenceLibrary.onnx.language.decoder import Sizes, shapes, write_decoder
from InferenceLibrary.onnx.language.generate import generate, generate_plainly
from InferenceLibrary.onnx.language.make import TRAINED
from InferenceLibrary.onnx.language.model import language_model
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions

CALL = 0.0003
"""Seconds that the keyword may cost over the bare run."""
GENERATION = 0.9
"""Tokens a second of the library's loop over those of the bare one."""
BINDING = 1.05
"""Time of a run with IO binding over one without, on a GPU: never slower, within what a median can tell."""
LEFT = 20e6
"""Bytes that may be left after ten models of some 54 MB were loaded and unloaded."""


def timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def call_cost(folder: Path, calls: int) -> dict[str, float]:
    """Medians of the keyword, of the bare run, and their difference, in seconds."""
    keywords = OnnxRunKeywords()
    keywords.context = Context()
    model = load_model(create_model("mlp", folder / "mlp.onnx"), LoadOptions(threads=1))
    keywords.context.onnx_models.add(model)
    inputs = np.ones((4, 3), np.float32)
    session = model.session
    whole, bare = [], []
    for _ in range(calls):
        whole.append(timed(lambda: keywords.run_onnx_model(inputs)))
        bare.append(timed(lambda: session.run(None, {"x": inputs})))
    model.close()
    found = {"Run Onnx Model": statistics.median(whole[20:]), "session.run": statistics.median(bare[20:])}
    found["the keyword over session.run"] = found["Run Onnx Model"] - found["session.run"]
    return found


def generation_ratios(tokens: int, rounds: int) -> tuple[list[float], float]:
    """The library's tokens a second over those of the bare loop, round by round; and its median tokens a second."""
    model = language_model(load_model(TRAINED, LoadOptions(threads=1)))
    prompt = model.tokenizer.chat([{"role": "user", "content": "Count to 60."}])
    assert generate_plainly(model, prompt, 20) == generate(model, prompt, max_tokens=20, ignore_eos=True).tokens
    ratios, rates = [], []
    for number in range(rounds):
        order = [
            ("bare", lambda: generate_plainly(model, prompt, tokens)),
            ("own", lambda: generate(model, prompt, max_tokens=tokens, ignore_eos=True)),
        ]
        times = {name: timed(call) for name, call in (order if number % 2 else order[::-1])}
        if number:
            ratios.append(times["bare"] / times["own"])
            rates.append(tokens / times["own"])
    model.model.close()
    return ratios, statistics.median(rates)


def left_after_unloading(folder: Path) -> float:
    """Bytes that ten models of some 54 MB leave after they were loaded, run and closed; one before does not count."""
    sizes = Sizes(len(language_model(load_model(TRAINED)).tokenizer), 512, 4, 8, 8, 64, 1408, 256)
    draw = np.random.default_rng(0)
    weights = {name: draw.standard_normal(shape).astype(np.float32) * 0.02 for name, shape in shapes(sizes).items()}
    path = write_decoder(folder / "large.onnx", sizes, weights, language_model(load_model(TRAINED)).tokenizer)
    del weights
    print(f"a model of {path.stat().st_size / 1e6:.0f} MB, eleven times", flush=True)
    begun = 0
    for number in range(11):
        loaded = load_model(path, LoadOptions(threads=1))
        model = language_model(loaded)
        model.step(np.ones((1, 8), np.int64), np.ones((1, 8), np.int64), np.arange(8)[None], model.empty_cache())
        loaded.close()
        del loaded, model
        if number == 0:
            gc.collect()
            begun = own_memory() or 0
    gc.collect()
    return (own_memory() or 0) - begun


def binding_on_gpu(folder: Path, bars: Bars) -> dict[str, Any]:
    """IO binding on a GPU, where there is one."""
    found = gpu_inference()
    if not found.available:
        print(f"IO binding on a GPU: not judged, {found.reason}", flush=True)
        return {"gpu": None, "reason": found.reason}
    model = load_model(create_model("mlp", folder / "mlp.onnx"), LoadOptions(providers="CUDA"))
    record = benchmark(model, Plan((1, 1024, 65536), 300, 50, ("CUDA",), (False, True)), timeout=300)
    for batch in (1, 1024, 65536):
        bound, plain = record.row("CUDA", batch, True), record.row("CUDA", batch, False)
        ratio = bound.latency("p50") / plain.latency("p50")
        bars.at_most(f"IO binding over none, batch {batch}", ratio, BINDING)
    model.close()
    return {"gpu": found.gpus, "rows": [str(row) for row in record.rows]}


def main() -> int:
    parser = argparse.ArgumentParser(description="What the ONNX part costs.")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bars = Bars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rounds = bars.times(
            lambda: call_cost(folder, options.calls), {"the keyword over session.run": ("<=", CALL)}, tries=5
        )
        for number, figures in enumerate(rounds, start=1):
            shown = ", ".join(f"{what} {seconds * 1000:.3f} ms" for what, seconds in figures.items())
            print(f"  round {number}: {shown}", flush=True)
        ratios, rate = generation_ratios(options.tokens, options.rounds)
        print(f"generation: {rate:.0f} tokens/s on one thread", flush=True)
        bars.at_least("generation over a bare loop", statistics.median(ratios), GENERATION)
        left = left_after_unloading(folder)
        bars.at_most("left after ten models were unloaded", left / 1e6, LEFT / 1e6, "MB")
        gpu = binding_on_gpu(folder, bars)
    if options.json is not None:
        figures = {
            "calls": [dict(item) for item in rounds],
            "generation ratios": ratios,
            "tokens per second": rate,
            "bytes left": left,
            "gpu": gpu,
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
