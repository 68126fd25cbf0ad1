"""A picture of how models were loaded: bars of time and of memory, one row a model."""

from __future__ import annotations

from collections.abc import Sequence

from InferenceLibrary.foreign_text import markup
from InferenceLibrary.servers.loading import ModelLoad

_WIDTH, _ROW, _HEAD, _LABEL, _BAR = 720, 26, 62, 210, 190
_TIME, _MEMORY = "#0072b2", "#d55e00"
_MOST = 40


def load_chart(title: str, loads: Sequence[ModelLoad]) -> str:
    """Return an SVG; of many loads, the first forty are drawn."""
    shown = loads[:_MOST]
    longest = max((load.elapsed for load in shown), default=0.0) or 1.0
    largest = max((load.memory or 0 for load in shown), default=0) or 1
    height = _HEAD + _ROW * len(shown) + 12
    second = _LABEL + _BAR + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{markup(title)}</text>',
        f'<text x="{_LABEL}" y="48" fill="{_TIME}">time to load</text>',
        f'<text x="{second}" y="48" fill="{_MEMORY}">memory</text>',
    ]
    for place, load in enumerate(shown):
        top = _HEAD + _ROW * place
        name = load.model.name if len(load.model.name) <= 26 else load.model.name[:25] + "…"
        parts.append(f'<text x="12" y="{top + 15}">{markup(name)} ({markup(load.how)})</text>')
        parts.append(_bar(_LABEL, top, load.elapsed / longest, _TIME, _seconds(load.elapsed)))
        if load.memory is not None:
            parts.append(_bar(second, top, load.memory / largest, _MEMORY, f"{load.memory / 1e6:.1f} MB"))
    return "\n".join([*parts, "</svg>", ""])


def _bar(left: float, top: float, share: float, color: str, note: str) -> str:
    width = max(1.0, share * _BAR)
    return (
        f'<rect x="{left}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 10}" fill="{color}"/>'
        f'<text x="{left + width + 6:.1f}" y="{top + 15}">{note}</text>'
    )


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
