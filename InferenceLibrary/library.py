"""The library class: import settings, the listener that releases what was opened, and the assembled keywords."""

from __future__ import annotations

import atexit
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot.api import logger
from robot.api.deco import library
from robot.libraries.BuiltIn import BuiltIn, RobotNotRunningError
from robot.running.arguments import ArgumentSpec
from robot.version import VERSION as ROBOT_VERSION

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.context import Context, TestNotes
from InferenceLibrary.keywords.answer_parts import AnswerPartKeywords
from InferenceLibrary.keywords.answers import AnswerKeywords
from InferenceLibrary.keywords.background_calls import BackgroundCallKeywords
from InferenceLibrary.keywords.chat import ChatKeywords
from InferenceLibrary.keywords.chunks import ChunkKeywords
from InferenceLibrary.keywords.concurrency import ConcurrencyKeywords
from InferenceLibrary.keywords.containers import CONVERTERS as CONTAINER_CONVERTERS
from InferenceLibrary.keywords.containers import ContainerKeywords
from InferenceLibrary.keywords.embeddings import EmbeddingKeywords
from InferenceLibrary.keywords.expected_latencies import ExpectedLatencyKeywords
from InferenceLibrary.keywords.failures import FailureKeywords
from InferenceLibrary.keywords.lifecycle import LifecycleKeywords
from InferenceLibrary.keywords.load_comparisons import LoadComparisonKeywords
from InferenceLibrary.keywords.loads import LoadKeywords
from InferenceLibrary.keywords.metric_monitors import MetricMonitorKeywords
from InferenceLibrary.keywords.metrics import MetricKeywords
from InferenceLibrary.keywords.model_admin import ModelAdminKeywords
from InferenceLibrary.keywords.model_loading import ModelLoadingKeywords
from InferenceLibrary.keywords.models import ModelKeywords
from InferenceLibrary.keywords.monitors import MonitorKeywords
from InferenceLibrary.keywords.onnx_generating import OnnxGeneratingKeywords
from InferenceLibrary.keywords.onnx_judging import OnnxJudgingKeywords
from InferenceLibrary.keywords.onnx_measuring import OnnxMeasuringKeywords
from InferenceLibrary.keywords.onnx_running import OnnxRunKeywords
from InferenceLibrary.keywords.onnx_sessions import OnnxSessionKeywords
from InferenceLibrary.keywords.performance import PerformanceKeywords
from InferenceLibrary.keywords.programs import ProgramKeywords
from InferenceLibrary.keywords.recordings import RecordingKeywords
from InferenceLibrary.keywords.retries import RetryKeywords
from InferenceLibrary.keywords.rules import RuleKeywords, list_broken_rules
from InferenceLibrary.keywords.sampling import SamplingKeywords
from InferenceLibrary.keywords.screens import ScreenKeywords
from InferenceLibrary.keywords.served import ServedKeywords
from InferenceLibrary.keywords.server_logs import ServerLogKeywords, list_kept, mark_logs, tell_of_servers
from InferenceLibrary.keywords.shared.argument_names import RefusedArguments, refusal
from InferenceLibrary.keywords.shared.arguments import CONVERTERS as RESULT_CONVERTERS
from InferenceLibrary.keywords.simulator_control import SimulatorControlKeywords
from InferenceLibrary.keywords.skips import SkipKeywords
from InferenceLibrary.keywords.stored_responses import StoredResponseKeywords
from InferenceLibrary.keywords.streams import StreamKeywords
from InferenceLibrary.keywords.targets import TargetKeywords
from InferenceLibrary.keywords.terminal_chats import TerminalChatKeywords
from InferenceLibrary.keywords.terminals import TerminalKeywords
from InferenceLibrary.keywords.tools import ToolKeywords
from InferenceLibrary.keywords.typed_apis import TypedApiKeywords
from InferenceLibrary.keywords.usages import UsageKeywords
from InferenceLibrary.keywords.workers import CONVERTERS as JOB_CONVERTERS
from InferenceLibrary.keywords.workers import WorkerKeywords
from InferenceLibrary.log import ResultGuard
from InferenceLibrary.types import CONVERTERS, Rules, light
from InferenceLibrary.version import __version__

if TYPE_CHECKING:
    from InferenceLibrary.heartbeat import Heartbeat

DOC_FORMAT: Literal["MARKDOWN", "TEXT"] = "TEXT" if ROBOT_VERSION.startswith("7.4") else "MARKDOWN"
"""Robot Framework 7.4, the lowest version, does not know Markdown; its libdoc shows the same text as it stands."""


@library(
    scope="GLOBAL",
    version=__version__,
    doc_format=DOC_FORMAT,
    listener="SELF",
    converters=light(CONVERTERS | RESULT_CONVERTERS | CONTAINER_CONVERTERS | JOB_CONVERTERS),
)
class InferenceLibrary(
    TargetKeywords,
    LifecycleKeywords,
    ServerLogKeywords,
    ContainerKeywords,
    ChatKeywords,
    StreamKeywords,
    ChunkKeywords,
    AnswerKeywords,
    AnswerPartKeywords,
    UsageKeywords,
    RetryKeywords,
    RuleKeywords,
    SkipKeywords,
    SamplingKeywords,
    MetricKeywords,
    MetricMonitorKeywords,
    ModelAdminKeywords,
    ServedKeywords,
    TypedApiKeywords,
    StoredResponseKeywords,
    EmbeddingKeywords,
    ToolKeywords,
    RecordingKeywords,
    FailureKeywords,
    BackgroundCallKeywords,
    ConcurrencyKeywords,
    SimulatorControlKeywords,
    WorkerKeywords,
    ProgramKeywords,
    ModelKeywords,
    ModelLoadingKeywords,
    TerminalKeywords,
    ScreenKeywords,
    TerminalChatKeywords,
    PerformanceKeywords,
    LoadComparisonKeywords,
    LoadKeywords,
    ExpectedLatencyKeywords,
    MonitorKeywords,
    OnnxSessionKeywords,
    OnnxRunKeywords,
    OnnxJudgingKeywords,
    OnnxMeasuringKeywords,
    OnnxGeneratingKeywords,
):
    """Acceptance tests for LLM inference servers.

    The library starts a server (or connects to one), talks to it over HTTP and event streams, judges what came over the
    wire, drives its command line and terminal, measures it, and runs ONNX models. Out of the box it tests an embedded
    simulator; with one variable, the real thing.

    ```robotframework
    *** Settings ***
    Library           InferenceLibrary
    Suite Setup       Start Server    simulator

    *** Test Cases ***
    Capital Of France
        ${stream} =    Stream Chat    What is the capital of France?    include_usage=True
        Answer Should Contain    ${stream}    Paris
        Stream Should End With Done    ${stream}
        Usage Should Add Up    ${stream}
        Get Time To First Token    ${stream}    <    5 s
    ```

    %TOC%

    ## Servers

    [Start Server] takes a profile, [Connect To Server] a URL, [Use Target] whatever the variables of the run name. The
    one opened last is the current one; every keyword that talks to a server takes another by `server=`: an alias, a
    handle or the object itself.

    ## Ownership

    What a test opens is closed when the test ends, what a suite setup opens when the suite ends, on pass, failure,
    time limit and Ctrl-C alike, and also when Robot Framework itself is killed. `Start Server    ...    keep=True` opts
    out. When a test fails, what each live server wrote during it is attached to its log.

    ## Replies and streams

    [Chat] and [Complete] return a reply, [Stream Chat] and [Stream Completion] a stream. Times are seconds. A chunk is
    one event of a stream; a server may put several tokens into one.

    ## Jobs of a worker

    [Execute Job] sends a job to a worker (`POST /execute`) and returns its typed events; [Job Events Should Be In
    Order], [Token Count Should Be] and [Job Should Have Completed] judge them.

    ## Rules of the wire

    Every call is judged by a book of rules; its line in the log ends with the ids of those that it broke, and the run
    ends with a table. The import setting `rules`, [Use Rules] for a test or suite, and `rules` of a call say how much
    that counts: `warn` (the default), `fail`, `fail-should`, `fail-tagged`, `off`. [Answer Should Keep The Rules]
    judges any answer by the whole book; [Stream Should Be In Order] and its like ask a group of its rules. What can
    never be a success fails whatever the setting: no choice, an error in a good status, an error event, a stream
    without an event.

    ## Errors and skips

    The first line of every error says what failed, what was expected, what was got, after how long, and what to do.
    Only keywords named `Skip ...`, [Use Model Program], and [Use Target] when asked to, skip;
    they say what is missing.

    ## Secrets

    Give keys as Robot secrets (`${KEY: Secret}    %{MY_KEY}`), also as items of `headers`, `extra` and `environment`.
    They are masked in the log, in files and in errors, also where a server repeats them in another writing or in
    pieces. Robot Framework embeds no secret in other text: what holds `Bearer ${KEY}` is refused; make the whole text a
    secret (`VAR    ${LINE: Secret}    Bearer ${KEY}`).

    ## Evidence

    A call that fails shows its request, its answer, its attempts and what the rules say in the log, folded, with a link
    to its recording. A test that fails shows its last calls and the last screens of its terminals.
    """

    def __init__(
        self,
        *,
        timeout: timedelta = timedelta(seconds=60),
        start_timeout: timedelta | None = None,
        rules: Rules = "warn",
    ) -> None:
        """Settings of the import.

        Args:
            timeout: Time limit of a call, its retries included.
            start_timeout: Time limit of a server's start; the profile's by default.
            rules: How much broken rules of the wire count, see [Use Rules].
        """
        self.context = Context(
            limits=Limits(total=timeout.total_seconds()),
            start_timeout=None if start_timeout is None else start_timeout.total_seconds(),
            rules=rules,
        )
        self._guard = ResultGuard(self.context, self.log)
        self._declared: dict[str, ArgumentSpec] = {}
        """Arguments of the keywords that were called, by name."""
        # A second Ctrl-C ends Robot without close().
        atexit.register(self.context.close)

    @cached_property
    def _heartbeat(self) -> Heartbeat:
        from InferenceLibrary.heartbeat import Heartbeat

        return Heartbeat(self.log.console, lambda: self.context.told_at)

    def start_suite(self, data: Any, result: Any) -> None:
        self._locate_output()
        self._guard.debug_file()
        self.context.enter(data.id)

    def start_test(self, data: Any, result: Any) -> None:
        self.context.current_test = data.name
        # The result's: Set Tags and Remove Tags change them while the test runs.
        self.context.current_tags = result.tags
        self.context.last_calls.clear()
        self.context.notes = TestNotes()
        mark_logs(self.context)
        self.context.enter(data.id)

    def end_test(self, data: Any, result: Any) -> None:
        if self.context.notes.calls:
            from InferenceLibrary.keywords.shared.test_facts import tell_of_test

            tell_of_test(self.context, result)
        self._guard.test(result)
        if self.context.last_calls or len(self.context.terminals):
            from InferenceLibrary.keywords.shared.evidence import show_last_calls, show_last_screens

            show_last_calls(self.context, result.failed)
            show_last_screens(self.context, result.failed)
        tell_of_servers(self.context, result.failed)
        self._report(self.context.leave(data.id))
        self.context.current_test = ""
        self.context.current_tags = ()

    def end_suite(self, data: Any, result: Any) -> None:
        if self.context.capabilities_asked:
            from InferenceLibrary.keywords.shared.capabilities import show_capabilities

            show_capabilities(self.context, result)
        self._guard.suite(result)
        failures = self.context.leave(data.id)
        if result.tests or self.context.server_lives:
            from InferenceLibrary.keywords.shared.test_facts import tell_of_suite

            tell_of_suite(self.context, result, BuiltIn().get_variable_value("${PABOTEXECUTIONPOOLID}"))
        self._report(failures)

    def start_library_keyword(self, data: Any, implementation: Any, result: Any) -> None:
        own = implementation.owner.instance is self
        self._guard.enter(result, own)
        if not own:
            return
        self._heartbeat.begin(implementation.name)
        # The implementation is a copy of this call's own.
        running = BuiltIn()
        # In a dry run no variable has its value: `&{options}` would be those of Robot Framework itself.
        known = {} if running.dry_run_active else {"value_of": running.get_variable_value}
        reason = refusal(implementation.name, implementation.args, data.args, **known)
        name = implementation.name
        if name not in self._declared:
            from InferenceLibrary.keywords.shared.declared_arguments import DeclaredArguments

            self._declared[name] = DeclaredArguments(implementation.args)
        implementation.args = RefusedArguments(reason) if reason else self._declared[name]

    def end_library_keyword(self, data: Any, implementation: Any, result: Any) -> None:
        if implementation.owner.instance is self:
            self._heartbeat.end()
        self._guard.leave(result)

    def end_body_item(self, data: Any, result: Any) -> None:
        self._guard.item(result)

    def log_message(self, message: Any) -> None:
        """Known secrets are masked in whatever is logged, also by Robot itself and by other libraries."""
        self._guard.message(message)

    message = log_message

    def close(self) -> None:
        self._heartbeat.close()
        list_kept(self.context)
        list_broken_rules(self.context)
        self._report(self.context.close())

    def _locate_output(self) -> None:
        try:
            self.context.output_dir = Path(BuiltIn().get_variable_value("${OUTPUT_DIR}"))
        except RobotNotRunningError:
            return

    def _report(self, failures: list[tuple[str, BaseException]]) -> None:
        """What could not be closed is an error of the run; an interruption goes on."""
        for name, error in failures:
            logger.error(self.log.safe(f"Closing '{name}' failed: {error}"))
        for _, error in failures:
            if not isinstance(error, Exception):
                raise error
