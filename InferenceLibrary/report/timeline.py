"""The timeline of a run as a picture: a row a worker with the tests that it ran, a row a server with its life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from InferenceLibrary.foreign_text import limited, markup
from InferenceLibrary.report.robot_output import moment
from InferenceLibrary.report.run_results import RunResults

_WIDTH, _LEFT, _ROW = 1000, 190, 26
_MOST_SERVERS = 20
"""Rows of servers: of those that lived longest. The lives of all others share one more."""
_COLOURS = {"passed": "var(--good)", "failed": "var(--bad)", "skipped": "var(--open)", "server": "var(--server)"}
"""Colours of the page that it stands in, light or dark."""


class Stretch(NamedTuple):
    """Something that lasted."""

    row: str
    start: float
    """Seconds since the run began."""
    end: float
    sort: str
    """Status of a test, or `server`."""
    title: str


def stretches(results: RunResults) -> list[Stretch]:
    """Return what ran when: tests by worker, those that overlap in rows of their own, and servers."""
    tests = [(began, test) for test in results.tests if (began := moment(test.started)) is not None]
    lives = [
        (began, ended, life)
        for life in results.servers
        if (began := moment(life.started)) is not None and (ended := moment(life.ended)) is not None
    ]
    begins = [began for began, _ in tests] + [began for began, _, _ in lives]
    if not begins:
        return []
    zero = min(begins)
    found: list[Stretch] = []
    ends: dict[str, list[float]] = {}
    for began, test in sorted(tests, key=lambda item: item[0]):
        start = _since(zero, began)
        lanes = ends.setdefault(test.worker, [])
        lane = next((at for at, end in enumerate(lanes) if end <= start + 0.0005), len(lanes))
        lanes[lane:] = [start + test.duration, *lanes[lane + 1 :]]
        name = f"worker {test.worker}" if test.worker else "tests"
        row = name if lane == 0 else f"{name}, {lane + 1}"
        title = f"{test.suite}.{test.name}: {test.status}, {test.duration:.3g} s"
        found.append(Stretch(row, start, start + test.duration, test.status, title))
    found.sort(key=lambda bar: bar.row)
    bars = []
    for began, ended, life in lives:
        where = f" (worker {life.worker})" if life.worker else ""
        title = f"{life.name}{where}: {(ended - began).total_seconds():.3g} s, {life.model}"
        bars.append(Stretch(f"server {life.name}{where}", _since(zero, began), _since(zero, ended), "server", title))
    return found + _in_few_rows(bars)


def _in_few_rows(bars: Sequence[Stretch]) -> list[Stretch]:
    """Return the lives of servers in as many rows as a picture can show, the further ones in the last."""
    lived: dict[str, float] = {}
    for bar in bars:
        lived[bar.row] = lived.get(bar.row, 0.0) + bar.end - bar.start
    own = set(sorted(lived, key=lived.__getitem__, reverse=True)[:_MOST_SERVERS])
    rest = [bar._replace(row=f"{len(lived) - len(own)} further servers") for bar in bars if bar.row not in own]
    return [bar for bar in bars if bar.row in own] + rest


def timeline(results: RunResults) -> str:
    """Return an SVG; empty where nothing has a time."""
    found = stretches(results)
    if not found:
        return ""
    rows = {row: at for at, row in enumerate(dict.fromkeys(bar.row for bar in found))}
    span = max(bar.end for bar in found) or 1.0
    scale = (_WIDTH - _LEFT - 12) / span
    height = 34 + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Timeline of {span:.3g} seconds" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" rx="6" style="fill:var(--card);stroke:var(--line)"/>',
    ]
    parts += _ticks(span, scale, height)
    for row, at in rows.items():
        text = limited(row, 26).partition("(")[0] if len(row) > 28 else row
        parts.append(f'<text x="8" y="{_ROW * at + 22}" style="fill:var(--ink)">{markup(text)}</text>')
    for bar in found:
        x, y = _LEFT + bar.start * scale, _ROW * rows[bar.row] + 8
        wide = max((bar.end - bar.start) * scale, 1.5)
        parts.append(
            f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{_ROW - 8}" stroke-width=".5" '
            f'style="fill:{_COLOURS[bar.sort]};stroke:var(--card)"><title>{markup(bar.title)}</title></rect>'
        )
    return "".join([*parts, "</svg>"])


def _ticks(span: float, scale: float, height: int) -> Sequence[str]:
    steps = [factor * 10.0**power for power in range(-3, 7) for factor in (1, 2, 5)]
    step = next((one for one in steps if span / one <= 8), steps[-1])
    parts = []
    for at in range(int(span / step) + 1):
        x = _LEFT + at * step * scale
        parts.append(f'<path d="M{x:.1f} 4V{height - 22}" style="stroke:var(--grid)"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{height - 8}" style="fill:var(--soft)" text-anchor="middle">{at * step:.6g} s</text>'
        )
    return parts


def _since(zero: datetime, then: datetime) -> float:
    return (then - zero).total_seconds()
