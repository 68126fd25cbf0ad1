"""`rfinference report` and `rfinference verdict`: from the output of Robot Framework to reports."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from InferenceLibrary.report.console import lines
from InferenceLibrary.report.html import page
from InferenceLibrary.report.markdown import markdown
from InferenceLibrary.report.measured import with_measurements
from InferenceLibrary.report.merging import merge_runs
from InferenceLibrary.report.robot_output import find_output, read_output
from InferenceLibrary.report.run_document import run_document
from InferenceLibrary.report.run_results import RunResults, run_json, run_schema
from InferenceLibrary.report.verdict import join, verdict_document, verdict_json, verdict_schema
from InferenceLibrary.report.writing import add_outputs, way_to, write_outputs


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rfinference report`."""
    parser.add_argument(
        "results", nargs="?", type=Path, metavar="RESULTS", help="an output.xml, or a folder that holds one"
    )
    parser.add_argument("--compare", type=Path, metavar="EARLIER", help="results of an earlier run to compare with")
    _add_outputs(parser, "report")
    parser.set_defaults(run=report)


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rfinference verdict`."""
    parser.add_argument("simulator", nargs="?", type=Path, metavar="SIMULATOR", help="results on the simulator")
    parser.add_argument(
        "real", nargs="?", type=Path, metavar="REAL", help="results of the same suites on the real server"
    )
    _add_outputs(parser, "verdict")
    parser.set_defaults(run=verdict)


def add_merge_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rfinference merge`."""
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="the first run, then its reruns: folders or output.xml"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the joined run is written")
    parser.set_defaults(run=merge, parser=parser)


def merge(arguments: argparse.Namespace) -> int:
    """Join a run with its reruns, their files too; return 0 when all tests pass at last, else 1."""
    if len(arguments.results) < 2:
        arguments.parser.error("give two or more results: the first run, then its reruns")
    failed = merge_runs(arguments.results, arguments.output)
    print(f"{arguments.output / 'log.html'}: {failed} {'test' if failed == 1 else 'tests'} failed at last")
    return 1 if failed else 0


def report(arguments: argparse.Namespace) -> int:
    """Write the reports of a run; return 0, or 1 when the run is not whole."""
    if arguments.schema:
        print(json.dumps(run_schema(), indent=1))
        return 0
    if arguments.results is None:
        arguments.parser.error("report on which results? Give an output.xml or a folder that holds one")
    output = find_output(arguments.results)
    results = with_measurements(read_output(output), output.parent)
    earlier = _earlier(arguments.compare)
    made = run_document(results, earlier=earlier, folder=output.parent)
    forms = {
        "json": ("inference-report.json", lambda path: run_json(results)),
        "markdown": ("inference-report.md", lambda path: markdown(made)),
        "html": ("inference-report.html", lambda path: page(made, way_to(output.parent, path))),
    }
    write_outputs(arguments, forms)
    print("\n".join(lines(made)))
    return 1 if results.incomplete else 0


def verdict(arguments: argparse.Namespace) -> int:
    """Write the verdict on two runs; return 0 when they agree, 1 when one fails, 2 when nothing was compared."""
    if arguments.schema:
        print(json.dumps(verdict_schema(), indent=1))
        return 0
    if arguments.real is None:
        arguments.parser.error("give two results: first those on the simulator, then those on the real server")
    joined = join(read_output(find_output(arguments.simulator)), read_output(find_output(arguments.real)))
    made = verdict_document(joined)
    forms = {
        "json": ("inference-verdict.json", lambda path: verdict_json(joined)),
        "markdown": ("inference-verdict.md", lambda path: markdown(made)),
        "html": ("inference-verdict.html", lambda path: page(made)),
    }
    write_outputs(arguments, forms)
    print("\n".join(lines(made)))
    return joined.exit_code


def _earlier(place: Path | None) -> RunResults | None:
    """The results of the run to compare with, if there is one."""
    if place is None:
        return None
    output = find_output(place)
    return with_measurements(read_output(output), output.parent)


def _add_outputs(parser: argparse.ArgumentParser, name: str) -> None:
    forms = {
        "json": "write JSON, by a schema",
        "markdown": "write Markdown, for a summary of CI",
        "html": "write one HTML file that needs nothing beside it",
    }
    add_outputs(parser, forms, f"write inference-{name}.json, .md and .html into it")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the JSON, and do nothing else")
    parser.set_defaults(parser=parser)
