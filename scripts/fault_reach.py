"""Measure which answers of which personality each fault can change, and write the table that `--list-faults` tells.

    fault_reach.py            writes InferenceLibrary/simulator/faults/reach.json
    fault_reach.py NAME ...   prints what is measured for these faults

A fault without a row may strike anywhere: those of time, of size and of the process are not played.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from plain_calls import CALLS, MODEL, SERVERS, UNKNOWN_MODELS, PlainCall, bytes_of
from recorded_calls import record

from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.processes.ports import free_port
from InferenceLibrary.simulator.faults.catalogue import KINDS, REACH_FILE
from InferenceLibrary.simulator.faults.kinds import FaultKind

MODELS = {"service": "phi-4", "mistralrs": "default"}
KEYS = {"router": ("x-api-key", "dev-test-key"), "keyed": ("authorization", "Bearer key-of-the-house")}
# What strikes before there is a request, or only after others that were made for something else.
NOT_PLAYED = {"refuse-connection", "stuck-after-error", "metrics-frozen"}
Reach = dict[str, dict[str, list[str]]]


class Server:
    """A simulator that stands in for one personality."""

    def __init__(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", *arguments, "--control-port", "0"]
        command += ["--record-requests", "1000"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        self.personality = "openai" if name == "keyed" else name
        self.model = MODELS.get(name, MODEL)
        self._key = KEYS.get(name)
        assert self.process.stdout is not None
        self.port = self.control = 0
        for line in self.process.stdout:
            found = re.search(r"(control|listening) on http://127\.0\.0\.1:(\d+)\.?\s*$", line)
            if found is not None and found[1] == "control":
                self.control = int(found[2])
            elif found is not None:
                self.port = int(found[2])
                break
        assert self.port, f"{name} did not start"
        calls = self._calls(name)
        # A route that answers nothing well is not one that it has.
        good = {call.path for call in calls if (self.call(call) or 500) < 400}
        self.calls = [call for call in calls if call.path in good or call.server == "keyed"]

    def _calls(self, name: str) -> Iterable[PlainCall]:
        own = [call for call in CALLS if call.server == name]
        others = [call for call in CALLS if call.server == ("keyed" if name == "keyed" else "openai")]
        if name == "worker":
            others = []
        named = []
        for call in (*own, *(call for call in others if call not in own)):
            body = call.body
            if isinstance(body, dict) and name != "worker" and body.get("model") not in UNKNOWN_MODELS:
                body = {**body, "model": "MODEL"}
            named.append(replace(call, body=body))
        return named

    def call(self, call: PlainCall) -> int | None:
        """Make a call; return its status."""
        headers = {"content-type": call.content_type, "x-request-id": call.name, **dict(call.headers)}
        if self._key is not None and call.server != "keyed":
            headers[self._key[0]] = self._key[1]
        return record(self.port, call.method, call.path, bytes_of(call, self.model), headers).status

    def reach(self, kind: FaultKind) -> list[str]:
        """Return the forms of answers that a fault changes."""
        record(self.control, "DELETE", "/requests")
        for path in dict.fromkeys(call.path for call in self.calls if call.path.startswith(kind.paths or "/")):
            # By the path, for the fault shall be tried also where it is not meant for.
            asked = json.dumps({"fault": f"{kind.name}:path={path}"}).encode()
            record(self.control, "POST", "/faults", asked, {"content-type": "application/json"})
            for call in self.calls:
                if call.path == path:
                    self.call(call)
            record(self.control, "DELETE", "/faults")
        told = record(self.control, "GET", "/requests?limit=1000")
        assert told.status == 200, f"{self.personality} under {kind.name}: {told.problem}"
        found = json.loads(told.body)["requests"]
        struck = {item["headers"].get("x-request-id", "") for item in found if item["struck"]}
        return sorted({call.form for call in self.calls if call.name in struck})


def measure(kinds: Iterable[FaultKind]) -> Reach:
    """Return for each fault, by personality, the forms of answers that it changes."""
    found: Reach = {kind.name: {} for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        create_tiny_model(Path(folder) / "m.gguf", context_length=4096)
        servers: list[Server] = []
        try:
            for name in ("openai", "keyed", "worker", "service"):
                servers.append(Server(name, "--port", "0", *SERVERS[name]))
            url = f"http://127.0.0.1:{servers[0].port}"
            servers.append(Server("gateway", "--port", "0", "--as", "gateway", "--upstream", f"inference={url}"))
            router = ("--as", "router", "--backend", f"one={url}", "--rate-burst", "1000000", "--rate-limit", "1000000")
            servers.append(Server("router", "--port", "0", *router))
            # Asked for port 0 it tells that one, as the real one does.
            words = ("serve", "-p", str(free_port()), "-m", folder, "-f", "m.gguf", "--mode", "echo")
            servers.append(Server("mistralrs", "--as", "mistralrs", *words))
            for name, forms in found.items():
                for server in servers:
                    reached = server.reach(KINDS[name])
                    if reached:
                        forms[server.personality] = sorted({*forms.get(server.personality, ()), *reached})
        finally:
            for server in servers:
                server.process.terminate()
                server.process.communicate()
    return found


def played() -> list[FaultKind]:
    """The faults that are measured."""
    return [kind for kind in KINDS.values() if kind.nature in {"wire", "legal"} and kind.name not in NOT_PLAYED]


def main(names: list[str]) -> int:
    """Measure, and write or print the table."""
    found = measure([KINDS[name] for name in names] if names else played())
    if names:
        print(json.dumps(found, indent=1))
    else:
        rows = (f"  {json.dumps(name)}: {json.dumps(forms)}" for name, forms in sorted(found.items()))
        REACH_FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        print(f"wrote {len(found)} faults to {REACH_FILE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
