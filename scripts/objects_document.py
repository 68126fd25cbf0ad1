"""Write docs/objects.md: the attributes of what keywords return, as the classes tell them.

`python scripts/objects_document.py` writes the page; `--check` only says whether it is as it should be.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "objects.md"
CLASSES = {
    "A reply": "client.answers:Reply",
    "A stream": "client.streams:Stream",
    "A chunk": "client.streams:Chunk",
    "An event of a stream": "protocol.sse:Event",
    "Usage": "protocol.messages:Usage",
    "Details of usage": "protocol.usage_details:UsageDetails",
    "A choice": "protocol.messages:Choice",
    "A tool call": "protocol.pieces:ToolCall",
    "The log probability of a token": "protocol.pieces:TokenLogprob",
    "What an error says": "protocol.errors:ErrorBody",
    "The error of a call": "errors:RequestError",
    "The error of a stream": "errors:StreamError",
    "An attempt": "protocol.exchange:Attempt",
    "Embeddings": "client.embeddings:Embeddings",
    "A job": "client.jobs:Job",
    "An event of a job": "client.jobs:JobEvent",
    "Results of calls at once": "keywords.concurrency:Results",
    "A call under way": "client.background:BackgroundCall",
    "A measurement": "load.measurement:Measurement",
    "One generation of a measurement": "load.measurement:Generation",
    "The result of a load": "load.result:LoadResult",
    "The result of a program": "programs.result:RunResult",
    "An answer in a terminal": "terminal.answer:TerminalAnswer",
}
"""Each object with its module and class."""
INNER = {"redact", "cancellation", "workers", "channels", "clock", "foreign"}
"""Attributes that are the library's own business."""
SHARED = {
    "exchange": "The record of the call: request and answer byte by byte, with the time of each read.",
    "status": "HTTP status of the answer; none, or 0, where there was no answer.",
    "headers": "Headers of the answer: names in lower case; the values of repeated ones joined with a comma.",
    "body": "Body of the answer as text.",
    "attempts": "Each attempt of the call, in order.",
    "url": "What was asked.",
    "role": "Role of the message; none where it names none.",
    "usage": "Token counts as the server gave them; none where it gave none.",
    "id": "Id that the server gave it; none where it gave none.",
    "model": "Model that the answer names; none where it names none.",
    "reasoning": "Thoughts of the model, joined; empty where it tells none.",
    "finish_reason": "Why it ended: `stop`, `length`, `tool_calls`, or what the server has; none where it has not.",
    "event": "The event as it came.",
    "arrival": "Seconds from the sending of the request to the read that completed the event.",
    "json": "The decoded data; none for `[DONE]` and for what is not JSON.",
    "data": "The data of the event.",
    "prompt_tokens": "Tokens of the prompt; none where they are not told.",
    "completion_tokens": "Tokens of the answer; none where they are not told.",
    "total_tokens": "Tokens of both; none where they are not told.",
    "text": "The text.",
    "tool_calls": "The tools that are called.",
    "logprobs": "Log probabilities of its tokens; empty when none were asked for.",
    "name": "Its name.",
    "token": "The token as text.",
    "logprob": "Its log probability, natural logarithm.",
    "top": "Tokens that could have stood there, each with its log probability.",
    "message": "What it says.",
    "type": "Its type, as the server names it.",
    "param": "The parameter of the request that it names; none where it names none.",
    "cancelled": "Whether we ended the call ourselves.",
    "event_index": "How many events had come.",
    "stream": "The stream as far as it came; none where it had not begun.",
    "category": "What kind of failure it is: `RATE_LIMIT`, `SERVER_ERROR`, `INVALID_REQ`, `AUTH_ERROR`, `PARSE_ERROR`, "
    "`UNKNOWN`.",
    "vectors": "The vectors, in the order of the inputs.",
    "reply": "The reply that they came in.",
    "dimensions": "Numbers in each vector.",
    "job_id": "Id of the job, as it was asked for.",
    "events": "All events, in order.",
    "types": "The types of all events, in order.",
    "stop_sequence_matched": "The stop sequence that ended it, as the worker tells; none without one.",
    "chunk": "The event of the stream that it came in.",
    "prompts": "What was asked, or the name of each call.",
    "failures": "The errors of the calls that failed.",
    "running": "Whether it is still under way.",
    "generations": "Every generation, in order, without the warm-up.",
    "warmup": "How many generations came before and do not count.",
    "started": "Seconds from the start of the measurement until it began.",
    "chunks": "Chunks with text.",
    "output_tokens": "Tokens of the answer.",
    "token_source": "Who counted the tokens: the server's usage, or the chunks.",
    "elapsed": "Seconds that it took.",
    "details": "What the server tells beside its counts.",
    "plan": "What was to be sent, and when.",
    "began": "When it began: seconds since 1970.",
    "machine": "The machine that the load was sent from.",
    "records": "What came of each request, in the order of their plan.",
    "succeeded": "Requests that were answered well.",
    "command": "The command line.",
    "exit_code": "Exit code; none where a signal ended it.",
    "signal": "The signal that ended it; none where it ended by itself.",
    "stdout": "What it wrote to standard output, as text.",
    "stderr": "What it wrote to standard error, as text.",
    "peak_memory": "Largest resident memory of its processes, in bytes.",
    "left_behind": "Processes that it started and left.",
    "question": "What was typed.",
    "time_to_first_token": "Seconds from the return key to the first text of the answer; none without one.",
    "statistics": "What the program told of its own pace.",
    "interrupted": "Whether the answer was interrupted.",
    "screen": "The rows of the terminal at its end.",
}
"""What attributes are where their class does not say more."""
HEAD = """# What keywords return

Keywords return objects: `${reply.text}`, `${stream.chunks}[0].arrival`. Every public attribute stands here; what a
keyword checks or returns by itself is better asked by the keyword. Times are seconds where nothing else is said.
"""


class Attribute:
    """One public attribute of a class."""

    def __init__(self, name: str, doc: str | None) -> None:
        self.name = name
        self.doc = doc


def attributes_of(place: str) -> list[Attribute]:
    """Return the public attributes of a class and its bases in this project, in the order of the source."""
    module_name, _, class_name = place.partition(":")
    module = importlib.import_module(f"InferenceLibrary.{module_name}")
    found: dict[str, Attribute] = {}
    for one in getattr(module, class_name).__mro__:
        if one.__module__.startswith("InferenceLibrary"):
            for attribute in _of_class(one):
                if attribute.name not in found or found[attribute.name].doc is None:
                    found[attribute.name] = attribute
    for attribute in found.values():
        attribute.doc = attribute.doc or SHARED.get(attribute.name)
    return [attribute for attribute in found.values() if attribute.name not in INNER]


def _of_class(one: type) -> list[Attribute]:
    source = Path(sys.modules[one.__module__].__file__ or "").read_text(encoding="utf-8")
    tree = ast.parse(source)
    node = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == one.__name__)
    found = []
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.append(Attribute(statement.target.id, _text(after)))
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            for line, following in zip(statement.body, [*statement.body[1:], None], strict=True):
                targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
                for target in targets:
                    if isinstance(target, ast.Attribute) and isinstance(line, ast.Assign | ast.AnnAssign):
                        found.append(Attribute(target.attr, _text(following)))
        elif isinstance(statement, ast.FunctionDef) and _is_property(statement):
            found.append(Attribute(statement.name, ast.get_docstring(statement)))
    return [attribute for attribute in found if not attribute.name.startswith("_")]


def _is_property(function: ast.FunctionDef) -> bool:
    names = {getattr(decorator, "id", getattr(decorator, "attr", "")) for decorator in function.decorator_list}
    return bool(names & {"property", "cached_property"})


def _text(statement: ast.stmt | None) -> str | None:
    """The text that follows an attribute."""
    value = getattr(statement, "value", None)
    said = value.value if isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) else None
    return said if isinstance(said, str) else None


def undocumented() -> list[str]:
    """Public attributes of which the classes say nothing."""
    return [
        f"{place.partition(':')[2]}.{attribute.name}"
        for place in CLASSES.values()
        for attribute in attributes_of(place)
        if not attribute.doc
    ]


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for title, place in CLASSES.items():
        rows = [f"| `{attribute.name}` | {_cell(attribute.doc or '')} |" for attribute in attributes_of(place)]
        parts.append(f"## {title}\n\n| attribute | what it is |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _cell(doc: str) -> str:
    """The first paragraph of a text, in one line."""
    return " ".join(doc.partition("\n\n")[0].split()).replace("|", "\\|")


def main() -> int:
    if "--check" in sys.argv[1:]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        print(
            "docs/objects.md is as it should be."
            if same
            else "docs/objects.md is old: run scripts/objects_document.py."
        )
        return 0 if same else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
