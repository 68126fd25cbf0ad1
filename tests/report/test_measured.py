"""The figures of a run, read from the files that its log links to, and told by the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report.outputs import one_test, run_xml, write

from InferenceLibrary.cli import main
from InferenceLibrary.report.html import page
from InferenceLibrary.report.measured import with_measurements
from InferenceLibrary.report.robot_output import read_output
from InferenceLibrary.report.run_comparison import compare
from InferenceLibrary.report.run_document import run_document
from InferenceLibrary.report.run_results import RunResults

LOAD = {
    "kind": "inference-load",
    "name": "mine",
    "load": "4 users",
    "totals": {"requests": 8.0, "error_rate": 0.25, "tokens_per_second": 80.0},
    "figures": {"ttft": {"count": 8, "median": 0.05, "p99": 0.09, "median_95": [0.04, 0.06]}},
    "curves": [{"name": "open requests", "unit": "", "points": [[0, 1], [1, 4], [2, 0]]}],
    "doubts": ["the client stood still"],
    "remarks": ["warm"],
}
GENERATIONS = {
    "format": "rfinference-measurement",
    "name": "mine",
    "model": "m",
    "generations": [
        {"ttft": 0.1, "elapsed": 1.0, "output_tokens": 9, "tokens_per_second": 10.0, "gaps": [0.1, 0.2]},
        {"ttft": 0.3, "elapsed": 2.0, "output_tokens": 9, "tokens_per_second": None, "gaps": []},
    ],
}
MONITOR = {
    "kind": "inference-monitor",
    "name": "mine",
    "interval": 0.05,
    "samples": [{"time": at, "rss": 1_000_000 + at, "pss": None, "cpu": at / 2} for at in range(1000)],
}
SWEEP = {
    "kind": "inference-sweep",
    "name": "mine",
    "unit": "users",
    "level": 4.0,
    "steps": [{"level": at, "kept": at < 5, "tokens_per_second": 20.0 * at, "ttft_p99": None} for at in (1, 2, 4, 8)],
}
ONNX = {
    "schema": 1,
    "kind": "onnx-benchmark",
    "name": "mlp",
    "rows": [{"provider": "CPU", "batch": 4, "io_binding": True, "first": 1.0, "times": [0.001, 0.002, 0.003]}],
}


def run_with(folder: Path, **files: Any) -> RunResults:
    """A run of one test that links to files of such content."""
    links = ""
    for name, content in files.items():
        write(folder / "inference", content if isinstance(content, str) else json.dumps(content), f"{name}.json")
        links += (
            f'<msg time="t" level="INFO" html="true">Figures: &lt;a href="inference/{name}.json"&gt;x&lt;/a&gt;</msg>'
        )
    body = f'<kw name="Run Load" owner="Lib">{links}<status status="PASS" start="t" elapsed="1"/></kw>'
    return with_measurements(read_output(write(folder, run_xml(one_test("Measures", body=body)))), folder)


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    results = run_with(tmp_path, a=LOAD, b=GENERATIONS, c=MONITOR, d=SWEEP, e=ONNX, f={"request": {}}, g="no JSON")
    assert results.problems == []
    load, generation, memory, sweep, onnx = results.measurements
    assert (load.what, load.server, load.about, load.test) == ("load", "mine", "4 users", "Root.Chat.Measures")
    assert load.remarks == ["cannot be trusted: the client stood still", "warm"]
    assert {one.name: (one.unit, one.values) for one in load.figures} == {
        "ttft": ("s", {"count": 8, "median": 0.05, "p99": 0.09}),
        "requests": ("", {"value": 8}),
        "error_rate": ("", {"value": 0.25}),
        "tokens_per_second": ("tokens/s", {"value": 80}),
    }
    assert load.curves[0].points == [(0, 1), (1, 4), (2, 0)]
    figures = {one.name: one.values for one in generation.figures}
    assert figures["ttft"]["median"] == pytest.approx(0.2)
    assert figures["rate"] == dict.fromkeys(("mean", "median", "p90", "p95", "p99", "minimum", "maximum"), 10) | {
        "count": 1
    }
    assert figures["gap"]["count"] == 2
    figures = {one.name: one.values for one in memory.figures}
    assert figures["rss"] == {"maximum": 1_000_999, "last": 1_000_999}
    assert figures["cpu"]["mean"] == pytest.approx(0.5)
    assert "pss" not in figures
    (rss, cpu) = memory.curves
    assert (rss.name, len(rss.points), rss.points[-1]) == ("rss", 200, (999, 1_000_999))
    assert (cpu.unit, len(cpu.points)) == ("cores", 200)
    assert sweep.figures[0].values == {"value": 4}
    assert [(curve.name, curve.over, len(curve.points)) for curve in sweep.curves] == [
        ("tokens_per_second", "users", 4)
    ]
    assert onnx.about == "CPU, batch 4, I/O binding"
    assert onnx.figures[0].values["median"] == pytest.approx(0.002)


@pytest.mark.parametrize(
    "content",
    [
        {**LOAD, "figures": {"ttft": {"median": "soon"}}},
        {**LOAD, "totals": {"requests": float("nan")}},
        {**MONITOR, "samples": None},
        {key: value for key, value in SWEEP.items() if key != "steps"},
        json.dumps(LOAD)[:-20],
    ],
    ids=["a word", "not a number", "nothing", "a part missing", "cut"],
)
def test_a_damaged_file_is_told_and_the_others_are_read(tmp_path: Path, content: Any) -> None:
    results = run_with(tmp_path, bad=content, good=GENERATIONS)
    assert [one.what for one in results.measurements] == ["generation"]
    (problem,) = results.problems
    assert problem.startswith("WARN: the figures in inference/bad.json are damaged or of another version: ")


def test_a_file_that_is_gone_is_left_out(tmp_path: Path) -> None:
    results = run_with(tmp_path, a=LOAD)
    (tmp_path / "inference" / "a.json").unlink()
    assert with_measurements(results, tmp_path).measurements == []


def test_the_report_has_table_and_charts(tmp_path: Path) -> None:
    results = run_with(tmp_path, a=LOAD, b=GENERATIONS, c=MONITOR, d=SWEEP)
    (section,) = (one for one in run_document(results).sections if one.title.startswith("Measurements"))
    assert section.table is not None
    told = [tuple(cell.text for cell in cells) for cells in section.table.rows]
    first, what, server, how, figures, remarks = told[0]
    assert (first, what, server, how) == ("Chat.Measures", "load", "mine", "4 users")
    assert figures == "ttft 50 ms, p99 90 ms; tokens_per_second 80 tokens/s; error_rate 0.25"
    assert remarks == "cannot be trusted: the client stood still; warm"
    pictures = [image.content.decode() for image in section.images]
    assert len(pictures) == 4
    bars, load, memory, sweep = pictures
    assert bars.count("TTFT, ms") == 1
    assert "open requests" in load
    assert "rss, MB" in memory
    assert "cpu, cores" in memory
    assert ">users<" in sweep
    assert page(run_document(results)).count("data:image/svg+xml") == 4


def test_slower_and_faster_measurements_are_told_beside_an_earlier_run(tmp_path: Path) -> None:
    earlier = run_with(tmp_path / "before", a=LOAD)
    slower = {**LOAD, "totals": {"tokens_per_second": 160.0}, "figures": {"ttft": {"median": 0.1}}}
    changes = compare(run_with(tmp_path / "now", a=slower), earlier).changes
    assert [(one.what, one.tone.value, one.before, one.now) for one in changes] == [
        ("ttft of the load of 'mine' higher", "odd", "50 ms", "100 ms"),
        ("tokens_per_second of the load of 'mine' higher", "good", "80 tokens/s", "160 tokens/s"),
    ]
    assert compare(earlier, earlier).changes == ()


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_with(tmp_path, a=LOAD)
    assert main(["report", str(tmp_path), "--json", str(tmp_path / "r.json"), "--compare", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [one["server"] for one in found["measurements"]] == ["mine"]
    assert "Nothing changed." in capsys.readouterr().out
