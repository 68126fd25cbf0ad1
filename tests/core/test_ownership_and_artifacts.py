"""Who owns what is open, how it is found, and that closing goes on whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from InferenceLibrary.context import RUN, Context, Registry
from InferenceLibrary.errors import TargetError


class Thing:
    """Something open that writes down when it is closed."""

    base_url = ""
    model = None

    def __init__(self, name: str, closed: list[str], error: BaseException | None = None) -> None:
        self.name = name
        self._closed = closed
        self._error = error

    def close(self) -> None:
        self._closed.append(self.name)
        if self._error is not None:
            raise self._error


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context()
    context.output_dir = tmp_path
    return context


@pytest.fixture
def things(context: Context) -> Registry[Thing]:
    return Registry("thing", lambda: context.owner, "use Open Thing")


def test_a_thing_is_found_in_every_way(things: Registry[Thing], closed: list[str]) -> None:
    first, second = Thing("same", closed), Thing("same", closed)
    handle = things.add(first, "one")
    things.add(second)
    assert things.get() is second
    for ref in (handle, str(handle), "one", first):
        assert things.get(ref) is first
    assert things.get("same") is second, "by its name the newest is meant"
    assert list(things) == [first, second]


def test_an_alias_goes_before_a_handle_and_a_name(things: Registry[Thing], closed: list[str]) -> None:
    first, second, third = (Thing(name, closed) for name in ("a", "b", "c"))
    things.add(first)
    things.add(second, "1")
    things.add(third, "a")
    assert things.get("1") is second
    assert things.get(1) is first
    assert things.get("a") is third


def test_an_alias_is_taken_over(things: Registry[Thing], closed: list[str]) -> None:
    first, second = Thing("first", closed), Thing("second", closed)
    handle = things.add(first, "same")
    things.add(second, "same")
    assert things.get("same") is second
    assert things.get(handle) is first
    assert things.alias_in_use("same")
    things.close("same")
    assert not things.alias_in_use("same")
    assert closed == ["second"]


def test_the_current_one_follows_openings_switches_and_closings(things: Registry[Thing], closed: list[str]) -> None:
    first, second, third = (Thing(name, closed) for name in ("a", "b", "c"))
    for thing in (first, second, third):
        things.add(thing)
    assert things.switch("a") is first
    assert things.get() is first
    things.close()
    assert things.get() is third, "the one before it"
    things.close("b")
    assert things.get() is third
    things.close()
    with pytest.raises(TargetError, match=r"^No thing is open\. Hint: use Open Thing$"):
        things.get()
    assert closed == ["a", "b", "c"]


def test_an_unknown_one_is_refused_with_those_that_are_open(things: Registry[Thing], closed: list[str]) -> None:
    with pytest.raises(TargetError, match=r"No thing 'x' is open: expected one of: none\."):
        things.get("x")
    things.add(Thing("a", closed), "alias")
    things.add(Thing("b", closed))
    with pytest.raises(TargetError, match=r"No thing '9' is open: expected one of: 1 = a \(alias\), 2 = b\. Hint: use"):
        things.get(9)
    with pytest.raises(TargetError):
        things.get(Thing("a", closed))


def test_what_fails_to_close_is_forgotten_all_the_same(things: Registry[Thing], closed: list[str]) -> None:
    things.add(Thing("a", closed, OSError("no")))
    with pytest.raises(OSError, match="no"):
        things.close("a")
    assert len(things) == 0


def opened(registry: Registry[Any], *things: Thing) -> None:
    for thing in things:
        registry.add(thing)


def test_each_owner_closes_its_own_newest_first(context: Context, closed: list[str]) -> None:
    files = context.model_files
    opened(files, Thing("run", closed))
    context.enter("s1")
    opened(files, Thing("suite", closed))
    context.enter("s1-t1")
    opened(files, Thing("test 1", closed), Thing("test 2", closed))
    assert context.leave("s1-t1") == []
    assert closed == ["test 2", "test 1"]
    opened(files, Thing("suite teardown", closed))
    context.leave("s1")
    assert closed[2:] == ["suite teardown", "suite"]
    assert [thing.name for thing in files] == ["run"]
    context.close()
    assert closed[-1] == "run"


def test_a_server_is_closed_after_what_uses_it_and_before_its_files(context: Context, closed: list[str]) -> None:
    kinds: dict[str, Registry[Any]] = {
        name: value for name, value in vars(context).items() if isinstance(value, Registry)
    }
    for name, registry in kinds.items():
        opened(registry, Thing(name, closed))
    context.close()
    assert sorted(closed) == sorted(kinds), "every kind is closed"
    assert closed[-2:] == ["servers", "model_files"]


@pytest.mark.parametrize("error", [OSError("broken"), KeyboardInterrupt("stop"), SystemExit(1)])
def test_a_failing_close_keeps_none_from_closing(context: Context, closed: list[str], error: BaseException) -> None:
    context.enter("t")
    opened(context.servers, Thing("a", closed), Thing("b", closed, error), Thing("c", closed))
    opened(context.monitors, Thing("d", closed, ValueError("also")))
    failures = context.leave("t")
    assert closed == ["d", "c", "b", "a"]
    assert [(name, type(failed)) for name, failed in failures] == [("d", ValueError), ("b", type(error))]
    assert len(context.servers) == 0
    assert context.leave("t") == [], "nothing is closed twice"


def test_leaving_what_was_never_entered_does_no_harm(context: Context, closed: list[str]) -> None:
    opened(context.model_files, Thing("run", closed))
    assert context.leave("nobody") == []
    assert (closed, RUN) == ([], "run")


@given(st.text(max_size=200), st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_artifacts_have_safe_and_new_names(context: Context, test: str, name: str) -> None:
    context.current_test = test
    path, again = context.artifact("servers", name, "log"), context.artifact("servers", name, ".log")
    assert path != again
    for found in (path, again):
        assert found.parent == context.output_dir / "inference" / "servers"
        assert found.suffix == ".log"
        assert found.stem.isascii()
        assert set(found.stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(found.name) <= 100


def test_an_artifact_of_an_earlier_run_is_not_overwritten(context: Context) -> None:
    first = context.artifact("servers", "sim", "log")
    first.write_text("kept")
    fresh = Context()
    fresh.output_dir = context.output_dir
    assert fresh.artifact("servers", "sim", "log") != first


def test_an_artifact_bears_the_test_and_its_own_name(context: Context) -> None:
    context.current_test = "Crème Brûlée / ../../etc"
    assert context.artifact("text", "My Server", "txt").name == "cr-me-br-l-e-etc-my-server-1.txt"
    context.current_test = "測試"
    assert context.artifact("text", "…", "txt").name == "text-2.txt"
