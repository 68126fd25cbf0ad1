"""Runs of several folders as one: the files that their logs link to come along, and the links lead to them.

`rebot --merge` alone joins the results only: links of a run in another folder lead nowhere afterwards.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.files import make_folder
from InferenceLibrary.report.robot_output import find_output

_LINK = re.compile(
    r"""(?P<before>\b(?:href|src)=(?P<quote>"|'|&quot;|&#34;))(?P<link>[^"'&<>]+(?:&amp;[^"'&<>]+)*)(?P=quote)"""
)
"""A link in the text of output.xml; there `<` and `&` of HTML are escaped."""
_MOST_FAILED = 250
"""Exit codes of rebot beyond it tell of errors, not of failed tests."""


def merge_runs(places: Sequence[Path], folder: Path) -> int:
    """Join a run with its reruns: the result of a test is that of the last run that has it.

    Args:
        places: The first run, then reruns, each an output.xml or a folder that holds one.
        folder: Where output.xml, log.html and report.html of all are written, with the files that they link to.

    Returns:
        The exit code of `rebot --merge`: how many tests failed.

    Raises:
        InferenceError: A run cannot be found or read, or the runs cannot be joined.
    """
    outputs = [find_output(place).resolve() for place in places]
    make_folder(folder)
    folder = folder.resolve()
    with tempfile.TemporaryDirectory(prefix="rfinference-merge-") as scratch:
        moved = [_moved(output, folder, Path(scratch) / f"{at}.xml") for at, output in enumerate(outputs)]
        return _rebot(dict(zip(moved, outputs, strict=True)), folder)


def _moved(output: Path, folder: Path, copy: Path) -> Path:
    """Bring the files of a run into the folder; return its output with links that lead to them."""
    source = output.parent
    if source == folder:
        return output
    prefix = _free(folder, source.name)
    brought: set[str] = set()

    def led(found: re.Match[str]) -> str:
        link = found["link"]
        path = unquote(unescape(unescape(link)).partition("#")[0])  # of XML, then of HTML
        # Only a file below the output folder is one of the run.
        file = (source / path).resolve()
        if ":" in path or not file.is_relative_to(source) or not file.is_file():
            return found[0]
        if path not in brought:
            brought.add(path)
            target = folder / prefix / path
            make_folder(target.parent)
            shutil.copyfile(file, target)
        return f"{found['before']}{prefix}/{link}{found['quote']}"

    try:
        with output.open(encoding="utf-8", newline="") as old, copy.open("w", encoding="utf-8", newline="") as new:
            new.writelines(_LINK.sub(led, line) for line in old)
    except (OSError, UnicodeDecodeError) as error:
        raise InferenceError(
            describe(f"'{output}' cannot be read or brought along", expected="an output.xml", got=str(error))
        ) from None
    return copy


def _free(folder: Path, name: str) -> str:
    """A name for the files of a run that nothing in the folder has."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "run"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(one for one in names if not (folder / one).exists())


def _rebot(outputs: Mapping[Path, Path], folder: Path) -> int:
    """Join these files; in a message each is told by the name of the run that it is a copy of."""
    command = [sys.executable, "-m", "robot.rebot", "--merge", "--outputdir", str(folder), "--output", "output.xml"]
    done = subprocess.run([*command, *map(str, outputs)], capture_output=True, check=False)
    if done.returncode > _MOST_FAILED:
        lines = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
        got = next((line for line in lines if "ERROR" in line), f"exit code {done.returncode} of rebot")
        for copy, output in outputs.items():
            got = got.replace(str(copy), str(output))
        raise InferenceError(
            describe("The runs cannot be joined", expected="a run and reruns of its tests", got=got.strip())
        )
    return done.returncode
