"""The pictures: well-formed, small, self-contained, and true to what they show."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from InferenceLibrary.chart_parts import Axis, distance_from, simplify
from InferenceLibrary.charts import MemoryCurve, TokenCurve, generation_chart

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(-1e3, 1e3)


def curve(started: float = 0.0, count: int = 32, gap: float = 0.01, first: float = 0.1, note: str = "") -> TokenCurve:
    return TokenCurve(started, [first + gap * index for index in range(count)], count, note)


def texts(picture: str) -> list[str]:
    return [item.text or "" for item in ET.fromstring(picture).iter(f"{SVG}text")]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0001, 0.5), min_size=1, max_size=200), min_size=1, max_size=60),
    st.lists(st.floats(1, 1e12), max_size=400),
    st.text(st.characters(codec=None, exclude_categories=()), max_size=30),
)
def test_any_measurement_makes_a_small_and_whole_picture(
    gaps: list[list[float]], memory: list[float], title: str
) -> None:
    generations, clock = [], 1000.0
    for item in gaps:
        arrivals = [sum(item[: index + 1]) for index in range(len(item))]
        generations.append(TokenCurve(clock, arrivals, len(arrivals), "9.99 tokens/s"))
        clock += arrivals[-1]
    points = [(1000.0 + index * 0.1, value) for index, value in enumerate(memory)]
    shown = MemoryCurve("PSS", points, max(memory)) if memory else None
    picture = generation_chart(title, "<medians> & more", generations, shown)
    assert len(picture.encode()) < 9_000
    root = ET.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    bare = re.sub(
        r"<style>@media \(prefers-color-scheme:dark\)\{(\.inference-picture [^{]*\{[^}]*\})+\}</style>", "", picture
    )
    assert not re.search(r"<style|<script|url\(|@import|href|\bnan\b|\binf\b", bare)
    assert picture.count("http") == 1, "only the name space"
    sizes = [float(item.get("font-size", "0")) for item in root.iter(f"{SVG}text")]
    assert min(sizes) >= 11


def test_picture_says_what_it_shows() -> None:
    generations = [curve(0, note="100 tokens/s"), curve(0.5, note="99 tokens/s")]
    memory = MemoryCurve("PSS", [(-0.1, 30e6), (0.2, 35e6), (0.9, 31e6)], 36e6, limit=40e6)
    said = texts(generation_chart("Title", "Subtitle", generations, memory))
    for expected in (
        "Title",
        "Subtitle",
        "output tokens",
        "waiting for the first token",
        "seconds since the first request",
        "memory in MB",
        "PSS of the process tree, peak 36 MB",
        "limit 40 MB",
        "1: 100 tokens/s",
        "2: 99 tokens/s",
    ):
        assert expected in said


def test_memory_is_drawn_only_where_it_was_measured() -> None:
    assert "memory" not in generation_chart("t", "s", [curve()])
    elsewhere = MemoryCurve("RSS", [(50.0, 1e6), (51.0, 1e6)], 1e6)
    assert "RSS" in generation_chart("t", "s", [curve(50.0)], elsewhere)


def test_a_stall_is_visible() -> None:
    """40 tokens at a steady pace with a pause of half the time in the middle: the line keeps both its corners."""
    arrivals = [0.01 * index for index in range(20)] + [0.4 + 0.01 * index for index in range(20)]
    steady = [0.59 / 39 * index for index in range(40)]
    stalled = _curve_corners(generation_chart("t", "s", [TokenCurve(0, arrivals, 40)]))
    even = _curve_corners(generation_chart("t", "s", [TokenCurve(0, steady, 40)]))
    assert len(even) == 3  # up to the first token, then straight
    assert len(stalled) == 5
    xs = [x for x, _ in stalled]
    assert max(later - earlier for earlier, later in itertools.pairwise(xs)) > 200


def _curve_corners(picture: str) -> list[tuple[float, float]]:
    line = next(item for item in ET.fromstring(picture).iter(f"{SVG}path") if item.get("stroke") == "#0072b2")
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d", ""))]


def test_labels_appear_only_where_they_fit() -> None:
    many = [curve(index * 0.5, note="100 tokens/s") for index in range(20)]
    said = texts(generation_chart("t", "s", many))
    assert "1" in said
    assert "1: 100 tokens/s" not in said


def test_too_many_generations_are_cut_and_it_is_said() -> None:
    picture = generation_chart("t", "s", [curve(index * 0.5) for index in range(200)])
    assert "s (the first 25 of 200 are drawn)" in texts(picture)


@pytest.mark.parametrize("generations", [[], [TokenCurve(0, [], 0)]])
def test_nothing_measured_makes_no_picture(generations: Sequence[TokenCurve]) -> None:
    with pytest.raises(ValueError, match="A chart needs generations"):
        generation_chart("t", "s", generations)


def test_foreign_text_cannot_break_out() -> None:
    picture = generation_chart('<script>alert("x")</script>', "a & b", [curve()])
    assert "<script" not in picture
    ET.fromstring(picture)


@given(st.lists(st.tuples(numbers, numbers), max_size=60), st.floats(0.01, 50))
@example([(0.0, 0.0), (0.0, 2e-294)], 1.0)
def test_simplified_line_stays_near(points: list[tuple[float, float]], tolerance: float) -> None:
    shown = simplify(points, tolerance)
    assert shown[:1] == points[:1]
    assert shown[-1:] == points[-1:]
    for point in points:
        near = [distance_from(point, one, other) for one, other in itertools.pairwise(shown)] or [0.0]
        assert min(near) <= tolerance * (1 + 1e-6) + 1e-6


@given(st.floats(0.001, 1e9), st.integers(2, 10), st.booleans())
def test_ticks_are_round_and_cover_the_axis(high: float, most: int, grow: bool) -> None:
    axis = Axis.around(0, high, 0, 100, most, grow=grow)
    step = axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else axis.high
    assert 1 <= len(axis.ticks) <= most + 2
    assert axis.ticks[0] == 0
    assert axis.high >= high
    assert axis.ticks[-1] <= axis.high * (1 + 1e-6)
    assert axis.high - axis.ticks[-1] < step * (1 + 1e-6)
    assert len(axis.ticks) == 1 or f"{step:.3e}"[0] in "125"
    assert axis(0) == 0
    assert axis(axis.high) == pytest.approx(100)


def test_spike_of_memory_survives() -> None:
    """One sample of 200 that is twice the others: drawn as high as the peak says."""
    noise = random.Random(1)
    points = [(index * 0.005, 1e8 + noise.random() * 1e5) for index in range(200)]
    points[100] = (0.5, 2e8)
    picture = generation_chart("t", "s", [curve(count=90)], MemoryCurve("RSS", points, 2e8))
    line = next(item for item in ET.fromstring(picture).iter(f"{SVG}path") if item.get("stroke") == "#007a5a")
    heights = sorted({float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d", ""))})
    assert heights[1] - heights[0] > 40


def test_the_wildest_measurement_stays_small() -> None:
    wild = random.Random(2)
    generations = []
    for index in range(25):
        arrivals = list(itertools.accumulate(wild.random() ** 8 for _ in range(400)))
        generations.append(TokenCurve(index * 60.0, arrivals, 400, "9.99 tokens/s"))
    points = [(index * 0.5, wild.random() * 1e11) for index in range(3000)]
    picture = generation_chart("t" * 60, "s" * 110, generations, MemoryCurve("PSS", points, 1e11, 0.9e11))
    assert len(picture.encode()) < 9_000
