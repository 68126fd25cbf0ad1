"""Keep a simulator running on a port: in a container when an engine answers, else as a local process.

    standing_simulator.py up|down|logs [--port 8100] [--engine auto|docker|none]

The container is what docker-compose.test.yml describes; INFERENCE_SIMULATOR_IMAGE names another image, and
COMPOSE_PROFILES=latency,failures,lora starts its variants beside it. `down` leaves nothing: no process, no container,
no file.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.ports import LOOPBACK, is_free

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = ROOT / "docker-compose.test.yml"
ARGUMENTS = ("--as", "llm-d", "--model", "fake-model", "--scenario", "capitals")
"""The system whose container this stands in for, where no engine answers."""
PACE = ("--time-to-first-token", "20ms", "--inter-token-latency", "5ms")
"""So that a measurement finds tokens that arrive one after the other, as those of a real server do."""
EVERY_PROFILE = ("--profile", "*")
"""What is asked of compose about what stands, whichever variants were started."""
DEFAULT_PORT = 8100
READY_SECONDS = 60.0
COMPOSE_SECONDS = 600.0
"""A first start pulls the image."""
STOP_SECONDS = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("action", choices=["up", "down", "logs"])
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--engine", choices=["auto", "docker", "none"], default=os.environ.get("ENGINE", "auto"))
    arguments = parser.parse_args()
    standing = Standing(arguments.port)
    if arguments.action == "up":
        return standing.up(arguments.engine)
    return standing.down() if arguments.action == "down" else standing.logs()


class Standing:
    """The simulator that stands on one port, and the file that remembers how it was started."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.state = ROOT / "results" / f"standing-simulator-{port}.json"
        self.log = self.state.with_suffix(".log")

    def up(self, engine: str) -> int:
        if self._stands():
            print(f"A simulator stands at http://{LOOPBACK}:{self.port} already.")
            return 0
        if self.state.exists() and self.down() != 0:
            return 1
        if not is_free(self.port):
            return self._fail(f"port {self.port} is taken by another program. Hint: stop it, or use another PORT=...")
        if engine == "docker" or (engine == "auto" and engine_answers()):
            return self._up_container()
        return self._up_process()

    def down(self) -> int:
        if not self.state.exists() and not self._forgotten_containers():
            print(f"No simulator of ours stands on port {self.port}.")
            return 0
        known = self._known()
        if known["kind"] == "container":
            done = self._compose(*EVERY_PROFILE, "down", "--volumes", "--remove-orphans")
            if done.returncode != 0:
                return self._fail(f"docker compose down failed:\n{done.stderr.strip()}")
        elif known["kind"] == "process" and not self._end_process(known["pid"], known["started"]):
            return self._fail(f"process {known['pid']} did not end within {STOP_SECONDS:g} s.")
        self.state.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        print(f"The simulator on port {self.port} is gone.")
        return 0

    def logs(self) -> int:
        if not self.state.exists():
            return self._fail(f"no simulator of ours stands on port {self.port}. Hint: make test-integration-up")
        if self._known()["kind"] == "container":
            done = self._compose(*EVERY_PROFILE, "logs", "--no-color")
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            return done.returncode
        if self.log.exists():
            sys.stdout.write(self.log.read_text(encoding="utf-8", errors="replace"))
        return 0

    def _known(self) -> dict[str, Any]:
        """Return how it was started; of a file that was cut off, that nothing is known."""
        try:
            known = json.loads(self.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            # Somebody has emptied results/ while containers stood.
            return {"kind": "container"}
        except ValueError:
            known = None
        return known if isinstance(known, dict) and "kind" in known else {"kind": "unknown"}

    def _stands(self) -> bool:
        """Whether what answers on the port is what was started, and not a foreign server after ours has died."""
        if not self.state.exists() or not self._healthy():
            return False
        known = self._known()
        return known["kind"] == "container" or (
            known["kind"] == "process" and start_time(known["pid"]) == known["started"]
        )

    def _up_process(self) -> int:
        program = shutil.which("inference-simulator", path=str(Path(sys.executable).parent))
        if program is None:
            return self._fail(f"inference-simulator is not beside {sys.executable}. Hint: make install")
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [program, "--host", LOOPBACK, "--port", str(self.port), *ARGUMENTS, *PACE],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._remember({"kind": "process", "pid": process.pid, "started": start_time(process.pid)})
        wait_until(lambda: process.poll() is not None or self._healthy(), READY_SECONDS)
        if process.poll() is not None or not self._healthy():
            tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:])
            process.kill()
            process.wait()
            self.state.unlink()
            self.log.unlink()
            return self._fail(f"the simulator did not get ready on port {self.port}:\n{tail}")
        # Its parent ends now; nobody is to be told of its end.
        process.returncode = 0
        print(
            f"A simulator stands at http://{LOOPBACK}:{self.port} (process {process.pid}). "
            f"{self._down_command()} ends it."
        )
        return 0

    def _up_container(self) -> int:
        self._remember({"kind": "container"})
        done = self._compose("up", "--detach")
        if done.returncode != 0:
            self._compose(*EVERY_PROFILE, "down", "--volumes", "--remove-orphans")
            self.state.unlink()
            return self._fail(
                f"docker compose up failed:\n{done.stderr.strip()}\n"
                "Hint: INFERENCE_SIMULATOR_IMAGE names another image; ENGINE=none starts a local process instead."
            )
        if not wait_until(self._healthy, READY_SECONDS, longest=0.2):
            logs = self._compose(*EVERY_PROFILE, "logs", "--no-color", "--tail", "10").stdout
            self.down()
            return self._fail(f"the container did not answer on port {self.port} within {READY_SECONDS:g} s:\n{logs}")
        beside = [port for port in self._published() if port != self.port]
        for port in beside:
            wait_until(lambda port=port: healthy(port), READY_SECONDS, longest=0.2)
        also = f", its variants on {', '.join(map(str, beside))}" if beside else ""
        print(f"A simulator stands at http://{LOOPBACK}:{self.port} (container){also}. {self._down_command()} ends it.")
        return 0

    def _published(self) -> list[int]:
        """Ports of all services of the project."""
        lines = self._compose(*EVERY_PROFILE, "ps", "--format", "json").stdout.splitlines()
        ports = [part.get("PublishedPort", 0) for line in lines for part in json.loads(line).get("Publishers") or []]
        return sorted({port for port in ports if port})

    def _forgotten_containers(self) -> bool:
        """Whether containers of ours stand although the file that remembers them is gone."""
        return engine_answers() and bool(self._compose(*EVERY_PROFILE, "ps", "--all", "--quiet").stdout.strip())

    def _end_process(self, pid: int, started: str) -> bool:
        """End the process, unless its number has gone to another one since."""
        if start_time(pid) != started:
            return True
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                return True
            if wait_until(lambda: start_time(pid) != started, STOP_SECONDS / 2):
                return True
        return False

    def _compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            "docker",
            "compose",
            "--ansi",
            "never",
            "--file",
            str(COMPOSE_FILE),
            "--project-name",
            f"inference-{self.port}",
        ]
        environment = {**os.environ, "INFERENCE_SIMULATOR_PORT": str(self.port)}
        command += arguments
        try:
            return subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=COMPOSE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"no end of it within {COMPOSE_SECONDS:g} s")

    def _remember(self, facts: dict[str, object]) -> None:
        self.state.parent.mkdir(exist_ok=True)
        self.state.write_text(json.dumps(facts), encoding="utf-8")

    def _healthy(self) -> bool:
        return healthy(self.port)

    def _down_command(self) -> str:
        return "make test-integration-down" + ("" if self.port == DEFAULT_PORT else f" PORT={self.port}")

    def _fail(self, text: str) -> int:
        print(f"standing simulator: {text}", file=sys.stderr)
        return 1


def healthy(port: int) -> bool:
    """Whether a server on a port of this machine says that it is healthy."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def engine_answers() -> bool:
    """Whether a container engine with compose can be used."""
    if shutil.which("docker") is None:
        return False
    probes = (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"])
    return all(subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0 for probe in probes)


def start_time(pid: int) -> str:
    """Return when a process was started, empty when there is none (a zombie counts as none)."""
    done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = done.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else started.strip()


if __name__ == "__main__":
    sys.exit(main())
