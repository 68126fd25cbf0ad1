"""Where a command writes its results: each form to the file that its option names, and all into one folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from InferenceLibrary.files import check_writable, write_text

Writer = Callable[[Path], str]
"""Makes the text of a file that is to lie at a path."""


def add_outputs(parser: argparse.ArgumentParser, forms: Mapping[str, str], folder: str) -> None:
    """Add an option for each form, and `--output` for a folder.

    Args:
        parser: Of the command.
        forms: The option of each form, such as `json`, and its help.
        folder: The help of `--output`.
    """
    for form, text in forms.items():
        parser.add_argument(f"--{form}", type=Path, metavar="FILE", help=text)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help=folder)


def prepare_outputs(arguments: argparse.Namespace, *options: str) -> None:
    """Tell what cannot be written before the work that it tells of; folders are made.

    Args:
        arguments: Of the command, with the options of `add_outputs`.
        options: Those of single files.

    Raises:
        InferenceError: One of them cannot be written.
    """
    if arguments.output is not None:
        check_writable(arguments.output, folder=True)
    for path in filter(None, (getattr(arguments, option) for option in options)):
        check_writable(path)


def write_outputs(arguments: argparse.Namespace, forms: Mapping[str, tuple[str, Writer]]) -> None:
    """Write each form that is asked for; folders are made.

    Args:
        arguments: Of the command, with the options of `add_outputs`.
        forms: By option: the name of the file in the folder, and what makes the text.

    Raises:
        InferenceError: A file cannot be written.
    """
    folder: Path | None = arguments.output
    for option, (name, text) in forms.items():
        for path in (getattr(arguments, option), None if folder is None else folder / name):
            if path is not None:
                write_text(path, text(path), errors="backslashreplace")


def way_to(folder: Path, page: Path) -> str:
    """Return the beginning of links from a page to what lies in a folder: empty where the page lies there, too."""
    folder, place = folder.resolve(), page.absolute().parent.resolve()
    if folder == place:
        return ""
    try:
        return quote(os.path.relpath(folder, place).replace(os.sep, "/")) + "/"
    except ValueError:
        # Another drive of Windows.
        return folder.as_uri() + "/"
