"""A small picture of one stream: text over time, so that a stall is seen at a glance."""

from __future__ import annotations

import itertools
import statistics

from InferenceLibrary.chart_parts import Axis, simplify
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.foreign_text import markup

_WIDTH, _HEIGHT = 420, 64
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 18, 8
_STALL_FACTOR = 5.0
"""A gap this much longer than the median gap is a stall."""
_SHORTEST_STALL = 0.05
"""Seconds; shorter gaps are the noise of a machine."""


def stalls_of(stream: Stream) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of every gap that is a stall: over 50 ms, and five times the median gap."""
    arrivals = [chunk.arrival for chunk in stream.tokens]
    gaps = list(itertools.pairwise(arrivals))
    if not gaps:
        return []
    limit = max(_SHORTEST_STALL, _STALL_FACTOR * statistics.median(later - earlier for earlier, later in gaps))
    return [(earlier, later) for earlier, later in gaps if later - earlier > limit]


def stream_picture(stream: Stream) -> str:
    """Return an SVG: the count of chunks with text over time, the wait for the first one and stalls shaded.

    Raises:
        ValueError: The stream has no chunk with text.
    """
    arrivals = [chunk.arrival for chunk in stream.tokens]
    if not arrivals:
        raise ValueError("A picture needs a chunk with text.")
    end = max(arrivals[-1], stream.elapsed, 1e-6)
    x = Axis.around(0.0, end, _LEFT, _WIDTH - _RIGHT, 8)
    y = Axis.around(0.0, float(len(arrivals)), _HEIGHT - _BOTTOM, _TOP, 4)
    line = [(x(when), y(float(number))) for number, when in enumerate(arrivals, start=1)]
    steps = simplify([(line[0][0], y(0.0)), *line], 0.4)
    path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in steps)
    stalls = stalls_of(stream)
    shades = [(0.0, arrivals[0], "#e69f00")] + [(start, stop, "#d55e00") for start, stop in stalls]
    areas = "".join(
        f'<rect x="{x(start):.1f}" y="{_TOP}" width="{x(stop) - x(start):.1f}" height="{_HEIGHT - _TOP - _BOTTOM}" '
        f'fill="{colour}" fill-opacity=".3"/>'
        for start, stop, colour in shades
    )
    text = f"{len(arrivals)} chunks, first after {milliseconds(arrivals[0])}, end after {milliseconds(end)}"
    if stalls:
        longest = max(stop - start for start, stop in stalls)
        text += f", {len(stalls)} stall{'s' if len(stalls) > 1 else ''}, the longest {milliseconds(longest)}"
    if stream.broken or stream.cancelled:
        text += ", cancelled" if stream.cancelled else ", broke off"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
        f'role="img"><rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#fff" stroke="#d0d7de"/>{areas}'
        f'<path d="{path}" fill="none" stroke="#0072b2" stroke-width="2" stroke-linejoin="round"/>'
        f'<text x="{_LEFT}" y="13" font-size="10" fill="#1f2328">{markup(text)}</text></svg>\n'
    )
