"""Keywords for recorded answers, whole and streamed: kept in files, judged again; and for how evenly a stream came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.calling import CallGroup


class RecordingKeywords(CallGroup):
    """Answers to files and from them."""

    @keyword(tags=["chat"])
    def record_answer(self, answer: Any) -> Path:
        """Keep the call of an answer in a file: what was asked, and what came, to the byte. Secrets are masked.

        Streams, and calls that failed, are recorded by themselves; the log links the files.

        Args:
            answer: What a call returned, or the error of a failed one.

        Returns:
            The path of the file, for [Replay Answer].

        Raises:
            ValueError: It is not an answer.

        Example:
        ```robotframework
        *** Test Cases ***
        Kept
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            ${file} =    Record Answer    ${reply}
            ${again} =    Replay Answer    ${file}
            Should Be Equal    ${again.text}    ${reply.text}
        ```
        """
        from InferenceLibrary.client.recordings import write_recording
        from InferenceLibrary.keywords.shared.rule_groups import exchange_of

        path = self.context.artifact("calls", "call", "json")
        write_recording(exchange_of(answer), path, self.context.redactor)
        self.log.file("Recording", path)
        return path

    @keyword(tags=["chat", "stream"])
    def replay_answer(self, path: Path) -> Any:
        """Read a recorded answer from a file, to be judged again: its bytes are decoded anew, its times are kept.

        Every stream of [Stream Chat] and its like is recorded in `OUTPUT_DIR/inference/streams`; its path is
        `${stream.recording}`, and the log links it. A call that failed is recorded in `OUTPUT_DIR/inference/calls`, and
        so is what [Record Answer] is given.

        Args:
            path: The recording.

        Returns:
            A stream, as from [Stream Chat], or a reply, as from [Chat].

        Raises:
            StreamError: The file cannot be read, or is not a recording.

        Example:
        ```robotframework
        *** Test Cases ***
        Again
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?
            ${again} =    Replay Answer    ${stream.recording}
            Answer Should Contain    ${again}    Paris
            Stream Should End With Done    ${again}
        ```
        """
        from InferenceLibrary.client.recordings import read_recording
        from InferenceLibrary.client.stream_reader import stream_of

        exchange = read_recording(path)
        answer: Stream | Reply
        if exchange.is_event_stream or exchange.is_json_lines:
            answer = stream_of(exchange, self.context.redactor)
            answer.recording = path
        else:
            answer = Reply(exchange, self.context.redactor)
        self.log.info(f"Replayed {path.name}: {answer}")
        return answer

    @keyword(tags=["stream", "assertion"])
    def stream_should_not_stall(self, stream: Stream, *, most: int = 0) -> None:
        """Check that the text of a stream came evenly.

        A stall is a gap between chunks with text of more than 50 ms and five times the median gap.

        Args:
            stream: What [Stream Chat] or its like returned.
            most: Stalls that are tolerated.

        Raises:
            CheckFailure: There are more; the message tells when.

        Example:
        ```robotframework
        *** Test Cases ***
        Even
            Start Server    simulator    inter_token_latency=5 ms
            ${stream} =    Stream Chat    What is the capital of France?
            Stream Should Not Stall    ${stream}    most=1
        ```
        """
        from InferenceLibrary.client.stream_picture import stalls_of
        from InferenceLibrary.keywords.shared.rule_groups import EVENLY, judge_answer
        from InferenceLibrary.protocol.rules.verdicts import listed as listed_rules

        lump = judge_answer(self.context, stream, only=EVENLY).judgement.violations
        if lump:
            raise CheckFailure(f"Stalls of a stream: {listed_rules(lump)}")
        stalls = stalls_of(stream)
        if len(stalls) > most:
            listed = ", ".join(f"{(end - start) * 1000:.0f} ms at {start:.3f} s" for start, end in stalls[:5])
            raise CheckFailure(f"Stalls of a stream: expected at most {most}, got {len(stalls)}: {listed}.")
        self.log.info(f"Stalls of a stream: {len(stalls)} in {stream}.")
