"""A program that cannot be run: the message says why, and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from InferenceLibrary.errors import ProgramError
from InferenceLibrary.processes.find import find_program

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="ELF is the format of Linux")


def refusal(program: str, **options: object) -> str:
    with pytest.raises(ProgramError) as error:
        find_program(program, **options)  # type: ignore[arg-type]
    return str(error.value)


def executable(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little") + bytes(40)


def test_a_name_is_found_beside_the_running_python() -> None:
    found = find_program(Path(sys.executable).name, env={"PATH": ""})
    assert found.samefile(sys.executable)


def test_a_relative_path_counts_from_the_working_directory_of_the_program(tmp_path: Path) -> None:
    executable(tmp_path / "tool", b"#!/bin/sh\n")
    assert find_program("./tool", cwd=tmp_path) == tmp_path / "tool"


def test_a_missing_name_tells_where_it_was_searched_and_what_is_near(tmp_path: Path) -> None:
    executable(tmp_path / "llama-server", b"#!/bin/sh\n")
    message = refusal("lama-server", env={"PATH": str(tmp_path)})
    first, *details = message.splitlines()
    assert first.startswith("Program 'lama-server' does not exist: expected a file on the PATH, got none.")
    assert "Did you mean llama-server?" in first
    assert f"    {tmp_path}" in details


def test_the_searched_folders_are_named_once_and_not_all(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in "abacabdefgha"]
    details = refusal("no-such-program", env={"PATH": ":".join(folders)}).splitlines()[2:]
    shown = [line.strip() for line in details]
    assert shown[1:] == [*(str(tmp_path / name) for name in "abcd"), "and 4 more"]


def test_a_missing_path_tells_what_is_in_its_folder(tmp_path: Path) -> None:
    executable(tmp_path / "server", b"#!/bin/sh\n")
    assert "In that folder there is server" in refusal(str(tmp_path / "servre"))


def test_a_missing_folder_is_told() -> None:
    assert "The folder '/no/such' does not exist either; '/' does" in refusal("/no/such/program")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got an empty file"),
        (b"#!/no/such/interpreter\n", "got '/no/such/interpreter' in its first line"),
        (b"#!/bin/nosh\r\n", "carriage return"),
        (b"#!\n", "got #! alone"),
        pytest.param(b"echo hello\n", "first line names no interpreter", marks=LINUX),
        pytest.param(b"\x1f\x8b\x08\x00\x00", "unknown format", marks=LINUX),
        pytest.param(b"MZ\x90\x00" + bytes(60), "format Windows", marks=LINUX),
        pytest.param(b"\xcf\xfa\xed\xfe" + bytes(60), "format Mach-O", marks=LINUX),
        pytest.param(elf(0xF3), "got one for riscv64", marks=LINUX),
        pytest.param(b"\x7fELF\x02", "cut off", marks=LINUX),
    ],
)
def test_a_file_that_is_no_program_here(tmp_path: Path, content: bytes, words: str) -> None:
    message = refusal(str(executable(tmp_path / "program", content)))
    assert message.startswith(f"Program '{tmp_path / 'program'}' cannot be run: expected ")
    assert words in message


def test_a_directory_is_told_with_the_program_in_it(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "server", b"#!/bin/sh\n")
    message = refusal(str(tmp_path / "bin"))
    assert "got a directory" in message
    assert "It holds the program server" in message


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_file_without_the_right_to_execute(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o644)
    message = refusal(str(path))
    assert "got mode -rw-r--r-- without the right to execute" in message
    assert f"Hint: chmod +x {path}" in message


def test_a_dangling_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert f"got a link to {tmp_path / 'gone'}, which does not exist" in refusal(str(tmp_path / "link"))
