"""What an editor completes: RobotCode's language server is asked as an editor asks it."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from InferenceLibrary.protocol.capabilities import CAPABILITIES
from InferenceLibrary.types import ProfileName

pytestmark = pytest.mark.clients
ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240.0
"""Seconds for one answer; the first one reads the library."""
PROFILES = set(get_args(ProfileName))
OFFERED: dict[str, set[str]] = {
    "Start Server    ": PROFILES,
    "Start Server    profile=": PROFILES,
    "Connect To Server    http://127.0.0.1:1    profile=": PROFILES,
    "Use Program    profile=": PROFILES,
    "Start Server    simulator    wait_for=": {
        "profile",
        "healthy",
        "model listed",
        "checks passed",
        "first token",
    },
    "Skip Unless Server Supports    ": set(CAPABILITIES),
    "Use Rules    ": {"warn", "fail", "fail-should", "fail-tagged", "off"},
    "Create Image Tensor    a.png    layout=": {"NCHW", "NHWC", "CHW", "HWC"},
    "Stream Sho": {"Stream Should End With Done", "Stream Should Be In Order"},
    "Chat    hi    max_": {"max_tokens="},
    # An argument of any text offers no value.
    "Chat    hi    model=": set(),
}
"""What must be among the completions at the end of a line."""
WRONG = "Strat Server    simulator"
HEAD = ("*** Settings ***", "Library    InferenceLibrary", "*** Test Cases ***", "Trial")


def place_of(line: str) -> int:
    return len(HEAD) + [*OFFERED, WRONG].index(line)


class Editor:
    """Speaks the Language Server Protocol with a program, over its standard streams."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._came: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._count = 0
        self.told: list[dict[str, Any]] = []
        """What the server said without being asked."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while head := stream.readline():
            length = 0
            while head.strip():
                name, _, value = head.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                head = stream.readline()
            self._came.put(json.loads(stream.read(length)))
        self._came.put(None)

    def tell(self, **message: Any) -> None:
        stream = self._process.stdin
        assert stream is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        stream.flush()

    def ask(self, method: str, params: Any) -> Any:
        self._count += 1
        self.tell(id=self._count, method=method, params=params)
        return self._until(lambda message: "method" not in message and message["id"] == self._count)["result"]

    def lines_with(self, code: str) -> set[int]:
        """Wait until the server has judged the suite, and return the lines with a diagnostic of that code."""

        def lines(message: dict[str, Any]) -> set[int]:
            if message.get("method") != "textDocument/publishDiagnostics":
                return set()
            found = message["params"]["diagnostics"]
            return {one["range"]["start"]["line"] for one in found if one.get("code") == code}

        return next(filter(None, map(lines, self.told)), None) or lines(
            self._until(lambda message: bool(lines(message)))
        )

    def _until(self, wanted: Any) -> dict[str, Any]:
        end = time.monotonic() + LIMIT
        while True:
            message = self._came.get(timeout=max(0.0, end - time.monotonic()))
            assert message is not None, "the language server ended"
            if "id" in message and "method" in message:
                items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
                self.tell(id=message["id"], result=None if items is None else [{}] * len(items))
            if wanted(message):
                return message
            self.told.append(message)

    def close(self) -> None:
        try:
            self.ask("shutdown", None)
            self.tell(method="exit", params=None)
            self._process.wait(LIMIT)
        finally:
            self._process.kill()
            # Closes the streams.
            self._process.communicate()


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Editor, str]]:
    """An editor with a suite open in a folder with the project's robot.toml, and the suite's URI."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "robot.toml", folder)
    lines = [*HEAD, *(f"    {line}" for line in (*OFFERED, WRONG))]
    suite = folder / "trial.robot"
    suite.write_text("\n".join(lines), encoding="utf-8")
    program = Editor([sys.executable, "-m", "robotcode.cli", "language-server", "--stdio"], folder)
    try:
        place = {"rootUri": folder.as_uri(), "workspaceFolders": [{"uri": folder.as_uri(), "name": "project"}]}
        able = {"workspace": {"configuration": True, "workspaceFolders": True}}
        program.ask("initialize", {"processId": os.getpid(), "capabilities": able, **place})
        program.tell(method="initialized", params={})
        document = {"uri": suite.as_uri(), "languageId": "robotframework", "version": 1, "text": "\n".join(lines)}
        program.tell(method="textDocument/didOpen", params={"textDocument": document})
        yield program, suite.as_uri()
    finally:
        program.close()


@pytest.mark.parametrize("line", OFFERED)
def test_an_editor_completes(editor: tuple[Editor, str], line: str) -> None:
    program, uri = editor
    place = {"line": place_of(line), "character": len(line) + 4}
    answer = program.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": place})
    items = answer["items"] if isinstance(answer, dict) else answer or []
    # What is given by name alone bears a mark.
    found = {item["label"].rpartition("\u200d")[2] for item in items} - {"None", "${None}"}
    assert found >= OFFERED[line]
    if line.endswith("="):
        assert found == OFFERED[line]


def test_an_editor_tells_of_misspelt_keywords_alone(editor: tuple[Editor, str]) -> None:
    program, _ = editor
    assert program.lines_with("KeywordNotFound") == {place_of("Stream Sho"), place_of(WRONG)}
