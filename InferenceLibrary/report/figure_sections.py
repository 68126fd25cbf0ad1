"""What a run measured, as sections of its report: a table of figures, bars beside each other, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from InferenceLibrary.charts import Bar, Panel, bars_chart, curves_chart
from InferenceLibrary.foreign_text import limited
from InferenceLibrary.report.document import Cell, Image, Section, Tone, row, table
from InferenceLibrary.report.run_results import Measured, MeasuredCurve, MeasuredFigure

_MOST_ROWS = 1_000
_MOST_BARS = 12
_MOST_CURVES = 24
_UNITS = {"s": (1000.0, "ms"), "B": (1e-6, "MB")}
"""Of a file, and what people read: factor and unit."""
_COLUMNS = ("ttft", "itl", "latency", "rate", "tokens_per_second", "error_rate")
"""Figures that stand first in the table; of loads and generations nothing else does."""
_TIMED = {"load", "generation"}
_BARS = (("ttft", "TTFT, ms"), ("latency", "latency, ms"), ("tokens_per_second", "tokens/s"), ("rate", "tokens/s each"))


def figure_sections(measurements: Sequence[Measured]) -> list[Section]:
    """Return the sections; none where nothing was measured."""
    if not measurements:
        return []
    rows = []
    for one in measurements[:_MOST_ROWS]:
        figures = sorted(one.figures, key=_place)
        if one.what in _TIMED:
            figures = [figure for figure in figures if figure.name in _COLUMNS]
        told = "; ".join(figure_text(figure) for figure in figures)
        doubt = any(remark.startswith("cannot be trusted") for remark in one.remarks)
        remarks = Cell("; ".join(one.remarks), Tone.BAD if doubt else Tone.ODD)
        rows.append(row(short_name(one), one.what, one.server, one.about, limited(told, 700), remarks))
    head = ("test", "measured", "of", "how", "main figures; all are in the JSON", "remarks")
    return [
        Section(f"Measurements ({len(measurements)})", table=table(head, rows), images=tuple(_pictures(measurements)))
    ]


def figure_text(figure: MeasuredFigure) -> str:
    """Return a figure as people read it: `ttft 21.4 ms, p99 25 ms`."""
    factor, unit = _UNITS.get(figure.unit, (1.0, figure.unit))
    values = figure.values
    main = next((values[name] for name in ("value", "median", "maximum", "mean") if name in values), None)
    said = f"{figure.name} {_number(main, factor)} {unit}".rstrip() if main is not None else figure.name
    return f"{said}, p99 {_number(values['p99'], factor)} {unit}".rstrip() if "p99" in values else said


def short_name(measured: Measured) -> str:
    """The test of a measurement without the name of the whole run."""
    return measured.test.partition(".")[2] or measured.test


def _pictures(measurements: Sequence[Measured]) -> Iterator[Image]:
    compared = [one for one in measurements if one.what in _TIMED][:_MOST_BARS]
    panels = [(label, list(_bars(compared, name))) for name, label in _BARS]
    panels = [(label, bars) for label, bars in panels if bars]
    if panels:
        title = "Loads and generations: the median, and the 99th percentile as a thin line"
        numbers = "; ".join(f"{at}: {short_name(one)}" for at, one in enumerate(compared, 1))
        yield _image(f"{title}. {numbers}", bars_chart(title, "numbered in the order of the table", panels))
    curved = [one for one in measurements if one.curves]
    for one in curved[:_MOST_CURVES]:
        panels_of = [_panel(curve) for curve in one.curves if len(curve.points) > 1]
        if panels_of:
            over = one.curves[0].over
            axis = "seconds" if over == "s" else over
            title = f"{one.what.capitalize()} of '{one.server}'"
            picture = curves_chart(title, limited(f"{short_name(one)}; {one.about}", 110), axis, panels_of)
            yield _image(f"{title}: {short_name(one)}", picture)


def _bars(measurements: Sequence[Measured], name: str) -> Iterator[Bar]:
    for at, one in enumerate(measurements, 1):
        for figure in one.figures:
            main = figure.values.get("median", figure.values.get("value"))
            if figure.name == name and main is not None and main >= 0:
                factor, _ = _UNITS.get(figure.unit, (1.0, ""))
                tail = figure.values.get("p99")
                yield Bar(str(at), "median", main * factor, tail * factor if tail is not None else None)


def _panel(curve: MeasuredCurve) -> Panel:
    factor, unit = _UNITS.get(curve.unit, (1.0, curve.unit))
    label = f"{curve.name}, {unit}" if unit and unit != curve.name else curve.name
    return Panel(label, [(x, y * factor) for x, y in curve.points])


def _image(caption: str, picture: str) -> Image:
    return Image(caption, "image/svg+xml", picture.encode("utf-8"))


def _place(figure: MeasuredFigure) -> tuple[int, str]:
    at = _COLUMNS.index(figure.name) if figure.name in _COLUMNS else len(_COLUMNS)
    return at, figure.name if at == len(_COLUMNS) else ""


def _number(value: float, factor: float) -> str:
    return f"{value * factor:.4g}"
