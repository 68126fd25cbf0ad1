"""Keywords on the rules of the wire: how much broken ones count, and whether an answer keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.log import Log
from InferenceLibrary.types import Rules, Texts, to_texts


class RuleKeywords(KeywordGroup):
    """The book of rules."""

    @keyword(tags=["rules"])
    def use_rules(self, rules: Rules, *files: Path, leave_out: Texts | None = None) -> None:
        """Set how much broken rules of the wire count, until the present test or suite ends.

        Every call is judged. The line of a call in the log ends with the ids of the rules that it broke, and at the end
        of the run a table tells how often each was broken, and where first. The documents list the rules.

        Args:
            rules: `warn`: a broken must rule is a warning, once a server; `fail`: it fails the call; `fail-should`: a
                broken should rule does too; `fail-tagged`: a broken must rule fails the calls of tests with its tag,
                such as `rule:C6`, and is a warning in others (a server that offers `fault injection` is held to
                `fail-should`); `off`: calls are not judged.
            files: Python files with rules of one's own.
            leave_out: Ids of rules that are told, and not held against the server: `F10`, or `["F10", "W1"]`.

        Raises:
            ValueError: A file holds no rules, or uses the id of a rule of the book. Or there is no rule of an id.

        Example:
        ```robotframework
        *** Test Cases ***
        Strictly
            Start Server    simulator
            Use Rules    fail
            Chat    What is the capital of France?
        ```
        """
        added = []
        if files:
            from InferenceLibrary.protocol.rules.book import load_rules

            added = [rule.id for path in files for rule in load_rules(path)]
        left_out = to_texts(leave_out or [])
        if left_out:
            from InferenceLibrary.protocol.rules.book import check_ids

            check_ids(left_out)
        self.context.use_rules(rules, left_out)
        own = f" Rules of one's own: {', '.join(added)}." if added else ""
        without = f" Left out: {', '.join(left_out)}." if left_out else ""
        self.log.info(f"Broken rules of the wire: {rules}.{without}{own}")

    @keyword(tags=["rules", "assertion"])
    def answer_should_keep_the_rules(
        self, answer: Any, *, leave_out: Texts | None = None, only: Texts | None = None, should: bool = True
    ) -> None:
        """Judge an answer by the whole book of rules: a reply, a stream, a job, the error of a failed call, a replay.

        What the record does not hold leaves the rules on it not judged, and what the dialect of its server waives is
        not held against it; the log tells both.

        Args:
            answer: What a call returned, its error with `expected_status=failure`, or what [Replay Answer] did.
            leave_out: Ids of rules that are not asked: `C7`, or `["C7", "C10"]`.
            only: Ids of the rules that are asked; all by default.
            should: Whether rules that only *should* be kept count too.

        Raises:
            CheckFailure: Rules are broken; each is named with its place. Or none could be asked.
            ValueError: There is no rule of such an id.

        Example:
        ```robotframework
        *** Test Cases ***
        By The Book
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?    include_usage=True
            Answer Should Keep The Rules    ${stream}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import judge_answer, told_waived
        from InferenceLibrary.protocol.rules.rule import Level
        from InferenceLibrary.protocol.rules.verdicts import listed

        judgement, waived = judge_answer(
            self.context, answer, leave_out=to_texts(leave_out or []), only=None if only is None else to_texts(only)
        )
        levels = {Level.MUST, Level.SHOULD} if should else {Level.MUST}
        broken = [violation for violation in judgement.violations if violation.level in levels]
        if broken:
            raise CheckFailure(f"The answer breaks rules of the wire: {listed(broken)}")
        if not judgement.kept and not judgement.violations and not waived:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in judgement.not_judged.items())
            raise CheckFailure(f"Rules: expected at least one that has something to say, got none. {reasons}".strip())
        left = "".join(f"\n    {name} not judged: {reason}" for name, reason in judgement.not_judged.items())
        self.log.info(f"{len(judgement.kept)} rules are kept: {', '.join(judgement.kept)}{told_waived(waived)}{left}")


def list_broken_rules(context: Context) -> None:
    """At the end of a run: how many calls were judged, and which rules were broken."""
    if context.judged_calls:
        Log(context).console(str(context.tally))
