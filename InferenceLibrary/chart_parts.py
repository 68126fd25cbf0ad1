"""What all pictures are made of: axes, grids, legends, text, curves that stay small, one card with one set of colours.

The log shows pictures as images: each brings its own card, light or dark as the reader's system is. The rules for the
dark one are bound to the class of the picture and to its own colours, so a page that inlines it is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from InferenceLibrary.foreign_text import markup

Point = tuple[float, float]

WIDTH = 800
LEFT, RIGHT = 62, 18
INK, SOFT, GRID, CARD, EDGE = "#1f2328", "#59636e", "#e4e8ec", "#ffffff", "#d0d7de"
# Okabe and Ito's colours, told apart with every kind of colour vision, on white and on black.
TOKENS, WAIT, MEMORY, LIMIT = "#0072b2", "#e69f00", "#007a5a", "#d55e00"
SERIES = ("#0072b2", "#e69f00", "#007a5a", "#d55e00", "#cc79a7", "#56b4e9")
_DARK = {
    INK: "#e6edf3",
    SOFT: "#9198a1",
    GRID: "#2b323b",
    CARD: "#0d1117",
    EDGE: "#3d444d",
    "#0072b2": "#4aa8e0",
    "#007a5a": "#2fb88f",
}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"


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
            distance = distance_from(points[index], points[first], points[last])
            if distance > far:
                far, where = distance, index
        if where:
            keep.add(where)
            spans += [(first, where), (where, last)]
    return [points[index] for index in sorted(keep)]


def distance_from(point: Point, first: Point, last: Point) -> float:
    (x, y), (x1, y1), (x2, y2) = point, first, last
    squared = (x2 - x1) ** 2 + (y2 - y1) ** 2
    if squared == 0:  # also of a length too small to be squared
        return math.hypot(x - x1, y - y1)
    along = min(1.0, max(0.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / squared))
    return math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1))


def draw_grid(axis: Axis, label: str, top: float, texts: Sequence[str]) -> list[str]:
    lines = "".join(f"M{LEFT} {pixels(axis(tick))}H{WIDTH - RIGHT}" for tick in axis.ticks)
    parts = [f'<path d="{lines}" stroke="{GRID}"/>']
    for tick, text in zip(axis.ticks, texts, strict=True):
        parts.append(draw_text(LEFT - 7, axis(tick) + 4, text, size=11, fill=SOFT, anchor="end"))
    middle = (axis.start + top) / 2
    parts.append(
        f'<text x="16" y="{pixels(middle)}" font-size="11" fill="{SOFT}" text-anchor="middle" '
        f'transform="rotate(-90 16 {pixels(middle)})" dominant-baseline="middle">{markup(label)}</text>'
    )
    return parts


def draw_time_axis(axis: Axis, bottom: float, label: str = "seconds since the first request") -> list[str]:
    parts = [f'<path d="M{LEFT} {pixels(bottom)}H{WIDTH - RIGHT}" stroke="{SOFT}"/>']
    marks = "".join(f"M{pixels(axis(tick))} {pixels(bottom)}v4" for tick in axis.ticks)
    parts.append(f'<path d="{marks}" stroke="{SOFT}"/>')
    parts += [
        draw_text(axis(tick), bottom + 17, f"{tick:.6g}", size=11, fill=SOFT, anchor="middle") for tick in axis.ticks
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(draw_text(middle, bottom + 34, label, size=11, fill=SOFT, anchor="middle"))
    return parts


def draw_legend(x: float, y: float, entries: Sequence[tuple[str, str]]) -> list[str]:
    parts: list[str] = []
    for colour, label in entries:
        parts.append(f'<rect x="{pixels(x)}" y="{pixels(y)}" width="14" height="8" rx="2" fill="{colour}"/>')
        parts.append(draw_text(x + 19, y + 8, label, size=11, fill=INK))
        x += 19 + 6.2 * len(label) + 22
    return parts


def draw_card(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{pixels(height)}" '
        f'viewBox="0 0 {WIDTH} {pixels(height)}" font-family="{markup(_FONT)}" role="img" class="inference-picture">'
        f"{_dark_style()}<title>{markup(title)}</title>"
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{pixels(height - 1)}" rx="8" fill="{CARD}" stroke="{EDGE}"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _dark_style() -> str:
    rules = "".join(
        f'.inference-picture [{name}="{light}"]{{{name}:{dark}}}'
        for light, dark in _DARK.items()
        for name in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"


def draw_heading(title: str, subtitle: str) -> list[str]:
    return [
        draw_text(LEFT - 46, 30, title, size=17, weight=600),
        draw_text(LEFT - 46, 50, subtitle, size=12, fill=SOFT),
    ]


def draw_text(
    x: float, y: float, text: str, *, size: int, fill: str = INK, anchor: str = "start", weight: int = 400
) -> str:
    extra = f' text-anchor="{anchor}"' if anchor != "start" else ""
    extra += f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{pixels(x)}" y="{pixels(y)}" font-size="{size}" fill="{fill}"{extra}>{markup(text)}</text>'


def path_of(points: Sequence[Point]) -> str:
    first, *rest = points
    return f"M{pixels(first[0])} {pixels(first[1])}" + "".join(f"L{pixels(x)} {pixels(y)}" for x, y in rest)


def _round_step(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span * (1 - 1e-9))


def pixels(value: float) -> str:
    """A number of pixels, as short as it can be."""
    return f"{value:.1f}".removesuffix(".0")
