"""The compose program: found, and run under a time limit so that it ends with the runner."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from InferenceLibrary.containers.engine import ContainerEngine, EngineMissingError, engine_words
from InferenceLibrary.containers.watcher import WATCHER
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import describe
from InferenceLibrary.processes.groups import end_group
from InferenceLibrary.redaction import Redactor

_CANDIDATES = (("docker", "compose"), ("docker-compose",), ("podman", "compose"))
_PROBE_TIMEOUT = 20
_NOISE = re.compile(
    r"^(time=\"[^\"]*\" level=(warning|info)|\s*(Network|Volume|Container|Image) .* \w+$|\s+\S+ Pull(ing|ed)|\s*$)"
)


@dataclass(frozen=True)
class Done:
    """A run of the program that has ended."""

    exit_code: int | None
    """None: its time was over."""
    stdout: str
    stderr: str

    @property
    def failed(self) -> bool:
        return self.exit_code != 0

    def lines(self, redact: Redactor) -> list[str]:
        """What it wrote to standard error, without its progress and warnings; those when there is nothing else."""
        written = [redact(line.rstrip()) for line in self.stderr.splitlines() if line.strip()]
        return ([line for line in written if not _NOISE.match(line)] or written)[-12:]

    def reason(self, redact: Redactor) -> str:
        """Why it failed, in one line."""
        if self.exit_code is None:
            return "no end of it within the time limit"
        lines = self.lines(redact) or [f"exit code {self.exit_code}"]
        return engine_words(lines[-1])


class ComposeCommand:
    """Runs compose for one project."""

    def __init__(
        self, engine: ContainerEngine, file: Path, project: str, profiles: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Find the program.

        Raises:
            EngineMissingError: There is none.
        """
        self.project = project
        self._environment = {**os.environ, **environment, **engine.environment()}
        self._folder = str(file.parent.absolute())
        self._profiles = [word for profile in profiles for word in ("--profile", profile)]
        self._program = compose_program()

    def run(
        self,
        *arguments: str,
        deadline: Deadline,
        composition: Mapping[str, Any] | None = None,
        file: Path | None = None,
    ) -> Done:
        """Run it; its group is killed when the time is over or the wait is interrupted.

        Args:
            arguments: Command and options.
            deadline: When to give up.
            composition: The project's composition, given on standard input.
            file: The file in place of a composition.
        """
        source = ["--file", "-" if file is None else str(file.absolute())] if composition is not None or file else []
        argv = [*self._program, "--project-name", self.project, "--project-directory", self._folder]
        argv += [*self._profiles, *source, *arguments]
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            if composition is not None:
                stdin.write(json.dumps(composition).encode())
                stdin.seek(0)
            process = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=err, env=self._environment, start_new_session=True
            )
            try:
                WATCHER.tell(process.pid)
                finished = wait_until(lambda: process.poll() is not None, deadline)
            finally:
                if process.poll() is None:
                    end_group(process.pid)
                    process.wait()
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "replace"))
        return Done(process.returncode if finished else None, *texts)


@cache
def compose_program() -> tuple[str, ...]:
    """Return the words that start compose (version 2 or later).

    Raises:
        EngineMissingError: There is none.
    """
    for words in _CANDIDATES:
        try:
            done = subprocess.run(
                [*words, "version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return words
    raise EngineMissingError(
        describe(
            "Compose is not installed",
            expected=f"one of {', '.join(' '.join(words) for words in _CANDIDATES)}",
            hint="install Docker's compose plugin (package docker-compose-plugin, or docker-compose on Debian 13).",
        )
    )
