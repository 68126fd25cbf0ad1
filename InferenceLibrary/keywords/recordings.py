"""Keywords for recorded streams: shown in the log, kept in files, judged again."""

from __future__ import annotations

from pathlib import Path

from robot.api.deco import keyword

from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.calling import CallGroup


class RecordingKeywords(CallGroup):
    """Streams from files."""

    @keyword(tags=["stream"])
    def replay_stream(self, path: Path) -> Stream:
        """Read a recorded stream from a file and judge it again: its bytes are decoded anew, its times are kept.

        Every stream of [Stream Chat] and its like is recorded in `OUTPUT_DIR/inference/streams`; its path is
        `${stream.recording}`, and the log links it.

        Args:
            path: The recording.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            StreamError: The file cannot be read, or is not a recording.

        Example:
        ```robotframework
        *** Test Cases ***
        Again
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?
            ${again} =    Replay Stream    ${stream.recording}
            Answer Should Contain    ${again}    Paris
            Stream Should End With Done    ${again}
        ```
        """
        from InferenceLibrary.client.recordings import read_recording
        from InferenceLibrary.client.stream_reader import stream_of

        stream = stream_of(read_recording(path), self.context.redactor)
        stream.recording = path
        self.log.info(f"Replayed {path.name}: {stream}")
        return stream

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

        lump = judge_answer(self.context, stream, only=EVENLY).violations
        if lump:
            raise CheckFailure(f"Stalls of a stream: {listed_rules(lump)}")
        stalls = stalls_of(stream)
        if len(stalls) > most:
            listed = ", ".join(f"{(end - start) * 1000:.0f} ms at {start:.3f} s" for start, end in stalls[:5])
            raise CheckFailure(f"Stalls of a stream: expected at most {most}, got {len(stalls)}: {listed}.")
        self.log.info(f"Stalls of a stream: {len(stalls)} in {stream}.")
