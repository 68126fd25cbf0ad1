"""The script that installs the clients of others: what it leaves, and what it tells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import install_clients

GOOD = [[sys.executable, "-c", "open('installed', 'a').write('once')"]]
BAD = [[sys.executable, "-c", "import sys; open('half', 'w').close(); sys.exit('no such version')"]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install_clients, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def commands(monkeypatch: pytest.MonkeyPatch, steps: list[list[str]], *tools: str) -> None:
    python = install_clients.Language(("requirements.txt",), tools, lambda _folder: steps)
    monkeypatch.setattr(install_clients, "LANGUAGES", {"python": python})


def test_clients_are_installed_once(cache, monkeypatch):
    commands(monkeypatch, GOOD)
    assert not install_clients.is_installed("python")
    assert [install_clients.main([]), install_clients.main(["python"])] == [0, 0]
    assert install_clients.is_installed("python")
    assert (install_clients.folder_of("python") / "installed").read_text() == "once"


def test_other_versions_lie_elsewhere(tmp_path, monkeypatch):
    before = install_clients.folder_of("python")
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "requirements.txt").write_text("openai==1.0\n")
    monkeypatch.setattr(install_clients, "PROGRAMS", tmp_path)
    assert install_clients.folder_of("python") != before


@pytest.mark.parametrize(
    ("steps", "reason"), [(BAD, "no such version"), ([["a-program-that-is-not-there"]], "a-program-that-is-not-there")]
)
def test_what_cannot_be_had_is_told_and_leaves_nothing(cache, monkeypatch, capsys, steps, reason):
    commands(monkeypatch, steps)
    assert install_clients.main(["python"]) == 0
    told = capsys.readouterr().err
    assert "SKIPPED: the clients in python cannot be installed: " in told
    assert reason in told
    assert not install_clients.folder_of("python").exists()


@pytest.mark.parametrize("language", ["go", "java"])
def test_clients_are_skipped_where_a_tool_is_missing(cache, tmp_path, monkeypatch, capsys, language):
    folder = install_clients.folder_of(language)
    folder.mkdir(parents=True)
    (folder / "complete").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not install_clients.is_installed(language)
    assert install_clients.main([language]) == 0
    tools = ", ".join(install_clients.LANGUAGES[language].tools)
    assert capsys.readouterr().err == f"SKIPPED: the clients in {language} cannot be played: not on the PATH: {tools}\n"
    assert (folder / "complete").exists()


def test_a_program_that_changes_is_compiled_anew(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(install_clients, "PROGRAMS", tmp_path)
    (tmp_path / "go").mkdir()
    folders = set()
    for name, text in [("go.mod", "module clients\n"), ("a.go", "package main\n"), ("a.go", "package other\n")]:
        (tmp_path / "go" / name).write_text(text)
        folders.add(install_clients.folder_of("go"))
    assert len(folders) == 3


def test_the_reason_is_told_without_what_stands_around_it(cache, monkeypatch, capsys):
    lines = [
        "go: downloading x",
        "WARNING: old",
        "[ERROR] no such version",
        "[ERROR]",
        "[ERROR] run it again",
        "see -X",
    ]
    commands(monkeypatch, [[sys.executable, "-c", f"import sys; print({chr(10).join(lines)!r}); sys.exit(1)"]])
    install_clients.main([])
    told = capsys.readouterr().err
    assert told.endswith("cannot be installed: [ERROR] no such version\n[ERROR]\n[ERROR] run it again\n")


def test_a_language_without_clients_is_refused(cache, capsys):
    assert install_clients.main(["cobol"]) == 2
    assert "No clients in 'cobol'; there are those in python, node, go, java" in capsys.readouterr().err
