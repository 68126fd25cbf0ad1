"""Outputs of Robot Framework are read as a stream; what is cut, foreign or huge is told, never misread."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.outputs import HEAD, one_test, run_xml, time, write

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.report import run_facts
from InferenceLibrary.report.log_messages import plain_text
from InferenceLibrary.report.robot_output import find_output, read_output
from InferenceLibrary.report.run_results import RunResults, TestResult, run_json, run_schema

KEYWORD = (
    '<kw name="{name}" owner="Lib">{inside}<arg>one</arg><status status="{status}" start="{at}" elapsed="1"/></kw>'
)


def keyword(name: str, status: str = "PASS", inside: str = "") -> str:
    return KEYWORD.format(name=name, status=status, inside=inside, at=time(0))


def message(text: str, level: str = "INFO", html: str = "false") -> str:
    return f'<msg time="{time(1)}" level="{level}" html="{html}">{text}</msg>'


def read(tmp_path: Path, tests: str, **options: object) -> RunResults:
    return read_output(write(tmp_path, run_xml(tests, **options)))  # type: ignore[arg-type]


def test_the_layout_is_that_of_the_documents(tmp_path: Path) -> None:
    found = read(tmp_path, one_test("a", body=message("Binary is valid")) + one_test("b", "FAIL", "refused", took=2.5))
    layout = msgspec.json.decode(run_json(found))
    assert layout["suite"] == "Root"
    assert layout["timestamp"] == time(0)
    assert layout["duration"] == 10.5
    assert layout["summary"] == {"total": 2, "passed": 1, "failed": 1, "skipped": 0}
    first, second = layout["tests"]
    assert (first["name"], first["status"], first["duration"], first["output"]) == (
        "a",
        "passed",
        1.0,
        "Binary is valid",
    )
    assert (second["name"], second["status"], second["duration"], second["error"]) == ("b", "failed", 2.5, "refused")
    jsonschema.validate(layout, run_schema())
    assert msgspec.convert(layout, RunResults) == found


def test_facts_of_tests_and_suites_are_read(tmp_path: Path) -> None:
    meta = {"Server": "simulator", "Model": "m", "Calls": "3", "TTFT": "12.5 ms (median of 3)", "Tokens/s": "48.9"}
    life = run_facts.Life("simulator", time(0), time(5), "http://127.0.0.1:1", "m")
    suite = {run_facts.LIVES: run_facts.lives_text([life]), run_facts.WORKER: "2", run_facts.LIBRARY: "0.1.0"}
    found = read(tmp_path, one_test("a", meta=meta | {"Rules broken": "F8, C9"}), meta=suite)
    (test,) = found.tests
    assert (test.server, test.model, test.calls, test.worker) == ("simulator", "m", 3, "2")
    assert test.figures is not None
    assert (test.figures.ttft, test.figures.tokens_per_second, test.figures.streams) == (0.0125, 48.9, 3)
    assert test.rules_broken == ["F8", "C9"]
    (server,) = found.servers
    assert (server.name, server.ended, server.url, server.worker) == ("simulator", time(5), "http://127.0.0.1:1", "2")
    assert found.versions["InferenceLibrary"] == "0.1.0"


def test_the_trace_leads_to_the_failure_that_counts(tmp_path: Path) -> None:
    caught = keyword("Try", "PASS", keyword("Caught", "FAIL"))
    body = caught + keyword("Outer", "FAIL", keyword("Fine") + keyword("Inner", "FAIL"))
    (test,) = read(tmp_path, one_test("a", "FAIL", "no", body)).tests
    assert [step.name for step in test.trace] == ["Lib.Outer", "Lib.Inner"]
    assert test.trace[1].arguments == ["one"]


def test_a_failure_keeps_its_last_messages_and_files_and_a_pass_only_its_last_line(tmp_path: Path) -> None:
    link = message("Chart&lt;br&gt;&lt;a href=&quot;inference/a.svg&quot;&gt;a&lt;/a&gt;", html="true")
    body = "".join(message(str(number)) for number in range(100)) + link + message("quiet", "DEBUG")
    failed, passed = read(tmp_path, one_test("a", "FAIL", "no", body) + one_test("b", body=body)).tests
    assert len(failed.evidence) == 40
    assert failed.evidence[-1].text == "Chart\na"
    assert [one.path for one in failed.artifacts] == ["inference/a.svg"]
    assert passed.evidence == []
    assert passed.output == "99"


@pytest.mark.parametrize("link", ["../../etc/passwd", "/etc/passwd", "https://x.example/a.png", "javascript:a()", "#x"])
def test_links_that_lead_elsewhere_are_no_artifacts(link: str) -> None:
    assert plain_text(f'<img src="{link}">')[1] == []


def test_a_merged_message_is_told_as_text(tmp_path: Path) -> None:
    merged = '*HTML* <span class="merge">Re-executed test has been merged.</span><hr>expected <b>1</b>'
    (test,) = read(tmp_path, one_test("a", "FAIL", merged)).tests
    assert test.error == "Re-executed test has been merged.\nexpected 1"


def test_warnings_and_failed_suites_are_problems(tmp_path: Path) -> None:
    text = run_xml(one_test("a"), errors=message("slow", "WARN")).replace(
        'elapsed="9.5"/>', 'elapsed="9.5">Suite setup failed</status>'
    )
    text = text.replace(
        '<status status="PASS" start="2026-01-02T03:04:00.000000" elapsed="9.5">', '<status status="FAIL">'
    )
    found = read_output(write(tmp_path, text))
    assert found.problems == ["Suite Root.Chat: Suite setup failed", "WARN: slow"]


def test_a_run_that_rebot_took_tests_from_begins_with_its_first_test(tmp_path: Path) -> None:
    text = run_xml(one_test("T", at=3)).replace(f'start="{time(0)}" elapsed="10.5"', 'elapsed="10.5"')
    found = read_output(write(tmp_path, text))
    assert (found.timestamp, found.duration) == ("2026-01-02T03:04:03", 10.5)


def test_a_cut_output_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = run_xml(one_test("a", took=2) + one_test("b", at=3))
    cut = whole[: whole.index('name="b"') + 12]
    found = read_output(write(tmp_path, cut))
    assert found.summary.total == 1
    assert "output.xml is cut or damaged" in found.incomplete
    assert "read are 1 tests, in the test 'b'" in found.incomplete
    assert (found.timestamp, found.duration) == ("2026-01-02T03:04:00", 2.0)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "an empty file"),
        ("no XML", "a file that is not XML"),
        ("<testsuites/>", "XML whose root is 'testsuites'"),
        ('<robot generator="Robot 6.1 (Python 3.11 on linux)" schemaversion="4"/>', "one of 'Robot 6.1"),
        ('<robot generator="Robot 3"/>', "one of 'Robot 3'"),
        ('<!DOCTYPE robot [<!ENTITY a "b">]><robot/>', "a document type, 'robot'"),
        ("\0\1\2", "a file that is not XML"),
    ],
    ids=["empty", "text", "junit", "robot-6", "robot-3", "doctype", "binary"],
)
def test_what_is_not_an_output_is_refused_in_one_line(tmp_path: Path, text: str, got: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InferenceError) as caught:
        read_output(path)
    assert str(caught.value).startswith(f"'{path}' is not the output of a Robot Framework run: expected an output.xml")
    assert got in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"cannot be read: expected an output\.xml, got no such file"):
        read_output(tmp_path / "output.xml")


def test_a_folder_names_its_output(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"holds no results.* got no output\.xml in it"):
        find_output(tmp_path)
    inner = write(tmp_path / "a", run_xml(""))
    assert find_output(tmp_path) == inner
    write(tmp_path / "b", run_xml(""))
    with pytest.raises(InferenceError, match=r"holds the results of 2 runs.* got a/output\.xml, b/output\.xml"):
        find_output(tmp_path)
    top = write(tmp_path, run_xml(""))
    assert find_output(tmp_path) == top


def test_a_huge_output_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "output.xml"
    body = keyword("Log", inside=message("x" * 1000) * 200)
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD + '<suite name="Root">')
        for number in range(100):
            file.write(one_test(f"t{number}", body=body))
        file.write("</suite></robot>")
    size = path.stat().st_size
    assert size > 20_000_000
    tracemalloc.start()
    found = read_output(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.summary.total == 100
    assert peak < size / 10


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("one\ntwo", "one"),
        ("Parent suite setup failed:\nno server", "Parent suite setup failed: no server"),
        ("Several failures occurred:\n\n1) one\n\n2) two", "Several failures occurred: 1) one"),
        ("Setup failed:", "Setup failed:"),
        ("\n\n", ""),
    ],
)
def test_the_reason_is_the_first_line_that_tells_something(error: str, reason: str) -> None:
    assert TestResult("a", "failed", 1.0, "s", error=error).reason == reason


def test_elements_that_stand_in_lines_of_their_own_do_so_in_text() -> None:
    evidence = "<details><summary>POST: 200</summary><b>Request</b><pre>POST /\nhost: a</pre><b>Answer</b><pre>{}</pre>"
    found = plain_text(f"{evidence}</details><table><tr><th>a</th><td>b</td></tr></table>c")[0]
    assert found.split("\n") == ["POST: 200", "Request", "POST /", "host: a", "Answer", "{}", "  a  b", "c"]


@given(st.text(), st.text())
def test_any_html_is_told_as_text(before: str, after: str) -> None:
    text, files = plain_text(f"{before}<a href='x.svg'>{after}")
    assert isinstance(text, str)
    assert all(".." not in file.split("/") for file in files)


NAMES = st.text(min_size=1).map(lambda text: " ".join(text.split())).filter(lambda text: text and ": " not in text)


@given(
    st.lists(
        st.builds(
            run_facts.Life,
            NAMES,
            st.just(time(1)),
            st.just(time(2)),
            st.sampled_from(["", "http://a"]),
            NAMES,
            st.sampled_from(["", "b1-a"]),
        )
    )
)
def test_lives_are_read_as_they_were_written(written: list[run_facts.Life]) -> None:
    assert run_facts.lives(run_facts.lives_text(written)) == written


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=9))
def test_figures_are_read_as_they_were_written(values: list[float]) -> None:
    found = run_facts.figure(run_facts.ttft_text(values))
    assert found is not None
    assert found[1] == len(values)
    assert found[0] == pytest.approx(sorted(values)[len(values) // 2] * 1000, rel=1e-3) or len(values) % 2 == 0
    assert run_facts.figure("fast") is None
