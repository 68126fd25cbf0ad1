"""Prove a stand-in by the suites: they say the same of it as of the real server, test by test.

    PYTHONPATH=tests python -m dialect_suites [--real FOLDER] [--output FOLDER] [NAME...]

The real server is started from its own profile; the stand-in from the same profile, with the simulator in place of the
program. --real takes a run of the suites against the real server that was made before. What differs must stand, with
the reason, in tests/data/recorded/NAME.suites: a pattern of tests, a tab, the reason; an entry that nothing meets is
told as well, unless its reason begins with "at times". Where the real server is not at hand the proof is skipped, and
says so: llama.cpp is built, Ollama and mistral.rs are those that `make test-ollama` and `make test-mistralrs` have
built, or what OLLAMA and MISTRALRS name.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from recordings import FOLDER

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.report.robot_output import find_output, read_output
from InferenceLibrary.report.run_comparison import keys
from InferenceLibrary.report.run_results import RunResults
from InferenceLibrary.servers.profile import SHIPPED

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "InferenceLibrary" / "simulator" / "scenarios"
NOT_OF_A_TARGET = "simulatorORonnxORterminal"
"""Tags of tests that say nothing of a server: it is not asked, or by a person's client alone."""
AT_TIMES = "at times "
"""Begins the reason of what differs in one run and not in the next."""
CANNOT_BUILD = 77
"""The exit code of scripts/build_llamacpp.py where nothing can be built."""


SERVING = ["--host", "{host}", "--port", "{port}", "--model", "{model}"]
"""What a stand-in is told that is the server alone."""


class Pair(NamedTuple):
    """A real server and its stand-in."""

    profile: str
    """The shipped profile of the real server."""
    stand_in: tuple[str, ...]
    """Arguments of the simulator that stands in for it."""
    lacks: Mapping[str, str]
    """What it does not offer beside what the real one does not, with the reason."""
    prepared: Callable[[Path], dict[str, str] | None]
    """Returns the variables of the environment that the real server needs; None where it is not at hand."""
    model: str = ""
    """The model that is asked for; that of the profile by default."""
    scenario: str = "capitals"
    """The shipped scenario that the stand-in answers from."""
    known: tuple[Mapping[str, Any], ...] = ()
    """Rules before those of the scenario."""
    otherwise: str = ""
    """The one answer to all that the scenario does not know; empty: what chance gives."""
    is_program: bool = False
    """Whether it stands in for the program too, not for what it serves alone."""


def llama_cpp(folder: Path) -> dict[str, str] | None:
    """Build llama.cpp and make it a model."""
    from InferenceLibrary.modelfiles.tiny import create_tiny_model

    words = [sys.executable, str(ROOT / "scripts" / "build_llamacpp.py")]
    built = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode == CANNOT_BUILD:
        return None
    built.check_returncode()
    binaries = Path(built.stdout.strip().splitlines()[-1])
    create_tiny_model(folder / "capitals.gguf", kind="capitals", size=100_000_000)
    return {
        "LLAMA_SERVER": str(binaries / "llama-server"),
        "LLAMA_CLI": str(binaries / "llama-cli"),
        "TEST_MODEL_PATH": str(folder),
        "TEST_MODEL_FILE": "capitals.gguf",
    }


def installed(name: str) -> str | None:
    """Return the path of a program that the environment names, or that was built before; None where there is none."""
    named = os.environ.get(name.upper())
    if named:
        return named
    words = [sys.executable, str(ROOT / "scripts" / "install_program.py"), name, "--check"]
    found = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode == CANNOT_BUILD:
        return None
    found.check_returncode()
    return found.stdout.strip()


def ollama(folder: Path) -> dict[str, str] | None:
    """Give Ollama a model."""
    from servers.test_ollama import MODELFILE

    from InferenceLibrary.modelfiles.tiny import create_tiny_model
    from InferenceLibrary.processes.ports import free_port

    program = installed("ollama")
    if program is None:
        return None
    create_tiny_model(folder / "tools.gguf", "tools", size=20_000_000)
    (folder / "Modelfile").write_text(f"FROM {folder / 'tools.gguf'}{MODELFILE}", encoding="utf-8")
    variables = {
        "OLLAMA": program, "HOME": str(folder), "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_CONTEXT_LENGTH": "1024", "OLLAMA_HOST": f"127.0.0.1:{free_port()}",
    }  # fmt: skip
    serving = subprocess.Popen([program, "serve"], env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(variables["OLLAMA_HOST"]), 60)
        words = [program, "create", "tiny", "-f", str(folder / "Modelfile")]
        subprocess.run(words, env={**os.environ, **variables}, check=True, capture_output=True)
    finally:
        serving.terminate()
        serving.wait(20)
    del variables["OLLAMA_HOST"]
    return variables


def mistralrs(folder: Path) -> dict[str, str] | None:
    """Make mistral.rs a model."""
    from InferenceLibrary.modelfiles.tiny import create_tiny_model

    program = installed("mistralrs")
    if program is None:
        return None
    model = create_tiny_model(folder / "models" / "capitals.gguf", "capitals").path
    options = {"model_path": str(model.parent), "format": "gguf", "model_filename": model.name}
    return {"MISTRALRS": program, "INFERENCE_TARGET_OPTIONS": json.dumps(options)}


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


_TIME = {
    "match": {"prompt": "(?i)time", "tools": True},
    "answer": {"tool_calls": [{"name": "get_time", "arguments": {}}]},
}
_STORY = {
    "match": {"prompt": "(?i)^tell me a story"},
    "answer": {"text": "Once upon a time a robot lived in a lighthouse by the sea, and every evening it lit the lamp."},
}
PAIRS = {
    "llama.cpp": Pair(
        "llama.cpp",
        ("--as", "llama.cpp@b0", "--inter-token-latency", "4ms"),
        {"gguf models": "the stand-in reads no model file"},
        llama_cpp,
    ),
    "ollama": Pair(
        "ollama",
        ("--as", "ollama", "--max-model-len", "1024", "--inter-token-latency", "4ms"),
        {},
        ollama,
        "tiny",
        scenario="tiny",
        known=(_TIME, _STORY),
    ),
    "mistralrs": Pair(
        "mistralrs",
        ("--as", "mistralrs@0.8.1", "--inter-token-latency", "4ms"),
        {},
        mistralrs,
        otherwise="I am a very small model and only know a few capitals.",
        is_program=True,
    ),
}


def scenario(pair: Pair) -> dict[str, Any]:
    """Return what the model of a real server answers where the shipped scenario does not know: a text, or a tool."""
    told: dict[str, Any] = yaml.safe_load((SCENARIOS / f"{pair.scenario}.yaml").read_text(encoding="utf-8"))
    told["rules"] = [*pair.known, *told["rules"]]
    if pair.otherwise:
        told["rules"].append({"answer": {"text": pair.otherwise}})
    return told


def stand_in_profile(pair: Pair, folder: Path) -> Path:
    """Write the real server's profile with the stand-in for its program, on the same command line; return the file.

    What is said of a program or a chat in a terminal goes where the stand-in is the server alone.
    """
    profile = yaml.safe_load((SHIPPED / f"{pair.profile}.yaml").read_text(encoding="utf-8"))
    answers = folder / "scenario.yaml"
    answers.write_text(json.dumps(scenario(pair), indent=1), encoding="utf-8")
    words = [sys.executable, "-m", "InferenceLibrary.simulator", *pair.stand_in, "--scenario", str(answers)]
    start = profile["start"]
    there = start["command"][1:]
    # Ollama is told by its environment.
    start["command"] = [*words, *(there if there != ["serve"] else SERVING)]
    del start["options"]["program"]
    profile["lacks"] = {**profile.get("lacks", {}), **pair.lacks}
    for section in ("program", "terminal"):
        if pair.is_program:
            profile[section]["command"] = [*words, *profile[section]["command"][1:]]
        else:
            profile.pop(section, None)
    path = folder / f"{pair.profile}.yaml"
    path.write_text(json.dumps(profile, indent=1), encoding="utf-8")
    return path


def run(target: str, model: str, folder: Path, environment: Mapping[str, str]) -> RunResults:
    """Run the suites against a target; return what they say."""
    command = [sys.executable, "-m", "robot", "--name", "Suites", "--variable", f"TARGET:{target}"]
    command += ["--variable", f"MODEL:{model}"] if model else []
    command += ["--exclude", NOT_OF_A_TARGET, "--outputdir", str(folder), "--console", "dotted"]
    command += [str(ROOT / "robot" / "integration")]
    subprocess.run(command, check=False, env={**os.environ, **environment})
    return read(folder)


def read(folder: Path) -> RunResults:
    """Return what a run says."""
    return read_output(find_output(folder))


def differences(stand_in: RunResults, real: RunResults, reasons: Mapping[str, str]) -> list[str]:
    """Return the tests that end otherwise, and have no reason to; and reasons that no test needs."""
    left, right = keys(stand_in), keys(real)
    found: list[str] = []
    used: set[str] = set()
    for name in [*left, *(one for one in right if one not in left)]:
        here, there = left.get(name), right.get(name)
        ends = [one.status if one is not None else "missing" for one in (here, there)]
        if ends[0] == ends[1]:
            continue
        allowed = {pattern for pattern in reasons if fnmatch(name, pattern)}
        used |= allowed
        if not allowed:
            why = [one.error.partition("\n")[0] for one in (here, there) if one is not None and one.error]
            found.append(f"{name}: {ends[0]} on the stand-in, {ends[1]} on the real server: {'; '.join(why)}")
    unmet = [name for name, reason in reasons.items() if name not in used and not reason.startswith(AT_TIMES)]
    found += [f"allowed, but nothing differs: {pattern}" for pattern in unmet]
    return found


def reasons_of(name: str) -> dict[str, str]:
    """Return the tests that may differ, by the pattern of their names, each with the reason."""
    path = FOLDER / f"{name}.suites"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split("\t", 1) for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Run the suites on both sides and compare them; return the exit code."""
    parser = argparse.ArgumentParser(prog="dialect_suites", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PAIRS)}; all by default")
    parser.add_argument("--real", type=Path, help="a run against the real server that was made before")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "suites")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in PAIRS]
    if unknown:
        parser.error(f"'{unknown[0]}' is not one of {', '.join(PAIRS)}")
    failed = 0
    for name in given.names or PAIRS:
        folder = given.output.absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        pair = PAIRS[name]
        variables = pair.prepared(folder)
        if variables is None:
            print(f"SKIPPED: the real {name} is not at hand", file=sys.stderr)
            continue
        here = run(str(stand_in_profile(pair, folder)), pair.model, folder / "stand-in", variables)
        real = run(pair.profile, pair.model, folder / "real", variables) if given.real is None else read(given.real)
        found = differences(here, real, reasons_of(name))
        print(f"{name}: {len(here.tests)} tests on the stand-in and the real server, {len(found)} problems")
        print("".join(f"    {line}\n" for line in found), end="")
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
