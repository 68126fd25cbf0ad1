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


def commands(monkeypatch: pytest.MonkeyPatch, steps: list[list[str]]) -> None:
    monkeypatch.setattr(install_clients, "LANGUAGES", {"python": ("requirements.txt", lambda _folder: steps)})


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


def test_a_language_without_clients_is_refused(cache, capsys):
    assert install_clients.main(["cobol"]) == 2
    assert "No clients in 'cobol'; there are those in python, node" in capsys.readouterr().err
