"""Statuses that a call may be answered with, as a test writes them."""

import pytest

from InferenceLibrary.protocol.statuses import ANY, OK, Statuses, read_statuses


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [
        (404, [404], [400, 204, None]),
        ("404", [404], [400]),
        ("4xx", [400, 499], [399, 500, 200]),
        ("4XX, 503", [422, 503], [500]),
        ("400,422", [400, 422], [401]),
        ([400, "5xx"], [400, 599], [422]),
        ("[400, 422]", [400, 422], [404]),
        ("any", [100, 200, 404, 599], [None]),
        ("failure", [], [200, 404, None]),
    ],
)
def test_statuses_inside_and_outside(given, inside, outside):
    statuses = read_statuses(given)
    assert [status for status in inside if status not in statuses] == []
    assert [status for status in outside if status in statuses] == []


@pytest.mark.parametrize(
    "given", ["", " ", [], ",", "[]", "4x", "600", "99", "any,404", "failure,500", "ok", "40", 0, True]
)
def test_what_is_not_a_status_is_refused(given):
    with pytest.raises(ValueError, match=r"Expected a status such as 404, a class such as 4xx, .*, got .+\."):
        read_statuses(given)


def test_statuses_are_shown_and_compared():
    assert str(read_statuses("400, 4xx")) == "400 or 4xx"
    assert read_statuses("422,400") == read_statuses([400, 422])
    assert read_statuses("400") != read_statuses("4xx")
    assert len({Statuses(200), OK, ANY}) == 2
    assert read_statuses("failure").failure
    assert not ANY.failure
