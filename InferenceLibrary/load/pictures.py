"""Pictures of loads: how long requests took, what happened when, and what a server does at rising loads. SVG."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from InferenceLibrary.chart_parts import (
    INK,
    LEFT,
    LIMIT,
    MEMORY,
    RIGHT,
    SERIES,
    SOFT,
    TOKENS,
    WAIT,
    WIDTH,
    Axis,
    Point,
    draw_card,
    draw_grid,
    draw_heading,
    draw_legend,
    draw_text,
    draw_time_axis,
    path_of,
    pixels,
    simplify,
)
from InferenceLibrary.load.figures import FIGURES
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult
from InferenceLibrary.load.sweep import SweepStep

_ROWS = 120
"""Requests that a waterfall shows; of more, evenly chosen ones."""
_BINS = 120
_POINTS = 200
_LONGEST_BESIDE = 16
"""Characters of a name that is written along its panel."""


class Curve(NamedTuple):
    """A quantity over time, beside a load.

    Args:
        label: What it is, with its unit: `memory (PSS), MB`.
        points: (seconds from the beginning of the load, value), ascending.
        limit: A value to draw as a line, if any.
    """

    label: str
    points: Sequence[Point]
    limit: float | None = None


def distribution_picture(result: LoadResult) -> str:
    """Return the shares of requests (of tokens, for latencies between tokens) that took so long or less.

    Each figure has an axis of its own, from zero to its 99.5th percentile; p50 and p99 are marked.
    """
    names = [name for name in ("ttft", "itl", "latency") if name in result.figures]
    subtitle = f"{len(result.succeeded)} of {len(result.measured)} requests succeeded, {result.plan.schedule}"
    parts = draw_heading(f"Latencies of '{result.name}'", subtitle)
    top, height = 84.0, 150.0
    for number, name in enumerate(names):
        values = result.sample(name)
        title = FIGURES[name].title
        most = values.percentile(99.5)
        factor, unit = (1000.0, "ms") if most < 10 else (1.0, "s")
        shares = Axis.around(0, 100, top + height, top, 4)
        times = Axis.around(0, most * factor, LEFT, WIDTH - RIGHT, 8, grow=True)
        parts += draw_grid(shares, "share, %", top, [f"{tick:g}" for tick in shares.ticks])
        ranks = [index * 100 / _POINTS for index in range(_POINTS + 1) if index * 100 / _POINTS <= 99.5]
        curve = [(times(values.percentile(rank) * factor), shares(rank)) for rank in ranks]
        parts.append(_line(curve, SERIES[number]))
        for rank in (50, 99):
            value = values.percentile(rank) * factor
            x, y = times(value), shares(rank)
            parts.append(f'<circle cx="{pixels(x)}" cy="{pixels(y)}" r="3.5" fill="{SERIES[number]}"/>')
            anchor, aside = ("end", -8) if x > WIDTH - 160 else ("start", 8)
            # Above the panel there is no curve that would cross the words.
            said, below = f"p{rank} {value:.3g} {unit}", 13 if rank == 50 else -7
            parts.append(draw_text(x + aside, y + below, said, size=11, fill=INK, anchor=anchor))
        parts += _axis(times, top + height, f"{title}, {unit}")
        top += height + 62
    return draw_card(top - 8, f"Latencies of '{result.name}'", parts)


def timeline_picture(result: LoadResult, curves: Sequence[Curve] = ()) -> str:
    """Return what happened when, on one axis of time: each request, open requests, tokens a second, and `curves`."""
    records = result.records
    end = max((one.ended for one in records), default=1.0)
    curves = [curve._replace(points=[point for point in curve.points if 0 <= point[0] <= end]) for curve in curves]
    times = Axis.around(0, end, LEFT, WIDTH - RIGHT, 8)
    shown = records if len(records) <= _ROWS else [records[len(records) * row // _ROWS] for row in range(_ROWS)]
    more = "" if shown is records else f", {len(shown)} of {len(records)} requests drawn"
    title = f"Load of '{result.name}' over time"
    parts = draw_heading(title, f"{result.plan.schedule}, {result.failures} failed{more}")
    parts += draw_legend(LEFT, 66, [(WAIT, "to the first token"), (TOKENS, "tokens"), (LIMIT, "failed")])
    top, height = 88.0, max(60.0, min(230.0, 6.0 * len(shown)))
    parts += _waterfall(shown, times, top, height)
    top += height + 26
    panels = [
        (Curve("open requests", result.concurrency_over_time()), SERIES[4], True),
        (Curve("tokens/s", tokens_over_time(result)), TOKENS, True),
        *((curve, MEMORY if number == 0 else SERIES[5 - number % 2], False) for number, curve in enumerate(curves)),
    ]
    for curve, colour, steps in panels:
        if curve.points:
            parts += _panel(curve, times, top, 74.0, colour, steps=steps)
            top += 74 + 26
    bottom = top - 26
    parts += draw_time_axis(times, bottom)
    return draw_card(bottom + 46, title, parts)


def sweep_picture(name: str, unit: str, steps: Sequence[SweepStep], knee: SweepStep | None = None) -> str:
    """Return throughput and latency against the load.

    Args:
        name: The server's name.
        unit: Of the levels: `users` or `requests/s`.
        steps: The loads, ascending; those that broke the limits are marked.
        knee: The load from which on throughput hardly rises, if known.
    """
    told = f"; the knee is at {knee.level:g} {unit}" if knee else ""
    title = f"'{name}' at rising loads"
    parts = draw_heading(title, f"{len(steps)} loads, {sum(step.kept for step in steps)} within the limits{told}")
    levels = Axis.around(0, max(step.level for step in steps), LEFT, WIDTH - RIGHT, 10, grow=True)
    panels = [
        ("tokens/s", [("tokens/s", "tokens_per_second", 1.0)]),
        ("TTFT, ms", [("p50", "ttft_p50", 1000.0), ("p99", "ttft_p99", 1000.0)]),
        ("latency, ms", [("p50", "latency_p50", 1000.0), ("p99", "latency_p99", 1000.0)]),
    ]
    if not all(step.kept for step in steps):
        parts += draw_legend(LEFT, 66, [(LIMIT, "beyond the limits")])
    top, height = 92.0, 120.0
    for label, curves in panels:
        found = [
            (series, [(step, value * factor) for step in steps if (value := step.figure(figure)) is not None])
            for series, figure, factor in curves
        ]
        values = [value for _, points in found for _, value in points]
        if not values:
            continue
        scale = Axis.around(0, max(values), top + height, top, 4, grow=True)
        parts += draw_grid(scale, label, top, [f"{tick:.6g}" for tick in scale.ticks])
        for number, (_, points) in enumerate(found):
            if points:
                parts.append(_line([(levels(step.level), scale(value)) for step, value in points], SERIES[number]))
            for step, value in points:
                colour = SERIES[number] if step.kept else LIMIT
                parts.append(
                    f'<circle cx="{pixels(levels(step.level))}" cy="{pixels(scale(value))}" r="3.5" fill="{colour}"/>'
                )
        if knee is not None:
            x = pixels(levels(knee.level))
            parts.append(
                f'<path d="M{x} {pixels(top)}V{pixels(top + height)}" stroke="{SOFT}" stroke-dasharray="4 3"/>'
            )
        if len(curves) > 1:
            parts += draw_legend(LEFT, top - 15, [(SERIES[number], one[0]) for number, one in enumerate(curves)])
        top += height + 34
    parts += _axis(levels, top - 34, unit)
    return draw_card(top + 12, title, parts)


def _waterfall(shown: Sequence[Record], times: Axis, top: float, height: float) -> list[str]:
    room = height / max(1, len(shown))
    wide = max(1.0, min(4.0, room * 0.7))
    lines: dict[str, list[str]] = {WAIT: [], TOKENS: [], LIMIT: []}
    for row, one in enumerate(shown):
        y = pixels(top + (row + 0.5) * room)
        first = one.sent + one.first_token if one.first_token is not None else one.ended
        spans = [(WAIT, one.sent, first), (TOKENS, first, one.ended)]
        if one.error is not None:
            spans = [(LIMIT, one.sent, one.ended)]
        for colour, begin, end in spans:
            x, to = times(begin), times(end)
            if end > begin:
                lines[colour].append(f"M{pixels(x)} {y}H{pixels(max(to, x + 0.6))}")
    parts = [
        f'<path d="{"".join(found)}" stroke="{colour}" stroke-width="{pixels(wide)}"/>'
        for colour, found in lines.items()
        if found
    ]
    middle = pixels(top + height / 2)
    parts.append(
        f'<text x="16" y="{middle}" font-size="11" fill="{SOFT}" text-anchor="middle" '
        f'transform="rotate(-90 16 {middle})" dominant-baseline="middle">requests</text>'
    )
    return parts


def tokens_over_time(result: LoadResult) -> list[Point]:
    """Return tokens a second in even parts of the time: those of a request are spread over its chunks."""
    wide = max((one.ended for one in result.records), default=1.0) / _BINS
    counts = [0.0] * (_BINS + 1)
    for one in result.records:
        arrivals = one.arrivals
        for when in arrivals:
            counts[min(_BINS, int((one.sent + when) / wide))] += one.output_tokens / len(arrivals)
    return [(place * wide, count / wide) for place, count in enumerate(counts[:_BINS])] if any(counts) else []


def _panel(curve: Curve, times: Axis, top: float, height: float, colour: str, *, steps: bool) -> list[str]:
    most = max([value for _, value in curve.points] + ([curve.limit] if curve.limit else []))
    scale = Axis.around(0, most, top + height, top, 3, grow=True)
    # A long name does not fit beside its panel.
    long = len(curve.label) > _LONGEST_BESIDE
    parts = draw_grid(scale, "" if long else curve.label, top, [f"{tick:.6g}" for tick in scale.ticks])
    if long:
        parts.append(draw_text(LEFT, top - 7, curve.label, size=11, fill=SOFT))
    points = _columns([(times(x), scale(y)) for x, y in curve.points])
    if steps:
        points = [
            point for (x, y), (after, _) in itertools.pairwise([*points, points[-1]]) for point in ((x, y), (after, y))
        ]
    if len(curve.points) == 1:
        left, height = points[0]
        parts.append(f'<circle cx="{pixels(left)}" cy="{pixels(height)}" r="2.5" fill="{colour}"/>')
    else:
        parts.append(_line(points, colour))
    if curve.limit:
        y = pixels(scale(curve.limit))
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{LIMIT}" stroke-dasharray="5 3"/>')
    return parts


def _columns(points: Sequence[Point]) -> Sequence[Point]:
    """At most one point a pixel of width: the highest, so that a spike survives."""
    if len(points) <= WIDTH:
        return points
    return [min(column, key=lambda point: point[1]) for _, column in itertools.groupby(points, lambda one: int(one[0]))]


def _line(points: Sequence[Point], colour: str) -> str:
    tolerance = 0.3
    found = simplify(points, tolerance)
    while len(found) > 4 * _POINTS:
        tolerance *= 2
        found = simplify(points, tolerance)
    return f'<path d="{path_of(found)}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'


def _axis(axis: Axis, bottom: float, label: str) -> list[str]:
    parts = [f'<path d="M{LEFT} {pixels(bottom)}H{WIDTH - RIGHT}" stroke="{SOFT}"/>']
    parts += [
        draw_text(axis(tick), bottom + 17, f"{tick:.6g}", size=11, fill=SOFT, anchor="middle") for tick in axis.ticks
    ]
    parts.append(draw_text((LEFT + WIDTH - RIGHT) / 2, bottom + 33, label, size=11, fill=SOFT, anchor="middle"))
    return parts
