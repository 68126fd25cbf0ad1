"""Measure the load clients of others beside ours: CPU a token event, paced, in bursts and with one token an answer.

    python benchmarks/load_peers.py [NAME ...] [--streams 64]

Each is installed by pip into an environment of its own in the cache, once; what cannot be had or fails is told with its
reason. Each sends two loads of different size to the simulator: the difference of CPU time, that of its processes
included, over the difference of events leaves out what starting costs. The table goes to `benchmarks/load_peers.md`
with its date. Ratios hold on any machine, times do not.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bars import Bars
from simulator import Server

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
    "burst": Shape("100 tokens without delay", 100, _ROOM, 8),
    "one": Shape("one token", 1, _ROOM, 16),
}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "inferencelibrary-peers"
_PATIENCE = 900
_TABLE = Path(__file__).with_suffix(".md")


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
    """Bars by shape: our CPU a token event until the last answer, as a share of its."""
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
print("sending:", sum(facts.cpu for facts in result.workers))
"""
_SENDING = "sending:"


class Unusable(Exception):
    """A peer cannot be had or does not run: the reason."""


def installed(peer: Peer) -> Path:
    """Return the program of a peer, which is installed where it is not yet."""
    home = _CACHE / peer.package
    program = home / "bin" / peer.program
    if program.exists():
        return program
    python = next((one for one in _pythons() if _version(one) >= peer.python), None)
    if python is None:
        raise Unusable(f"needs Python {'.'.join(map(str, peer.python))}")
    subprocess.run([python, "-m", "venv", str(home)], check=True)
    done = subprocess.run(
        [str(home / "bin" / "pip"), "install", "--quiet", peer.package], capture_output=True, text=True, check=False
    )
    if done.returncode or not program.exists():
        shutil.rmtree(home)
        raise Unusable(f"cannot be installed: {(done.stderr.strip().splitlines() or ['no program'])[-1][:200]}")
    return program


def _pythons() -> list[str]:
    names = (sys.executable, "python3.12", "python3.13", "python3.14")
    return [found for name in names if (found := shutil.which(name)) is not None]


def _version(python: str) -> tuple[int, int]:
    done = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    major, minor = map(int, done.stdout.split() or (0, 0))
    return major, minor


def cpu_of(command: list[str], folder: Path) -> tuple[float, str]:
    """Return the CPU seconds of a command and of all that it waited for, and what it wrote."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A tokenizer in a folder is refused by some where this is set to anything.
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unusable(f"did not end within {_PATIENCE} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no word"]
        raise Unusable(f"exit code {done.returncode}: {said[-1][:200]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def generated(server: Server) -> int:
    """Return the tokens that a simulator has generated, by its metrics."""
    with server.connect() as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        page = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode()
    return int(
        sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:generation_tokens_total"))
    )


class Cost(NamedTuple):
    """CPU microseconds of a token event."""

    whole: float
    sending: float | None = None
    """Of them those while requests were sent and answers came, where the client says so."""


def cost(command: Callable[[Job], list[str]], streams: int, shape: Shape) -> Cost:
    """Return what a token event costs: the difference of a load and one of several times its size."""
    spent: list[float] = []
    sending: list[float] = []
    events: list[int] = []
    server = Server(*shape.server)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_tokenizer(folder / "tok")
            for times in (1, shape.times):
                before = generated(server)
                job = Job(f"http://127.0.0.1:{server.port}", streams, streams * times, shape.tokens, folder)
                seconds, said = cpu_of(command(job), folder)
                spent.append(seconds)
                sending += [
                    float(line.removeprefix(_SENDING)) for line in said.splitlines() if line.startswith(_SENDING)
                ]
                events.append(generated(server) - before)
    finally:
        server.close()
    more = events[1] - events[0]
    if more <= 0:
        raise Unusable(f"sent no larger load: {events[0]} and {events[1]} tokens were generated")
    found = [(one[1] - one[0]) / more * 1e6 for one in (spent, sending) if len(one) == 2]
    return Cost(*found)


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(PEERS)}; all by default")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    if unknown := set(options.names) - PEERS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(PEERS)}")
    bars = Bars()
    rows = []
    for key in options.shapes:
        shape = SHAPES[key]
        own = cost(ours, options.streams, shape)
        sending = own.sending or own.whole
        rows.append((shape.title, "Run Load, whole", "this checkout", f"{own.whole:.1f}", f"{own.whole / sending:.1f}"))
        rows.append((shape.title, "Run Load, until the last answer", "this checkout", f"{sending:.1f}", "1.0"))
        for name in options.names or PEERS:
            peer = PEERS[name]
            try:
                program = installed(peer)
                spent = cost(
                    lambda job, peer=peer, program=program: [str(program), *peer.arguments(job)], options.streams, shape
                ).whole
                rows.append(
                    (shape.title, name, release(program, peer.package), f"{spent:.1f}", f"{spent / sending:.1f}")
                )
                if key in peer.most:
                    bars.at_most(f"{key}: CPU a token event as a share of {name}", sending / spent, peer.most[key])
            except Unusable as reason:
                rows.append((shape.title, name, "-", f"not measured: {reason}", "-"))
                bars.not_judged.append(f"{key}: {name}")
            print(" | ".join(rows[-1]), flush=True)
    lines = [
        "# Load clients beside ours",
        "",
        f"{datetime.date.today():%d %B %Y}, {platform.system()} on {os.cpu_count()} cores, {options.streams} streams. "
        "`make bench-load-peers` writes this table.",
        "",
        "All CPU time of a client counts, but for its start; ours reads its answers when the last of them has come. "
        "The last column is over ours until then, which the bars are held to.",
        "",
        "| answers | client | release | CPU us a token | times ours |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    _TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return bars.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
