"""The retry policy: its formula, its validation, and Retry-After."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.client.retry import RetryPolicy, retry_after
from InferenceLibrary.protocol.exchange import Attempt


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"max_retries": -1}, "max_retries"),
        ({"initial_backoff": -1.0}, "initial_backoff"),
        ({"initial_backoff": 9.0, "max_backoff": 3.0}, "max_backoff"),
        ({"backoff_factor": 0.5}, "backoff_factor"),
        ({"jitter": 1.5}, "jitter"),
    ],
)
def test_a_contradictory_policy_is_refused_by_name(settings, name):
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**settings)


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"max_retries.*backoff_factor.*jitter"):
        RetryPolicy(max_retries=-1, backoff_factor=0, jitter=-1)


def test_waits_follow_the_formula():
    policy = RetryPolicy(max_retries=9, initial_backoff=1, max_backoff=10, backoff_factor=2, jitter=0)
    assert [policy.wait(k, {}) for k in range(6)] == [1, 2, 4, 8, 10, 10]


@given(st.integers(0, 20), st.floats(0, 1))
def test_jitter_keeps_its_bounds(retry, jitter):
    policy = RetryPolicy(max_retries=1, initial_backoff=0.5, max_backoff=30, jitter=jitter)
    base = policy.base_wait(retry)
    assert base * (1 - jitter) <= policy.wait(retry, {}) <= base * (1 + jitter)


def test_jitter_spreads():
    policy = RetryPolicy(max_retries=1, jitter=0.5)
    assert len({policy.wait(0, {}) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [(None, True), (429, True), (500, True), (503, True), (400, False), (404, False), (200, False)],
)
def test_what_is_tried_again(status, expected):
    assert RetryPolicy().retries(status) is expected


def test_retry_after_takes_seconds_and_dates():
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({}) is None
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "\u00b2"}) is None
    assert retry_after({"retry-after": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"}) is None
    assert retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 +9999999999999999999999"}) is None
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < retry_after({"retry-after": then}) <= 100
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


def test_a_longer_retry_after_wins():
    policy = RetryPolicy(max_retries=1, initial_backoff=1, jitter=0)
    assert policy.wait(0, {"retry-after": "5"}) == 5
    assert policy.wait(0, {"retry-after": "0"}) == 1


def test_a_shorter_retry_after_shortens_nothing():
    policy = RetryPolicy(max_retries=1, initial_backoff=2, jitter=0)
    assert policy.wait(0, {"retry-after": "1"}) == 2


def attempts(wait: float, gap: float, retry_after: float | None = None) -> list[Attempt]:
    """Two attempts of 1 s each: the wait that is said of the first, and the time that truly lay between them."""
    return [Attempt(1, 503, "busy", 1.0, wait, 0.0, retry_after), Attempt(2, 200, None, 1.0, 0.0, 1.0 + gap)]


@pytest.mark.parametrize(
    ("wait", "gap", "asked", "told"),
    [
        (0.5, 0.5, None, None),
        (0.5, 0.7, None, None),
        (0.5, 0.1, None, "wait 1: expected 0.5 s between the attempts, got 0.1 s"),
        (0.4, 0.5, None, "wait 1: expected 0.5 s, got 0.4 s"),
        (0.6, 0.6, None, "wait 1: expected 0.5 s, got 0.6 s"),
        (2.0, 2.0, 2.0, None),
        (0.5, 0.5, 0.2, None),
        (0.5, 0.5, 2.0, "wait 1: expected 2 s, got 0.5 s"),
    ],
)
def test_where_waits_leave_the_policy(wait, gap, asked, told):
    policy = RetryPolicy(max_retries=1, initial_backoff=0.5, jitter=0)
    assert policy.deviations(attempts(wait, gap, asked)) == ([] if told is None else [told])


def test_too_many_attempts_leave_the_policy():
    policy = RetryPolicy(max_retries=0, initial_backoff=0.5, jitter=0)
    assert policy.deviations(attempts(0.5, 0.5)) == ["attempts: expected at most 1, got 2"]
