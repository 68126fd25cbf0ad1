"""Pictures for the log and the reports: small hand-written SVG.

The log shows them as images, so each brings its own light card and is readable on a light and on a dark page. No style
sheets (their rules would leak into a page that inlines them), no fonts from the web, no scripts. Curves are simplified
until the whole picture stays small; a stall or a spike survives that, because it is the simplified line that may not be
further from the true one than a fraction of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from InferenceLibrary.foreign_text import markup

Point = tuple[float, float]

_WIDTH = 800
_LEFT, _RIGHT = 62, 18
_INK, _SOFT, _GRID, _CARD, _EDGE = "#1f2328", "#59636e", "#e4e8ec", "#ffffff", "#d0d7de"
# Okabe and Ito's colours, told apart with every kind of colour vision.
_TOKENS, _WAIT, _MEMORY, _LIMIT = "#0072b2", "#e69f00", "#007a5a", "#d55e00"
_SERIES = ("#0072b2", "#e69f00", "#007a5a", "#d55e00", "#cc79a7", "#56b4e9")
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
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
    parts = [_text(_LEFT - 46, 30, title, size=17, weight=600), _text(_LEFT - 46, 50, subtitle, size=12, fill=_SOFT)]
    parts += _legend(_LEFT, 66, [(_SERIES[index % len(_SERIES)], name) for index, name in enumerate(series)])
    room = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    wide = min(46.0, room * 0.8 / len(series))
    top, height = 92.0, 130.0
    for label, bars in panels:
        highest = max([bar.tail or bar.value for bar in bars], default=1.0)
        axis = Axis.around(0, highest, top + height, top, 3, grow=True)
        parts += _grid(axis, label, top, [f"{tick:.6g}" for tick in axis.ticks])
        for bar in bars:
            index = series.index(bar.series)
            left = _LEFT + room * (groups.index(bar.group) + 0.5) + wide * (index - len(series) / 2)
            y, middle = axis(bar.value), left + wide / 2
            colour = _SERIES[index % len(_SERIES)]
            parts.append(
                f'<rect x="{_n(left + 1)}" y="{_n(y)}" width="{_n(wide - 2)}" height="{_n(top + height - y)}" '
                f'fill="{colour}"/>'
            )
            if bar.tail is not None and bar.tail > bar.value:
                end = axis(bar.tail)
                parts.append(f'<path d="M{_n(middle)} {_n(y)}V{_n(end)}m-4 0h8" stroke="{_INK}" fill="none"/>')
        parts.append(f'<path d="M{_LEFT} {_n(top + height)}H{_WIDTH - _RIGHT}" stroke="{_SOFT}"/>')
        for index, name in enumerate(groups):
            parts.append(
                _text(_LEFT + room * (index + 0.5), top + height + 17, name, size=11, fill=_SOFT, anchor="middle")
            )
        top += height + 40
    return _card(top, title, parts)


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
    times = Axis.around(0.0, end, _LEFT, _WIDTH - _RIGHT, 8)
    top, height = 92, 170
    parts = [_text(_LEFT - 46, 30, title, size=17, weight=600), _text(_LEFT - 46, 50, subtitle, size=12, fill=_SOFT)]
    parts += _token_panel(generations, origin, times, top, height)
    bottom = top + height
    if memory is not None and inside:
        memory_top = bottom + 44
        parts += _memory_panel(memory, inside, times, memory_top, 96)
        bottom = memory_top + 96
    parts += _time_axis(times, bottom)
    return _card(bottom + 46, title, parts)


@dataclass(frozen=True)
class Axis:
    """A linear scale with round ticks.

    Args:
        low: Value at the first end.
        high: Value at the other end.
        start: Pixel of `low`.
        stop: Pixel of `high`.
        ticks: Round values between the ends.
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, low: float, high: float, start: float, stop: float, most: int, *, grow: bool = False) -> Axis:
        """Return an axis from `low` to `high` with at most `most` steps of 1, 2 or 5; with `grow` it ends on a tick."""
        if not high > low:
            high = low + 1
        step = _round_step((high - low) / most)
        first = math.ceil(low / step - 1e-9)
        last = (math.ceil if grow else math.floor)(high / step + (-1e-9 if grow else 1e-9))
        ticks = tuple(index * step for index in range(first, last + 1))
        return cls(low, max(high, ticks[-1]) if grow else high, start, stop, ticks)

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def simplify(points: Sequence[Point], tolerance: float) -> list[Point]:
    """Return the corners of a line that stays within `tolerance` of the given one (Ramer, Douglas and Peucker)."""
    if len(points) < 3:
        return list(points)
    keep = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        far, where = tolerance, 0
        for index in range(first + 1, last):
            distance = _distance(points[index], points[first], points[last])
            if distance > far:
                far, where = distance, index
        if where:
            keep.add(where)
            spans += [(first, where), (where, last)]
    return [points[index] for index in sorted(keep)]


def _distance(point: Point, first: Point, last: Point) -> float:
    (x, y), (x1, y1), (x2, y2) = point, first, last
    squared = (x2 - x1) ** 2 + (y2 - y1) ** 2
    if squared == 0:  # also of a length too small to be squared
        return math.hypot(x - x1, y - y1)
    along = min(1.0, max(0.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / squared))
    return math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1))


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
    parts = _grid(counts, "output tokens", top, [f"{tick:,.0f}" for tick in counts.ticks])
    curves: list[list[Point]] = []
    waits: list[str] = []
    for item in generations:
        share = item.tokens / len(item.arrivals)
        sent, first = times(item.started - origin), times(item.started + item.arrivals[0] - origin)
        waits.append(f"M{_n(sent)} {_n(top)}H{_n(first)}V{_n(top + height)}H{_n(sent)}Z")
        line = [(times(item.started + when - origin), counts((n + 1) * share)) for n, when in enumerate(item.arrivals)]
        curves.append([(line[0][0], counts(0)), *line])
    parts.append(f'<path d="{"".join(waits)}" fill="{_WAIT}" fill-opacity=".28"/>')
    shown = _within(curves, _BUDGET * 2 // 3)
    parts.append(
        f'<path d="{"".join(map(_path, shown))}" fill="none" stroke="{_TOKENS}" stroke-width="2" '
        f'stroke-linejoin="round"/>'
    )
    parts += _notes(generations, origin, times, top)
    return parts + _legend(_LEFT, top - 26, [(_TOKENS, "output tokens"), (_WAIT, "waiting for the first token")])


def _notes(generations: Sequence[TokenCurve], origin: float, times: Axis, top: float) -> list[str]:
    """Number and note of each generation over its curve; only the numbers, or nothing, where the room is too small."""
    begins = [times(item.started - origin) + 3 for item in generations]
    ends = [times(item.started + item.arrivals[-1] - origin) for item in generations]
    rooms = [end - begin for begin, end in zip(begins, ends, strict=True)]
    numbers = [str(index + 1) for index in range(len(generations))]
    notes = [f"{number}: {item.note}" for number, item in zip(numbers, generations, strict=True) if item.note]
    for labels in (notes, numbers):
        if len(labels) == len(rooms) and all(len(text) * 6.6 <= room for text, room in zip(labels, rooms, strict=True)):
            return [_text(x, top + 13, text, size=11) for x, text in zip(begins, labels, strict=True)]
    return []


def _memory_panel(memory: MemoryCurve, points: Sequence[Point], times: Axis, top: float, height: float) -> list[str]:
    highest = max(memory.peak, memory.limit if memory.limit is not None and memory.limit < 3 * memory.peak else 0)
    factor, unit = next((item for item in ((1e9, "GB"), (1e6, "MB")) if highest >= item[0]), (1e3, "kB"))
    sizes = Axis.around(0, highest / factor, top + height, top, 3, grow=True)
    parts = _grid(sizes, f"memory in {unit}", top, [f"{tick:g}" for tick in sizes.ticks])
    line = _within([[(times(when), sizes(value / factor)) for when, value in points]], _BUDGET // 3)[0]
    area = f"{_path(line)}V{_n(top + height)}H{_n(line[0][0])}Z"
    parts.append(f'<path d="{area}" fill="{_MEMORY}" fill-opacity=".14"/>')
    parts.append(f'<path d="{_path(line)}" fill="none" stroke="{_MEMORY}" stroke-width="2" stroke-linejoin="round"/>')
    legend = [(_MEMORY, f"{memory.label} of the process tree, peak {memory.peak / factor:.4g} {unit}")]
    if memory.limit is not None and memory.limit / factor <= sizes.high:
        y = _n(sizes(memory.limit / factor))
        line_of_limit = f"M{_LEFT} {y}H{_WIDTH - _RIGHT}"
        parts.append(f'<path d="{line_of_limit}" stroke="{_LIMIT}" stroke-width="1.5" stroke-dasharray="6 4"/>')
        legend.append((_LIMIT, f"limit {memory.limit / factor:.4g} {unit}"))
    return parts + _legend(_LEFT, top - 14, legend)


def _grid(axis: Axis, label: str, top: float, texts: Sequence[str]) -> list[str]:
    lines = "".join(f"M{_LEFT} {_n(axis(tick))}H{_WIDTH - _RIGHT}" for tick in axis.ticks)
    parts = [f'<path d="{lines}" stroke="{_GRID}"/>']
    for tick, text in zip(axis.ticks, texts, strict=True):
        parts.append(_text(_LEFT - 7, axis(tick) + 4, text, size=11, fill=_SOFT, anchor="end"))
    middle = (axis.start + top) / 2
    parts.append(
        f'<text x="16" y="{_n(middle)}" font-size="11" fill="{_SOFT}" text-anchor="middle" '
        f'transform="rotate(-90 16 {_n(middle)})" dominant-baseline="middle">{markup(label)}</text>'
    )
    return parts


def _time_axis(axis: Axis, bottom: float) -> list[str]:
    parts = [f'<path d="M{_LEFT} {_n(bottom)}H{_WIDTH - _RIGHT}" stroke="{_SOFT}"/>']
    marks = "".join(f"M{_n(axis(tick))} {_n(bottom)}v4" for tick in axis.ticks)
    parts.append(f'<path d="{marks}" stroke="{_SOFT}"/>')
    parts += [
        _text(axis(tick), bottom + 17, f"{tick:.6g}", size=11, fill=_SOFT, anchor="middle") for tick in axis.ticks
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, bottom + 34, "seconds since the first request", size=11, fill=_SOFT, anchor="middle"))
    return parts


def _legend(x: float, y: float, entries: Sequence[tuple[str, str]]) -> list[str]:
    parts: list[str] = []
    for colour, label in entries:
        parts.append(f'<rect x="{_n(x)}" y="{_n(y)}" width="14" height="8" rx="2" fill="{colour}"/>')
        parts.append(_text(x + 19, y + 8, label, size=11, fill=_INK))
        x += 19 + 6.2 * len(label) + 22
    return parts


def _card(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_n(height)}" '
        f'viewBox="0 0 {_WIDTH} {_n(height)}" font-family="{markup(_FONT)}" role="img">'
        f"<title>{markup(title)}</title>"
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{_n(height - 1)}" rx="8" fill="{_CARD}" stroke="{_EDGE}"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _text(
    x: float, y: float, text: str, *, size: int, fill: str = _INK, anchor: str = "start", weight: int = 400
) -> str:
    extra = f' text-anchor="{anchor}"' if anchor != "start" else ""
    extra += f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="{size}" fill="{fill}"{extra}>{markup(text)}</text>'


def _path(points: Sequence[Point]) -> str:
    first, *rest = points
    return f"M{_n(first[0])} {_n(first[1])}" + "".join(f"L{_n(x)} {_n(y)}" for x, y in rest)


def _round_step(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span * (1 - 1e-9))


def _n(value: float) -> str:
    """A number of pixels, as short as it can be."""
    return f"{value:.1f}".removesuffix(".0")
