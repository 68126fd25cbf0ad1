"""What got worse since older results."""

from __future__ import annotations

from InferenceLibrary.report.check_results import CheckResults, TargetCheck


def got_worse(now: TargetCheck, before: CheckResults) -> list[str]:
    """Return what a target kept or offered in older results and does not any more, one line each.

    A target that is not in them is compared with nothing: all that is broken is then worse.
    """
    old = next((one for one in before.targets if one.target == now.target), None)
    broken = {one.rule for one in old.rules if one.state == "broken"} if old else set()
    offered = {one.capability for one in old.coverage if one.state == "offered"} if old else set()
    failed = {one.name for one in old.calls if one.state == "failed"} if old else set()
    worse = [
        f"rule {one.rule} is broken: {one.sentence}"
        for one in now.rules
        if one.state == "broken" and one.rule not in broken
    ]
    still = {one.capability for one in now.coverage if one.state == "offered"}
    reasons = {one.capability: f"{one.state}, {one.reason}" for one in now.coverage}
    worse += [f"'{name}' is not offered any more: {reasons.get(name, 'not found')}" for name in sorted(offered - still)]
    worse += [
        f"the call '{one.name}' fails: {one.reason}"
        for one in now.calls
        if one.state == "failed" and one.name not in failed
    ]
    return worse
