"""Pictures of loads say what they show, and show what happened."""

from __future__ import annotations

import array
import re
import xml.etree.ElementTree as ET

import pytest

from InferenceLibrary.chart_parts import LEFT, LIMIT, MEMORY, TOKENS, WAIT
from InferenceLibrary.load.pictures import Curve, distribution_picture, sweep_picture, timeline_picture
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.sweep import SweepStep

SVG = "{http://www.w3.org/2000/svg}"
FACTS = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)
PLAN = LoadPlan("http://x", Users(2), requests=5, name="a <server> & more")


def record(number: int, *, first: float = 0.1, error: str | None = None) -> Record:
    micros = array.array("I", [int(first * 1e6) + 10_000 * place for place in range(11)]).tobytes()
    made = Record(number, "chat", number * 0.5, number * 0.5, number * 0.5 + first + 0.1, status=200, error=error)
    if error is None:
        made.first_token, made.output_tokens, made.micros, made.token_a_chunk = first, 11, micros, True
        made.rate = 100.0
    return made


def load(count: int = 5, first: float = 0.1, error: str | None = None) -> LoadResult:
    return LoadResult(
        PLAN, 0.0, [record(number, first=first, error=error) for number in range(count)], [FACTS], {}, 0.0
    )


def texts(picture: str) -> list[str]:
    return [item.text or "" for item in ET.fromstring(picture).iter(f"{SVG}text")]


def strokes(picture: str, colour: str) -> list[str]:
    return [item.get("d", "") for item in ET.fromstring(picture).iter(f"{SVG}path") if item.get("stroke") == colour]


def test_distributions_have_their_axes_and_marks() -> None:
    said = texts(distribution_picture(load()))
    assert "Latencies of 'a <server> & more'" in said
    assert "5 of 5 requests succeeded, 2 users" in said
    for title in ("time to first token, ms", "inter-token latency, ms", "end-to-end latency, ms"):
        assert title in said
    assert said.count("share, %") == 3
    assert {"p50 100 ms", "p99 100 ms", "p50 10 ms", "p50 200 ms"} <= set(said)


def test_no_curve_crosses_the_word_of_the_last_percent() -> None:
    found = list(ET.fromstring(distribution_picture(load())).iter(f"{SVG}text"))
    words = [float(item.get("y") or 0) for item in found if (item.text or "").startswith("p99")]
    tops = [float(item.get("y") or 0) for item in found if item.text == "100" and float(item.get("x") or 0) < LEFT]
    assert len(words) == 3
    assert all(word < top for word, top in zip(words, tops, strict=True))


def test_a_curve_of_one_point_is_a_dot() -> None:
    picture = timeline_picture(load(), [Curve("PSS, MB", [(0.5, 40.0)])])
    dots = [item for item in ET.fromstring(picture).iter(f"{SVG}circle") if item.get("fill") == MEMORY]
    assert len(dots) == 1
    assert strokes(picture, MEMORY) == []


def test_long_times_are_in_seconds() -> None:
    said = texts(distribution_picture(load(first=20)))
    assert {"time to first token, s", "p50 20 s", "inter-token latency, ms"} <= set(said)


def test_the_time_line_shows_requests_tokens_and_curves() -> None:
    memory = Curve("PSS, MB", [(-5.0, 1.0), (0.0, 40.0), (1.0, 50.0), (2.0, 60.0), (9.0, 1.0)], 80.0)
    picture = timeline_picture(load(), [memory])
    said = texts(picture)
    assert {"requests", "open requests", "tokens/s", "PSS, MB", "seconds since the first request"} <= set(said)
    assert len(re.findall("M", strokes(picture, WAIT)[0])) == 5
    assert len(re.findall("M", strokes(picture, TOKENS)[0])) == 5
    [line] = strokes(picture, MEMORY)
    assert line.count("L") <= 2, "what was before and after the load is not drawn"
    assert len(strokes(picture, LIMIT)) == 1, "the limit of the memory alone: nothing failed"


def test_a_long_name_stands_above_its_panel() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    picture = timeline_picture(load(), [Curve("vllm:num_requests_running", points), Curve("CPU, cores", points)])
    found = {item.text: item.get("transform") for item in ET.fromstring(picture).iter(f"{SVG}text")}
    assert found["vllm:num_requests_running"] is None
    assert (found["CPU, cores"] or "").startswith("rotate(-90")


def test_failed_requests_are_marked_and_have_no_tokens() -> None:
    picture = timeline_picture(load(error="status 500"))
    assert len(re.findall("M", strokes(picture, LIMIT)[0])) == 5
    assert strokes(picture, WAIT) == []
    assert "tokens/s" not in texts(picture)
    assert "2 users, 5 failed" in texts(picture)


def test_many_requests_stay_a_small_picture_and_it_is_said() -> None:
    picture = timeline_picture(load(3000))
    assert len(picture) < 40_000
    assert "2 users, 0 failed, 120 of 3000 requests drawn" in texts(picture)


@pytest.mark.parametrize("knee", [True, False])
def test_a_sweep_shows_throughput_latency_the_knee_and_what_broke(knee: bool) -> None:
    steps = [SweepStep(level, load(), level < 4) for level in (1, 2, 4)]
    picture = sweep_picture("x", "users", steps, steps[1] if knee else None)
    said = texts(picture)
    assert {"tokens/s", "TTFT, ms", "latency, ms", "users", "p50", "p99", "beyond the limits"} <= set(said)
    assert ("3 loads, 2 within the limits; the knee is at 2 users" in said) == knee
    dots = [item.get("fill") for item in ET.fromstring(picture).iter(f"{SVG}circle")]
    assert dots.count(LIMIT) == 5, "one on each curve"
    assert len(dots) == 15
    assert picture.count("stroke-dasharray") == (3 if knee else 0)


def test_loads_that_failed_whole_leave_gaps_in_a_sweep() -> None:
    steps = [SweepStep(1, load(), True), SweepStep(2, load(error="status 500"), False)]
    dots = [item.get("fill") for item in ET.fromstring(sweep_picture("x", "users", steps)).iter(f"{SVG}circle")]
    assert len(dots) == 5 + 1, "no tokens a second is a figure, too; latencies there are none"
