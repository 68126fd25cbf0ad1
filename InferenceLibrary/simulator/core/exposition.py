"""The text format of Prometheus: as vLLM writes it, by Python's client, and as llm-d-inference-sim, by Go's.

Both say the same in other bytes: Go writes `le="1"` where Python writes `le="1.0"`, sorts families and labels, and
leaves out a family that has no sample yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GO_CONTENT_TYPE = f"{CONTENT_TYPE}; escaping=underscores"


class Sample(NamedTuple):
    """One value of a family; `suffix` is that of a part of a histogram, `limit` the upper limit of a bucket."""

    labels: dict[str, str]
    value: float
    suffix: str = ""
    limit: float | None = None


class Family(NamedTuple):
    """A metric with all its samples."""

    name: str
    kind: str
    text: str
    samples: list[Sample]


def python_text(families: Iterable[Family]) -> bytes:
    """Return metrics as vLLM writes them."""
    return _text(families, str, lambda value: str(value) if isinstance(value, int) else f"{value:.9g}")


def go_text(families: Iterable[Family]) -> bytes:
    """Return metrics as llm-d-inference-sim writes them."""
    there = [
        family._replace(samples=[one._replace(labels=dict(sorted(one.labels.items()))) for one in family.samples])
        for family in sorted(families, key=lambda family: family.name)
        if family.samples
    ]
    return _text(there, go_number, go_number)


def _text(families: Iterable[Family], limit_text: Callable[[float], str], number: Callable[[float], str]) -> bytes:
    lines: list[str] = []
    for name, kind, text, samples in families:
        lines += [f"# HELP vllm:{name} {text}", f"# TYPE vllm:{name} {kind}"]
        for labels, value, suffix, limit in samples:
            shown = [f'{label}="{_escaped(word)}"' for label, word in labels.items()]
            if limit is not None:
                shown.append(f'le="{"+Inf" if limit == inf else limit_text(limit)}"')
            lines.append(f"vllm:{name}{suffix}{{{','.join(shown)}}} {number(value)}")
    return ("\n".join(lines) + "\n").encode()


def go_number(value: float) -> str:
    """Return a number in Go's shortest form: `16`, `0.3`, `1.795902878e+09`."""
    from decimal import Decimal

    exact = Decimal(repr(float(value))).normalize()
    power = exact.adjusted()
    if value and not -4 <= power < 6:
        return f"{exact.scaleb(-power):f}e{power:+03d}"
    return f"{exact:f}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
