"""The report of a run: its sections, its timeline, the comparison, and the file in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from report.outputs import one_test, run_xml, time, write

from InferenceLibrary.cli import main
from InferenceLibrary.report import run_facts
from InferenceLibrary.report.console import lines
from InferenceLibrary.report.html import page
from InferenceLibrary.report.markdown import markdown
from InferenceLibrary.report.robot_output import read_output
from InferenceLibrary.report.run_comparison import compare, comparison_sections
from InferenceLibrary.report.run_document import headline, run_document
from InferenceLibrary.report.timeline import stretches, timeline

HOSTILE = "<script>document.title='owned'</script><img src=http://x.example/a.png>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30"/></svg>'
LINK = '<msg time="t" level="INFO" html="true">Chart&lt;br&gt;&lt;img src="inference/a.svg"&gt;</msg>'
KW = '<kw name="Chat" owner="Lib">{}<status status="FAIL" start="' + time(0) + '" elapsed="1"/></kw>'
FACTS = {"Calls": "2", "Rules broken": "F8", "TTFT": "12 ms", "Tokens/s": "50", "Model": "m", "Server": "s"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with a run of all kinds of ends."""
    tests = (
        one_test("Good", at=0, took=2, meta=FACTS, tags=("performance",), body=LINK)
        + one_test(f"Bad {HOSTILE}", "FAIL", f"{HOSTILE}\nsecond line", KW.format(LINK), at=1, took=3)
        + one_test("Left Out", "SKIP", "no GPU here", at=5)
    )
    life = run_facts.Life("simulator", time(0), time(6), "http://127.0.0.1:1", "m")
    write(tmp_path / "inference", SVG, "a.svg")
    meta = {
        run_facts.LIVES: run_facts.lives_text([life]),
        run_facts.RULES_KEPT: "C1, F9",
        run_facts.RULES_WAIVED: "F9",
        run_facts.RULES: "F8",
        run_facts.CAPABILITIES: f"*simulator*\n\n| =capability= | =state= | =who says so= | =evidence= |\n"
        f"| chat | offered | profile | {HOSTILE} |",
    }
    return write(tmp_path, run_xml(tests, meta=meta)).parent


def test_every_section_is_there_and_foreign_text_is_told_not_obeyed(results: Path) -> None:
    made = run_document(read_output(results / "output.xml"), folder=results)
    titles = [section.title for section in made.sections]
    assert titles[0].startswith("Failed: Bad <script>")
    assert titles[1:] == [
        "Summary",
        "Timeline",
        "Performance: charts and curves",
        "Performance: figures of each test",
        "Rules of the wire",
        "Rules that hold in every call",
        "Capabilities",
        "Skipped, by reason",
        "All 3 tests",
    ]
    by_title = {section.title: section for section in made.sections}
    rules, kept = by_title["Rules of the wire"], by_title["Rules that hold in every call"]
    assert rules.text[0] == "2 calls were made; rules: 1 broken, 1 waived, 1 kept."
    assert rules.table is not None
    assert [(one[0].text, one[2].text, one[5].text) for one in rules.table.rows] == [
        ("F8", "broken", "Chat.Good"),
        ("F9", "waived", ""),
    ]
    assert kept.table is not None
    assert [one[0].text for one in kept.table.rows] == ["C1"]
    offered = by_title["Capabilities"].table
    assert offered is not None
    assert [cell.text for cell in offered.rows[0]] == ["simulator", "chat", "offered", "profile", HOSTILE]
    failure = made.sections[0]
    assert "second line" in failure.block
    assert failure.text[1] == "In Chat. Began at 2026-01-02 03:04:01, took 3 s."
    assert ("Began", "2026-01-02 03:04:00") in made.facts
    assert "Platform" in dict(made.facts)
    assert [image.content.decode() for image in failure.images] == [SVG]
    html = page(made)
    assert html.count("data:image/svg+xml;base64,") == 2
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', html) == ['href="inference/a.svg"']
    assert "F8" in html
    text = markdown(made)
    assert re.search(r"[^\\]<script", text) is None
    assert "Files of it: inference/a.svg" in text
    assert "Files of it: inference/a.svg" in lines(made)
    assert "| Chat | 1 | 1 | 1 |" in text.replace("✅ ", "").replace("❌ ", "").replace("➖ ", "")
    assert lines(made)[-1] == "Run of Root: failed: 1 passed, 1 failed, 1 skipped"


@pytest.mark.parametrize(("calls", "told"), [("1", "1 call was made"), ("3", "3 calls were made")])
def test_calls_that_no_rule_was_asked_of_do_not_count_as_judged(tmp_path: Path, calls: str, told: str) -> None:
    output = write(tmp_path, run_xml(one_test("T", meta={"Calls": calls})))
    by_title = {section.title: section for section in run_document(read_output(output)).sections}
    assert by_title["Rules of the wire"].text == (f"{told}; the run tells of none that was judged.",)


def test_a_picture_outside_the_output_folder_is_not_taken(results: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere", SVG, "secret.svg")
    (results / "inference" / "a.svg").unlink()
    (results / "inference" / "a.svg").symlink_to(outside)
    inner = results / "inner"
    write(inner, (results / "output.xml").read_text(encoding="utf-8"))
    (inner / "inference").symlink_to(results / "inference")
    made = run_document(read_output(inner / "output.xml"), folder=inner)
    assert all(not section.images for section in made.sections)


def test_files_of_a_failure_are_links_from_wherever_the_report_lies(tmp_path: Path) -> None:
    odd = ["inference/gone.svg", "inference/%00.txt", f"inference/{'x' * 3000}.txt", "%2e%2e/elsewhere.txt"]
    names = ["inference/a.svg", "inference/a b#1.txt", "inference/quoted%20name.txt", *odd]
    links = "".join(
        f'<msg time="t" level="INFO" html="true">F&lt;a href="{name}"&gt;x&lt;/a&gt;</msg>' for name in names
    )
    run = tmp_path / "the run"
    output = write(run, run_xml(one_test("Bad", "FAIL", "no", KW.format(links))))
    write(tmp_path, "", "elsewhere.txt")
    there = [write(run / "inference", SVG, name) for name in ("a.svg", "a b#1.txt", "quoted name.txt")]
    places = (run / "report.html", tmp_path / "other" / "deep" / "report.html")
    assert main(["report", str(output), "--html", str(places[0])]) == 0
    assert main(["report", str(output), "--html", str(places[1]), "--json", str(tmp_path / "new" / "run.json")]) == 0
    assert json.loads((tmp_path / "new" / "run.json").read_text(encoding="utf-8"))["summary"]["failed"] == 1
    for place in places:
        html = place.read_text(encoding="utf-8")
        found = re.findall(r'href="([^"]*)"', html)
        assert [(place.parent / unquote(link)).resolve() for link in found] == there
        assert html.count(" (not there)") == len(odd)
        assert not any(link.startswith("/") or ":" in link for link in found)


@pytest.mark.parametrize(
    ("tests", "cut", "word"),
    [
        (one_test("a"), "", "passed: 1 passed"),
        (one_test("a", "FAIL"), "", "failed: "),
        (one_test("a", "SKIP"), "", "nothing was tested: "),
        ("", "", "nothing was tested: "),
        (one_test("a"), "</robot>", "incomplete: "),
    ],
    ids=["passed", "failed", "skipped", "empty", "cut"],
)
def test_the_headline_never_calls_good_what_was_not_shown(tmp_path: Path, tests: str, cut: str, word: str) -> None:
    text = run_xml(tests)
    found = read_output(write(tmp_path, text.replace(cut, "") if cut else text))
    assert headline(found).text.startswith(word)


def test_workers_and_servers_have_rows_and_what_overlaps_is_apart(tmp_path: Path) -> None:
    life = run_facts.Life("simulator", time(1), time(4))
    meta = {run_facts.WORKER: "2", run_facts.LIVES: run_facts.lives_text([life])}
    text = run_xml(one_test("a", at=0, took=3) + one_test("b", at=1) + one_test("c", at=3.5), meta=meta)
    found = read_output(write(tmp_path, text))
    assert [(bar.row, bar.start, bar.end) for bar in stretches(found)] == [
        ("worker 2", 0.0, 3.0),
        ("worker 2", 3.5, 4.5),
        ("worker 2, 2", 1.0, 2.0),
        ("server simulator (worker 2)", 1.0, 4.0),
    ]
    assert timeline(found).count("<rect") == 5


def test_a_run_without_times_has_no_timeline(tmp_path: Path) -> None:
    text = run_xml(one_test("a")).replace(time(0), "unknown")
    assert timeline(read_output(write(tmp_path, text))) == ""


def test_a_comparison_tells_each_change_once(tmp_path: Path) -> None:
    fast, slow = {"TTFT": "10 ms", "Tokens/s": "50"}, {"TTFT": "20 ms", "Tokens/s": "30"}
    before = one_test("a") + one_test("b", "FAIL") + one_test("c") + one_test("d", meta=fast) + one_test("e")
    after = one_test("a", "FAIL") + one_test("b") + one_test("f") + one_test("d", meta=slow) + one_test("e")
    old = read_output(write(tmp_path / "old", run_xml(before, suite="Other Name")))
    new = read_output(write(tmp_path / "new", run_xml(after)))
    changes = [(one.test, one.what, one.before, one.now) for one in compare(new, old).changes]
    assert changes == [
        ("Chat.a", "worse", "passed", "failed"),
        ("Chat.b", "better", "failed", "passed"),
        ("Chat.f", "new", "-", "passed"),
        ("Chat.d", "TTFT higher", "10 ms", "20 ms"),
        ("Chat.d", "tokens/s lower", "50", "30"),
        ("Chat.c", "gone", "passed", "-"),
    ]
    assert compare(new, new).changes == ()
    changed, alone = comparison_sections(compare(new, old))
    assert (alone.title, alone.folded) == ("In one of the runs alone (2)", True)
    tables = [[one[1].text for one in section.table.rows] for section in (changed, alone) if section.table]
    assert tables == [["Chat.a", "Chat.b", "Chat.d", "Chat.d"], ["Chat.f", "Chat.c"]]
    fewer = read_output(write(tmp_path / "fewer", run_xml(one_test("a"))))
    first, second = comparison_sections(compare(fewer, old))
    assert (first.text[1], first.table, second.title) == (
        "Nothing changed in them.",
        None,
        "In one of the runs alone (4)",
    )


def test_the_timeline_shows_all_lives_of_the_servers_that_lived_longest(tmp_path: Path) -> None:
    lives = [run_facts.Life(f"s{at}", time(at), time(at + 1), "", "") for at in range(25)]
    lives += [run_facts.Life("main", time(at), time(at + 1), "", "") for at in range(40)]
    meta = {run_facts.LIVES: run_facts.lives_text(lives)}
    found = stretches(read_output(write(tmp_path, run_xml(one_test("a"), meta=meta))))
    servers = [bar.row for bar in found if bar.sort == "server"]
    assert (len(servers), servers.count("server main"), servers.count("6 further servers")) == (65, 40, 6)
    assert len(set(servers)) == 21


def test_the_command_writes_all_formats_and_tells_a_cut_run(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert main(["report", str(results), "--output", str(out), "--compare", str(results)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"inference-report.{end}" for end in ("html", "json", "md")]
    assert "Nothing changed." in (out / "inference-report.html").read_text(encoding="utf-8")
    assert json.loads((out / "inference-report.json").read_text(encoding="utf-8"))["summary"]["failed"] == 1
    cut = write(tmp_path / "cut", run_xml(one_test("a"))[:-20])
    assert main(["report", str(cut)]) == 1
    assert "incomplete: 1 passed" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "nowhere")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["report", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$ref"] == "#/$defs/RunResults"
    with pytest.raises(SystemExit) as left:
        main(["report"])
    assert left.value.code == 2


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WATCH = """<script>
let failed = []; addEventListener('securitypolicyviolation', e => failed.push(e.blockedURI));
addEventListener('error', e => failed.push(String(e.message)));
addEventListener('load', () => document.title = JSON.stringify({failed, wide: document.documentElement.scrollWidth,
  inner: innerWidth, images: [...document.images].map(i => i.naturalWidth),
  svgs: document.querySelectorAll('svg rect').length, title: document.title,
  focus: [...document.querySelectorAll('summary, pre[tabindex], .wide')].filter(e => e.tabIndex >= 0).length}));
</script>"""


def seen_by_chromium(folder: Path, name: str, width: int) -> tuple[dict[str, Any], list[str]]:
    """What a browser makes of a page, and what it asked the server for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        assert CHROMIUM is not None
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
        command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},800", "--dump-dom"]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{server.server_port}/{name}"], capture_output=True, timeout=120, check=True
        )
        server.shutdown()
        thread.join()
    title = re.search(r"<title>(.*?)</title>", done.stdout.decode("utf-8"), re.DOTALL)
    assert title is not None
    return json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")), asked


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_a_browser_shows_it_narrow_and_whole_and_fetches_nothing(results: Path) -> None:
    html = page(run_document(read_output(results / "output.xml"), folder=results))
    # The page allows no script: the policy makes room for the one that watches.
    watched = html.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'", 1)
    (results / "page.html").write_text(watched.replace("<title>", WATCH + "<title>", 1), encoding="utf-8")
    seen, asked = seen_by_chromium(results, "page.html", 500)
    assert seen["title"] == "Run of Root"
    assert seen["failed"] == []
    assert [one for one in asked if one not in {"/page.html", "/favicon.ico"}] == []
    assert seen["images"] == [90, 90]
    assert seen["svgs"] >= 5
    assert seen["wide"] <= seen["inner"]
    assert seen["focus"] >= 5


def test_the_timeline_has_the_colours_of_the_page_light_or_dark(results: Path) -> None:
    run = read_output(results / "output.xml")
    picture = timeline(run)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", picture) == []
    named = set(re.findall(r"var\((--[a-z]+)\)", picture))
    style = page(run_document(run)).partition("<body>")[0]
    light, _, dark = style.partition("prefers-color-scheme: dark")
    assert {name for name in named if f"{name}:" not in light or f"{name}:" not in dark} == set()
    assert {"--good", "--bad", "--open", "--server", "--card"} <= named
