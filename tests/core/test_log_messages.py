"""What goes to Robot's log: escaped, masked, linked relatively, and cut with the whole beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from robot.api import logger

from InferenceLibrary.context import Context
from InferenceLibrary.log import INLINE_LIMIT, Log

ATTACK = "<script>alert(1)</script>"
SECRET = "sk-abcdefgh"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context()
    context.output_dir = tmp_path / "out"
    context.redactor.add(SECRET)
    return context


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bool]]:
    """Messages as (level, text, html)."""
    messages: list[tuple[str, str, bool]] = []
    for level in ("info", "debug", "warn"):
        monkeypatch.setattr(logger, level, lambda text, html=False, level=level: messages.append((level, text, html)))
    monkeypatch.setattr(logger, "console", lambda text: messages.append(("console", text, False)))
    return messages


def test_every_line_is_masked_and_plain(context: Context, written: list[tuple[str, str, bool]]) -> None:
    log = Log(context)
    for write in (log.info, log.debug, log.warn, log.console):
        write(f"{ATTACK} {SECRET}")
    text = f"{ATTACK} ***"
    assert written == [("info", text, False), ("debug", text, False), ("warn", text, False), ("console", text, False)]


def test_shown_text_is_escaped(context: Context, written: list[tuple[str, str, bool]]) -> None:
    Log(context).text(f"Answer {ATTACK}", f"{ATTACK} & {SECRET}")
    ((_, text, html),) = written
    assert html
    assert "<script>" not in text
    assert "<pre>&lt;script&gt;alert(1)&lt;/script&gt; &amp; ***</pre>" in text


def test_long_text_is_cut_and_linked(context: Context, written: list[tuple[str, str, bool]]) -> None:
    whole = "é" * INLINE_LIMIT + SECRET + "end"
    Log(context).text("Body", whole, "json")
    (_, shown, _), (_, link, html) = written
    assert "end" not in shown
    assert shown.count("é") == INLINE_LIMIT
    (path,) = context.output_dir.rglob("*.json")
    assert path.read_text("utf-8") == "é" * INLINE_LIMIT + "***end"
    assert html
    assert f'<a href="inference/text/{path.name}">' in link
    assert "10,006 characters" in link


def test_text_at_the_limit_is_whole(context: Context, written: list[tuple[str, str, bool]]) -> None:
    Log(context).text("Body", "x" * INLINE_LIMIT)
    assert len(written) == 1
    assert not context.output_dir.exists()


def test_links_are_relative_and_escaped(context: Context, written: list[tuple[str, str, bool]]) -> None:
    Log(context).file(f"A {ATTACK}", context.output_dir / "inference" / 'a"b.log')
    Log(context).picture("Chart", context.output_dir / "inference" / "chart.svg")
    Log(context).file("Outside", context.output_dir.parent / "other.log")
    texts = [text for _, text, _ in written]
    assert texts[0] == ('A &lt;script&gt;alert(1)&lt;/script&gt;: <a href="inference/a&quot;b.log">a&quot;b.log</a>')
    assert '<a href="inference/chart.svg"><img src="inference/chart.svg" alt="Chart"' in texts[1]
    assert '<a href="../other.log">' in texts[2]
