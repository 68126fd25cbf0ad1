"""Read metrics in the text format of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from InferenceLibrary.foreign_text import cut

_SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')

_SHOWN = 60
"""So many characters of a line stand in a message."""


class Sample(NamedTuple):
    """One line: `name{labels} value`."""

    name: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """The samples of one reading."""

    def __init__(self, samples: list[Sample], bad_lines: list[str]) -> None:
        self.samples = samples
        self.bad_lines = bad_lines
        """Lines that are neither samples nor comments."""

    def find(self, name: str, labels: Mapping[str, str] | None = None) -> list[Sample]:
        """Return the samples of a metric that bear all these labels."""
        wanted = dict(labels or {})
        return [
            sample
            for sample in self.samples
            if sample.name == name and all(sample.labels.get(label) == value for label, value in wanted.items())
        ]

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """Return the sum over the samples of a metric; None when there is none.

        A counter may be named without the `_total` that its samples bear.
        """
        found = self.find(name, labels) or self.find(f"{name}_total", labels)
        return sum(sample.value for sample in found) if found else None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(sample.name for sample in self.samples))

    @property
    def shown_page(self) -> str:
        """What the page holds, in words: an empty page and one of HTML are told from one of metrics."""
        if self.samples:
            return str(self)
        if not self.bad_lines:
            return "no sample at all"
        first = cut(self.bad_lines[0], _SHOWN)
        return f"no sample at all, but lines such as {first!r}"

    def __str__(self) -> str:
        return f"{len(self.samples)} samples of {len(self.names)} metrics"

    __repr__ = __str__


def read_metrics(text: str) -> Metrics:
    """Read a page of metrics; what cannot be read is kept in `bad_lines`."""
    samples: list[Sample] = []
    bad: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line)
        try:
            if match is None:
                raise ValueError(line)
            labels = {name: _unescaped(value) for name, value in _LABEL.findall(match[2] or "")}
            samples.append(Sample(match[1], labels, float(match[3])))
        except ValueError:
            bad.append(line)
    return Metrics(samples, bad)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), value)
