"""Measure the load clients of others beside ours: CPU a token, paced, in bursts and with one token an answer.

    python benchmarks/load_peers.py [NAME ...] [--streams 256] [--rounds 3]

Each is installed into an environment of its own in the cache, once; what cannot be had or fails is told with its
reason, and the others are measured. In every round all clients send the same loads to the simulator, one after the
other; `load_window.py` tells how they are measured. The table, medians of the rounds, goes to
`benchmarks/load_peers.md` with its date. Ratios hold on any machine, times do not.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bars import Bars, Ticks, leave_by_sigterm
from load_window import PATIENCE, Cost, Unusable, difference, watched
from stand_in import Server

_ROOM = ("--max-num-seqs", "2000")
_PACED = ("--time-to-first-token", "200ms", "--inter-token-latency", "20ms", *_ROOM)


class Shape(NamedTuple):
    """What the answers of a load are like."""

    title: str
    tokens: int
    server: tuple[str, ...]
    times: int = 4
    """The larger load over the smaller one."""


SHAPES = {
    "paced": Shape("200 ms, then 20 ms each of 100 tokens", 100, _PACED),
    "burst": Shape("100 tokens without delay", 100, _ROOM, 16),
    "one": Shape("one token", 1, _ROOM, 32),
}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "inferencelibrary-peers"


class Job(NamedTuple):
    """One load."""

    url: str
    streams: int
    requests: int
    tokens: int
    folder: Path
    """Has the tokenizer `tok`; results may go there."""


class Peer(NamedTuple):
    """A client of others."""

    package: str
    program: str
    arguments: Callable[[Job], list[str]]
    most: dict[str, float]
    """Bars by shape: our CPU a token until the last answer, as a share of its."""
    python: tuple[int, int] = (3, 11)


def _aiperf(job: Job) -> list[str]:
    return [
        *("profile", "--model", "fake-model", "--url", job.url, "--endpoint-type", "chat", "--streaming"),
        *("--concurrency", str(job.streams), "--request-count", str(job.requests), "--tokenizer", "tok"),
        *("--synthetic-input-tokens-mean", "32", "--output-tokens-mean", str(job.tokens), "--use-server-token-count"),
        *("--extra-inputs", "ignore_eos:true", "--extra-inputs", f"min_tokens:{job.tokens}", "--ui-type", "none"),
        *("--artifact-dir", "aiperf"),
    ]


def _inference_perf(job: Job) -> list[str]:
    lengths = {**dict.fromkeys(("min", "max", "mean"), job.tokens), "std_dev": 0, "total_count": job.requests}
    config = {
        "load": {
            "type": "concurrent", "num_workers": 1,
            "stages": [{"num_requests": job.requests, "concurrency_level": job.streams}],
        },
        "api": {"type": "completion", "streaming": True},
        "server": {"type": "vllm", "model_name": "fake-model", "base_url": job.url, "ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": "tok"},
        "data": {"type": "random", "input_distribution": {**lengths, "min": 16, "max": 16, "mean": 16},
                 "output_distribution": lengths},
        "storage": {"local_storage": {"path": "inference-perf"}},
    }  # fmt: skip
    (job.folder / "inference-perf.yaml").write_text(json.dumps(config))
    return ["--config_file", "inference-perf.yaml"]


def _vllm(job: Job) -> list[str]:
    return [
        *("bench", "serve", "--backend", "openai-chat", "--base-url", job.url, "--endpoint", "/v1/chat/completions"),
        *("--model", "fake-model", "--tokenizer", "tok", "--dataset-name", "random", "--random-input-len", "32"),
        *("--random-output-len", str(job.tokens), "--num-prompts", str(job.requests), "--ignore-eos"),
        *("--max-concurrency", str(job.streams)),
    ]


def _guidellm(job: Job) -> list[str]:
    return [
        *("run", "--backend", f"kind=openai_http,target={job.url},model=fake-model"),
        *("--profile", f"kind=concurrent,streams={job.streams}"),
        *("--constraint", f"kind=max_requests,count={job.requests}", "--tokenizer", "kind=huggingface_auto,model=tok"),
        *("--data", f"kind=synthetic_text,prompt_tokens=32,output_tokens={job.tokens}"),
        *("--output", "kind=json,path=guidellm.json", "--disable-console"),
    ]


PEERS = {
    "AIPerf": Peer("aiperf", "aiperf", _aiperf, {"paced": 0.15, "burst": 1 / 20}),
    "inference-perf": Peer(
        "inference-perf", "inference-perf", _inference_perf, {"paced": 0.33, "burst": 1 / 8}, (3, 12)
    ),
    "vllm bench serve": Peer("vllm", "vllm", _vllm, {"paced": 0.6, "burst": 1 / 3.5, "one": 0.1}),
    "GuideLLM": Peer("guidellm", "guidellm", _guidellm, {"paced": 0.12, "burst": 1 / 30}),
}
_OURS = """
import sys
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind
from InferenceLibrary.load.run import run
url, (streams, requests, tokens) = sys.argv[1], map(int, sys.argv[2:])
kind = Kind.chat(model="fake-model", max_tokens=tokens, extra={"ignore_eos": True, "min_tokens": tokens})
result = run(LoadPlan(url, Users(streams), (kind,), requests=requests, judged=0))
assert result.failures == 0, result.errors
"""
_NAME = "Run Load"


def installed(peer: Peer) -> Path:
    """Return the program of a peer, which is installed where it is not yet."""
    home = _CACHE / peer.package
    program = home / "bin" / peer.program
    if program.exists():
        return program
    python = next((one for one in _pythons() if _version(one) >= peer.python), None)
    if python is None:
        raise Unusable(f"needs Python {'.'.join(map(str, peer.python))}")
    uv = str(Path(sys.executable).with_name("uv"))
    try:
        _install(uv, "venv", "--quiet", "--clear", "--python", python, str(home))
        _install(uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), peer.package)
        if not program.exists():
            raise Unusable(f"cannot be installed: {peer.package} has no program {peer.program}")
    except Unusable:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return program


def _install(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unusable(f"cannot be installed: it took more than {PATIENCE} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no word"]
        raise Unusable(f"cannot be installed: {said[-1].strip()[:200]}")


def _pythons() -> list[str]:
    names = (sys.executable, "python3.12", "python3.13", "python3.14")
    return [found for name in names if (found := shutil.which(name)) is not None]


def _version(python: str) -> tuple[int, int]:
    done = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    major, minor = map(int, done.stdout.split() or (0, 0))
    return major, minor


def cost(command: Callable[[Job], list[str]], streams: int, shape: Shape) -> Cost:
    """Return what a token costs: the difference of a load and one of several times its size."""
    server = Server(*shape.server)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_tokenizer(folder / "tok")
            url = f"http://127.0.0.1:{server.port}"
            jobs = [Job(url, streams, streams * times, shape.tokens, folder) for times in (1, shape.times)]
            return difference(*(watched(command(job), folder, server) for job in jobs))
    finally:
        server.close()


def make_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single bytes, as the tokenizers of the field are written."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(("bos_token", "eos_token", "pad_token"), "!"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))


def release(program: Path, package: str) -> str:
    """Return the release of an installed package."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(program.with_name("python")), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def ours(job: Job) -> list[str]:
    """The command of our own client."""
    return [sys.executable, "-c", _OURS, job.url, str(job.streams), str(job.requests), str(job.tokens)]


class Client(NamedTuple):
    """What is measured."""

    command: Callable[[Job], list[str]]
    release: str


def clients(names: Sequence[str]) -> tuple[dict[str, Client], dict[str, str]]:
    """Return our client and those peers that can be had, and the reasons why others cannot."""
    found, missing = {_NAME: Client(ours, "this checkout")}, {}
    for name in names:
        peer = PEERS[name]
        try:
            program = installed(peer)
        except Unusable as reason:
            missing[name] = str(reason)
            print(f"{name}: not measured: {reason}", flush=True)
            continue
        found[name] = Client(
            lambda job, peer=peer, program=program: [str(program), *peer.arguments(job)],
            release(program, peer.package),
        )
    return found, missing


def measured(shape: Shape, found: Mapping[str, Client], streams: int, rounds: int) -> dict[str, list[Cost] | str]:
    """Return the costs of each client in all rounds, or the reason why it was given up."""
    costs: dict[str, list[Cost] | str] = {name: [] for name in found}
    for _ in range(rounds):
        for name, client in found.items():
            if isinstance(seen := costs[name], str):
                continue
            try:
                seen.append(cost(client.command, streams, shape))
            except Unusable as reason:
                costs[name] = str(reason)
            print(f"{shape.title}: {name}: {costs[name] if isinstance(costs[name], str) else seen[-1]}", flush=True)
    return costs


def rows(key: str, costs: Mapping[str, list[Cost] | str], found: Mapping[str, Client], bars: Bars) -> list[str]:
    """Return the lines of a shape, and judge what has a bar; our client is the yardstick of its round."""
    title, lines = SHAPES[key].title, []
    yardstick = costs[_NAME]
    if isinstance(yardstick, str):
        raise SystemExit(f"{title}: {_NAME} {yardstick}")
    for name, seen in costs.items():
        if isinstance(seen, str):
            own = found[name].release if name in found else "-"
            lines.append(f"| {title} | {name} | {own} | not measured: {seen.replace('|', '/')} | - | - | - |")
            bars.not_judged.append(f"{key}: {name}")
            continue
        pairs = list(zip(yardstick, seen, strict=True))
        cells = [
            f"{statistics.median(of(one) for one in seen):.1f} | "
            f"{statistics.median(of(one) / of(own) for own, one in pairs):.1f}"
            for of in (lambda one: one.sending, lambda one: one.whole)
        ]
        lines.append(f"| {' | '.join((title, name, found[name].release, *cells))} |")
        if name in PEERS and key in PEERS[name].most:
            share = statistics.median(own.sending / one.sending for own, one in pairs)
            bars.at_most(f"{key}: CPU a token as a share of {name}", share, PEERS[name].most[key])
    return lines


def main() -> int:
    leave_by_sigterm()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(PEERS)}; all by default")
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    if unknown := set(options.names) - PEERS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(PEERS)}")
    bars = Bars()
    found, missing = clients(options.names or list(PEERS))
    before = Ticks.now()
    table: list[str] = []
    for key in options.shapes:
        costs = measured(SHAPES[key], found, options.streams, options.rounds)
        table += rows(key, {**costs, **missing}, found, bars)
    after = Ticks.now()
    others = max(0, after.foreign - before.foreign) / max(1, after.whole - before.whole)
    lines = [
        "# Load clients beside ours",
        "",
        f"{datetime.date.today():%d %B %Y}, {platform.system()} on {os.cpu_count()} cores, of which other work took "
        f"{others:.0%}; {options.streams} streams, medians of interleaved rounds ({options.rounds}). "
        "`make bench-load-peers` writes this table.",
        "",
        "CPU time of all processes of a client, but for its start: until the last answer, to which the bars are held, "
        "and until its end. Ours reads its answers when the last of them has come.",
        "",
        "| answers | client | release | CPU us a token until the last answer | times ours "
        "| CPU us a token until its end | times ours |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *table,
    ]
    options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return bars.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
