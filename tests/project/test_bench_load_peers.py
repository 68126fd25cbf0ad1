"""The benchmark beside the load clients of others: what it counts of a client, and that it goes on without one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
CLIENT = """
import http.client, sys, time
url, requests, before, each, after = sys.argv[1], *map(float, sys.argv[2:])
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
burn(before)
for _ in range(int(requests)):
    link = http.client.HTTPConnection(url.removeprefix("http://"))
    body = '{"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'
    link.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = link.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    burn(each)
burn(after)
"""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import load_peers

    return load_peers


def test_neither_the_start_nor_the_end_counts_as_sending(peers: ModuleType, tmp_path: Path) -> None:
    server = peers.Server()
    try:
        url = f"http://127.0.0.1:{server.port}"
        spent = peers.watched([sys.executable, "-c", CLIENT, url, "30", "0.5", "0.02", "0.5"], tmp_path, server)
        assert spent.tokens == 30
        assert 0.5 < spent.sending < 0.9
        assert 0.3 < spent.whole - spent.sending < 0.7
        with pytest.raises(peers.Unusable, match=r"^exit code 1: ConnectionRefusedError"):
            peers.watched([sys.executable, "-c", CLIENT, "http://127.0.0.1:1", "1", "0", "0", "0"], tmp_path, server)
    finally:
        server.close()


def test_the_cost_is_the_difference_of_two_loads(peers: ModuleType) -> None:
    import load_window

    less, more = load_window.Spent(0.2, 0.5, 100), load_window.Spent(0.3, 0.9, 300)
    assert peers.difference(less, more) == pytest.approx((500, 2000))
    with pytest.raises(peers.Unusable, match="sent no larger load: 100 and 100 tokens"):
        peers.difference(less, less)
    with pytest.raises(peers.Unusable, match=r"took no more CPU time for the larger load: 0\.20 and 0\.20 s"):
        peers.difference(less, more._replace(sending=0.2))


def test_what_cannot_be_had_is_told_and_the_others_are_measured(
    peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "cache" / "good" / "bin" / "good"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable}\n{CLIENT}", encoding="utf-8")
    script.chmod(0o755)

    def load(job: object, each: str = "0.01") -> list[str]:
        return [job.url, str(job.requests), "0", each, "0"]  # type: ignore[attr-defined]

    nowhere = tmp_path / "nowhere"
    bars = {"one": 0.5}
    monkeypatch.setattr(peers, "_CACHE", tmp_path / "cache")
    monkeypatch.setattr(peers, "release", lambda program, package: "1.0")
    monkeypatch.setattr(peers, "ours", lambda job: [sys.executable, "-c", CLIENT, *load(job, "0.002")])
    monkeypatch.setattr(
        peers,
        "PEERS",
        {
            "good": peers.Peer("good", "good", load, bars),
            "absent": peers.Peer(str(nowhere), "absent", load, bars),
            "late": peers.Peer("late", "late", load, bars, (99, 0)),
            "failing": peers.Peer("good", "good", lambda job: ["http://127.0.0.1:1", "1", "0", "0", "0"], bars),
        },
    )
    table = tmp_path / "table.md"
    monkeypatch.setattr(sys, "argv", ["x", "--streams", "1", "--rounds", "1", "--shapes", "one", "--table", str(table)])
    assert peers.main() == 2
    rows = [line for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("| one token")]
    assert [row.split(" | ")[1] for row in rows] == ["Run Load", "good", "failing", "absent", "late"]
    assert [row.count("|") for row in rows] == [8] * 5
    assert "| 1.0 |" in rows[0]
    assert " not measured: exit code 1: ConnectionRefusedError" in rows[2]
    assert " not measured: cannot be installed: " in rows[3]
    assert " not measured: needs Python 99.0 " in rows[4]
    printed = capsys.readouterr().out
    assert "one: CPU a token as a share of good: " in printed
    assert "bar <= 0.5: kept" in printed
    assert printed.endswith("not judged: one: failing, one: absent, one: late\n")
    assert printed.count("absent: not measured: cannot be installed: ") == 1
