"""Pictures for the log and the reports: small hand-written SVG.

No fonts from the web, no scripts. Curves are simplified until the whole picture stays small; a stall or a spike
survives that, because it is the simplified line that may not be further from the true one than a fraction of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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

_BUDGET = 180
"""Points of all curves together; what is beyond it is simplified away."""

_MOST = 25
"""Generations that fit on one picture; of more, the first ones are drawn and the picture says so."""


@dataclass(frozen=True)
class TokenCurve:
    """Token arrivals of one generation.

    Args:
        started: Seconds on the common clock when its request was sent.
        arrivals: Seconds after that at which output arrived, ascending.
        tokens: Number of tokens that came with these arrivals in all.
        note: Short text over the curve: `49.8 tokens/s`.
    """

    started: float
    arrivals: Sequence[float]
    tokens: int
    note: str = ""


@dataclass(frozen=True)
class MemoryCurve:
    """Memory over time.

    Args:
        label: What is drawn: `PSS`.
        points: (seconds on the common clock, bytes), ascending.
        peak: The highest value in bytes; it may lie between two points.
        limit: A limit in bytes to draw as a line, if any.
    """

    label: str
    points: Sequence[Point]
    peak: float
    limit: float | None = None


@dataclass(frozen=True)
class Bar:
    """One measured figure with its tail, in a chart of groups.

    Args:
        group: What stands below it: `batch 4`.
        series: Which of the coloured rows it belongs to: `CUDA`.
        value: The height of the bar.
        tail: A higher value that a thin line reaches, such as a 99th percentile; None for no line.
    """

    group: str
    series: str
    value: float
    tail: float | None = None


def bars_chart(title: str, subtitle: str, panels: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return an SVG of panels, one below the other, each with bars in groups, one colour a series.

    Args:
        title: The title.
        subtitle: A line below it.
        panels: The label of each panel's axis, with its unit, and its bars.

    Raises:
        ValueError: There is no bar, or a number is negative or not finite.
    """
    numbers = [number for _, bars in panels for bar in bars for number in (bar.value, bar.tail or 0.0)]
    if not numbers or not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("A chart of bars needs numbers that are finite and not negative.")
    series = list(dict.fromkeys(bar.series for _, bars in panels for bar in bars))
    groups = list(dict.fromkeys(bar.group for _, bars in panels for bar in bars))
    parts = [
        draw_text(LEFT - 46, 30, title, size=17, weight=600),
        draw_text(LEFT - 46, 50, subtitle, size=12, fill=SOFT),
    ]
    parts += draw_legend(LEFT, 66, [(SERIES[index % len(SERIES)], name) for index, name in enumerate(series)])
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    wide = min(46.0, room * 0.8 / len(series))
    top, height = 92.0, 130.0
    for label, bars in panels:
        highest = max([bar.tail or bar.value for bar in bars], default=1.0)
        axis = Axis.around(0, highest, top + height, top, 3, grow=True)
        parts += draw_grid(axis, label, top, [f"{tick:.6g}" for tick in axis.ticks])
        for bar in bars:
            index = series.index(bar.series)
            left = LEFT + room * (groups.index(bar.group) + 0.5) + wide * (index - len(series) / 2)
            y, middle = axis(bar.value), left + wide / 2
            colour = SERIES[index % len(SERIES)]
            parts.append(
                f'<rect x="{pixels(left + 1)}" y="{pixels(y)}" width="{pixels(wide - 2)}" '
                f'height="{pixels(top + height - y)}" fill="{colour}"/>'
            )
            if bar.tail is not None and bar.tail > bar.value:
                end = axis(bar.tail)
                parts.append(
                    f'<path d="M{pixels(middle)} {pixels(y)}V{pixels(end)}m-4 0h8" stroke="{INK}" fill="none"/>'
                )
        parts.append(f'<path d="M{LEFT} {pixels(top + height)}H{WIDTH - RIGHT}" stroke="{SOFT}"/>')
        for index, name in enumerate(groups):
            parts.append(
                draw_text(LEFT + room * (index + 0.5), top + height + 17, name, size=11, fill=SOFT, anchor="middle")
            )
        top += height + 40
    return draw_card(top, title, parts)


@dataclass(frozen=True)
class Panel:
    """One curve in a picture of several, with an axis of its own.

    Args:
        label: What it is, with its unit: `memory, MB`.
        points: Ascending; two or more.
    """

    label: str
    points: Sequence[Point]


def curves_chart(title: str, subtitle: str, over: str, panels: Sequence[Panel]) -> str:
    """Return an SVG of curves, one below the other, over one axis.

    Args:
        title: The title.
        subtitle: A line below it.
        over: What stands below the axis: `seconds`.
        panels: The curves.

    Raises:
        ValueError: There is no curve, one has fewer than two points, or a number is not finite.
    """
    points = [point for panel in panels for point in panel.points]
    if (
        not panels
        or any(len(panel.points) < 2 for panel in panels)
        or not all(math.isfinite(one) for point in points for one in point)
    ):
        raise ValueError("A chart of curves needs curves of two or more points of finite numbers.")
    along = Axis.around(min(x for x, _ in points), max(x for x, _ in points), LEFT, WIDTH - RIGHT, 8)
    parts = draw_heading(title, subtitle)
    top, height = 76.0, 84.0
    for number, panel in enumerate(panels):
        values = [value for _, value in panel.points]
        scale = Axis.around(min(0.0, *values), max(values), top + height, top, 3, grow=True)
        parts += draw_grid(scale, panel.label, top, [f"{tick:.6g}" for tick in scale.ticks])
        line = _within([[(along(x), scale(y)) for x, y in panel.points]], _BUDGET)[0]
        colour = SERIES[number % len(SERIES)]
        parts.append(
            f'<path d="{path_of(line)}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        )
        top += height + 26
    parts += draw_time_axis(along, top - 26, over)
    return draw_card(top + 20, title, parts)


def generation_chart(
    title: str, subtitle: str, generations: Sequence[TokenCurve], memory: MemoryCurve | None = None
) -> str:
    """Return an SVG of token arrivals over time, one curve per generation, with memory on the same time axis below.

    Raises:
        ValueError: There is no generation, or one has no arrival.
    """
    if not generations or not all(item.arrivals for item in generations):
        raise ValueError("A chart needs generations, each with at least one arrival.")
    if len(generations) > _MOST:
        subtitle += f" (the first {_MOST} of {len(generations)} are drawn)"
        generations = generations[:_MOST]
    origin = generations[0].started
    end = max(item.started + item.arrivals[-1] - origin for item in generations)
    inside = _between([(when - origin, value) for when, value in memory.points], end) if memory else []
    times = Axis.around(0.0, end, LEFT, WIDTH - RIGHT, 8)
    top, height = 92, 170
    parts = [
        draw_text(LEFT - 46, 30, title, size=17, weight=600),
        draw_text(LEFT - 46, 50, subtitle, size=12, fill=SOFT),
    ]
    parts += _token_panel(generations, origin, times, top, height)
    bottom = top + height
    if memory is not None and inside:
        memory_top = bottom + 44
        parts += _memory_panel(memory, inside, times, memory_top, 96)
        bottom = memory_top + 96
    parts += draw_time_axis(times, bottom)
    return draw_card(bottom + 46, title, parts)


def _within(curves: Sequence[Sequence[Point]], budget: int) -> list[list[Point]]:
    """Simplify all curves alike, as little as the budget allows."""
    tolerance = 0.3
    shown = [simplify(curve, tolerance) for curve in curves]
    for _ in range(12):
        if sum(map(len, shown)) <= budget:
            break
        tolerance *= 1.6
        shown = [simplify(curve, tolerance) for curve in curves]
    return shown


def _between(points: Sequence[Point], end: float) -> list[Point]:
    """The points from 0 to `end`, with the neighbour on either side moved to the edge."""
    inside = [point for point in points if 0 <= point[0] <= end]
    before = [value for when, value in points if when < 0]
    after = [value for when, value in points if when > end]
    return [*((0.0, value) for value in before[-1:]), *inside, *((end, value) for value in after[:1])]


def _token_panel(generations: Sequence[TokenCurve], origin: float, times: Axis, top: float, height: float) -> list[str]:
    most = max(item.tokens for item in generations)
    counts = Axis.around(0, most, top + height, top, 4, grow=True)
    parts = draw_grid(counts, "output tokens", top, [f"{tick:,.0f}" for tick in counts.ticks])
    curves: list[list[Point]] = []
    waits: list[str] = []
    for item in generations:
        share = item.tokens / len(item.arrivals)
        sent, first = times(item.started - origin), times(item.started + item.arrivals[0] - origin)
        waits.append(f"M{pixels(sent)} {pixels(top)}H{pixels(first)}V{pixels(top + height)}H{pixels(sent)}Z")
        line = [(times(item.started + when - origin), counts((n + 1) * share)) for n, when in enumerate(item.arrivals)]
        curves.append([(line[0][0], counts(0)), *line])
    parts.append(f'<path d="{"".join(waits)}" fill="{WAIT}" fill-opacity=".28"/>')
    shown = _within(curves, _BUDGET * 2 // 3)
    parts.append(
        f'<path d="{"".join(map(path_of, shown))}" fill="none" stroke="{TOKENS}" stroke-width="2" '
        f'stroke-linejoin="round"/>'
    )
    parts += _notes(generations, origin, times, top)
    return parts + draw_legend(LEFT, top - 26, [(TOKENS, "output tokens"), (WAIT, "waiting for the first token")])


def _notes(generations: Sequence[TokenCurve], origin: float, times: Axis, top: float) -> list[str]:
    """Number and note of each generation over its curve; only the numbers, or nothing, where the room is too small."""
    begins = [times(item.started - origin) + 3 for item in generations]
    ends = [times(item.started + item.arrivals[-1] - origin) for item in generations]
    rooms = [end - begin for begin, end in zip(begins, ends, strict=True)]
    numbers = [str(index + 1) for index in range(len(generations))]
    notes = [f"{number}: {item.note}" for number, item in zip(numbers, generations, strict=True) if item.note]
    for labels in (notes, numbers):
        if len(labels) == len(rooms) and all(len(text) * 6.6 <= room for text, room in zip(labels, rooms, strict=True)):
            return [draw_text(x, top + 13, text, size=11) for x, text in zip(begins, labels, strict=True)]
    return []


def _memory_panel(memory: MemoryCurve, points: Sequence[Point], times: Axis, top: float, height: float) -> list[str]:
    highest = max(memory.peak, memory.limit if memory.limit is not None and memory.limit < 3 * memory.peak else 0)
    factor, unit = next((item for item in ((1e9, "GB"), (1e6, "MB")) if highest >= item[0]), (1e3, "kB"))
    sizes = Axis.around(0, highest / factor, top + height, top, 3, grow=True)
    parts = draw_grid(sizes, f"memory in {unit}", top, [f"{tick:g}" for tick in sizes.ticks])
    line = _within([[(times(when), sizes(value / factor)) for when, value in points]], _BUDGET // 3)[0]
    area = f"{path_of(line)}V{pixels(top + height)}H{pixels(line[0][0])}Z"
    parts.append(f'<path d="{area}" fill="{MEMORY}" fill-opacity=".14"/>')
    parts.append(f'<path d="{path_of(line)}" fill="none" stroke="{MEMORY}" stroke-width="2" stroke-linejoin="round"/>')
    legend = [(MEMORY, f"{memory.label} of the process tree, peak {memory.peak / factor:.4g} {unit}")]
    if memory.limit is not None and memory.limit / factor <= sizes.high:
        y = pixels(sizes(memory.limit / factor))
        line_of_limit = f"M{LEFT} {y}H{WIDTH - RIGHT}"
        parts.append(f'<path d="{line_of_limit}" stroke="{LIMIT}" stroke-width="1.5" stroke-dasharray="6 4"/>')
        legend.append((LIMIT, f"limit {memory.limit / factor:.4g} {unit}"))
    return parts + draw_legend(LEFT, top - 14, legend)
