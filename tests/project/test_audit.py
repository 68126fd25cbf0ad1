"""The audit of packages: a vulnerability fails it, and what could not be asked is never a pass."""

from __future__ import annotations

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
assert SPEC is not None
assert SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

GOOD = {"name": "httpx", "version": "1", "vulns": []}
BAD = {"name": "old", "version": "1", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2"]}]}
GONE = {"name": "gone", "skip_reason": "Dependency not found on PyPI and could not be audited: gone (1)"}


@pytest.mark.parametrize(
    ("packages", "verdict", "line"),
    [
        ([GOOD] * 10, "passed", "10 packages, none with a known vulnerability"),
        ([GOOD, BAD], "failed", "old 1: CVE-2026-1, mended in 2"),
        ([GONE, BAD], "failed", "old 1: CVE-2026-1, mended in 2"),
        ([GOOD, GONE], "skipped", "1 of 2 packages could be asked about: is the network there?"),
        ([], "skipped", "0 of 0 packages could be asked about: is the network there?"),
    ],
    ids=["good", "vulnerable", "vulnerable and unknown", "unknown", "nothing"],
)
def test_each_outcome(packages: list[dict[str, Any]], verdict: str, line: str) -> None:
    found = audit.judge(json.dumps({"dependencies": packages}), "")
    assert (found.verdict, found.lines[0]) == (verdict, line)
    case = ElementTree.fromstring(audit.xunit(found))
    assert [int(case.get(name, "")) for name in ("tests", "failures", "skipped")] == [
        1,
        int(verdict == "failed"),
        int(verdict == "skipped"),
    ]


def test_what_does_not_answer_is_skipped_with_its_words() -> None:
    found = audit.judge("", "WARNING:x\nERROR: connection refused\n\n")
    assert found == ("skipped", ("pip-audit could not ask: ERROR: connection refused",))


def test_the_command_writes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "COMMAND", ("-c", "print('no JSON')"))
    assert audit.main(tmp_path / "audit" / "junit.xml") == 0
    assert "<skipped" in (tmp_path / "audit" / "junit.xml").read_text(encoding="utf-8")


class Osv(BaseHTTPRequestHandler):
    """A service that knows one vulnerability, as OSV tells it."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = asked["package"]["name"], asked["version"]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
        known = {"vulns": [{"id": "GHSA-xxxx", "summary": "s", "affected": affected}]}
        body = json.dumps(known if (name, version) == ("old", "1.0") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


def test_a_vulnerability_that_a_service_tells_of_fails_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, version in (("new", "1.0"), ("old", "1.0")):
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{service.server_port}/v1/query"
        options = ["--path", str(tmp_path / "site"), "--vulnerability-service", "osv", "--osv-url", url]
        found = audit.main(tmp_path / "junit.xml", options)
        service.shutdown()
    assert found == 1
    assert capsys.readouterr().out == "Audit FAILED\n  old 1.0: GHSA-xxxx, mended in 2.0\n"
    (case,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [one.tag for one in case] == ["failure"]
