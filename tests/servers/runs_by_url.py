"""What must be true of the suites against a server that was given by its URL, whatever it offers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inner_suites import Outcome

_PROBED = "Asked for '"
"""So begins what the log says of a probe, which is not a call of the test."""


def judge(tests: Mapping[str, Outcome], url: str | None, missing: str, least: int) -> None:
    """No test fails, none passes on a route that is not there, and no other server is touched.

    Args:
        tests: All tests, with what they logged.
        url: The server's; None where it is started anew, and so has several.
        missing: What the server says of a path that it does not have.
        least: How many tests must pass: else nothing was tested.
    """
    failed = {name: one.message for name, one in tests.items() if one.status == "FAIL"}
    assert failed == {}, failed
    passed = [name for name, one in tests.items() if one.status == "PASS"]
    assert len(passed) > least, "nothing was tested"
    for name in passed:
        own = [line for line in tests[name].log if missing in line and not line.startswith(_PROBED)]
        assert own == [] or name == "An Unknown Path Is Not Found", f"{name} passed on a route that is not there"
    assert url is None or addresses(tests) == {url}, addresses(tests)


def addresses(tests: Mapping[str, Outcome]) -> set[str]:
    """All that was asked by name, in the exchanges of the tests."""
    return set(re.findall(r"http://[\w.]+:\d+", "\n".join(line for one in tests.values() for line in one.log)))
