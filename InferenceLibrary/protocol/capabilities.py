"""Capabilities: the closed list of what a server may offer, each with its meaning and what would show it.

Profiles, keywords and the calls of `rfinference check` use these words and no others. A profile tells what its server
has, in `offers`, and what it lacks, with the reason, in `lacks`.
"""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import NamedTuple


class CapabilityKind(StrEnum):
    """What kind of thing is offered."""

    ROUTE = "route"
    """Something to ask."""
    FEATURE = "feature"
    """What an answer can do, or how the server takes what is asked."""
    PARAMETER = "parameter"
    """A field of a request that has its effect."""
    FORMAT = "format"
    """A form of answers, of questions or of model files."""
    CONTROL = "control"
    """What a test may do to the server itself; never tried unless the profile says so."""


class State(StrEnum):
    """What is known of a capability of one server."""

    OFFERED = "offered"
    NOT_OFFERED = "not offered"
    REFUSED = "refused"
    """It is there, and refused for a reason: a model that cannot, a key, an option of its start."""
    UNKNOWN = "unknown"


class Capability(NamedTuple):
    """One thing that a server may offer."""

    name: str
    """Words in lower case, one blank between them; in tags a hyphen stands for the blank."""
    kind: CapabilityKind
    meaning: str
    probe: str | None = None
    """The request that shows it, and how; None: no request of a test may or can."""
    assumed: bool = False
    """Whether it counts as offered where the profile says nothing: the references ask it of each server."""


class Offer(NamedTuple):
    """What is known of one capability of one server, and from where."""

    name: str
    state: State
    evidence: str
    """What was seen, or the profile's reason; one line."""
    source: str
    """Who says so: `server`, `profile`, or `neither`."""


_R, _F, _P = CapabilityKind.ROUTE, CapabilityKind.FEATURE, CapabilityKind.PARAMETER
_M, _C = CapabilityKind.FORMAT, CapabilityKind.CONTROL

_ALL = (
    Capability("health", _R, "The profile's health route answers as the profile expects.", "GET on that route"),
    Capability("models", _R, "A list of models.", "GET /v1/models"),
    Capability("model details", _R, "One model of the list by its id.", "GET /v1/models/{id}"),
    Capability("chat", _R, "Chat completions.", "POST /v1/chat/completions, one message"),
    Capability("completions", _R, "Completions of a text.", "POST /v1/completions, a short prompt"),
    Capability("responses", _R, "The Responses API.", "POST /v1/responses, a short input, store false"),
    Capability(
        "stored responses",
        _R,
        "Responses that are kept and can be had by their id.",
        "GET /v1/responses/{id} of an id that does not exist: refused otherwise than a route that does not exist",
    ),
    Capability("messages", _R, "The Messages API.", "POST /v1/messages, one message"),
    Capability("count tokens", _R, "The tokens of a message.", "POST /v1/messages/count_tokens, one message"),
    Capability("embeddings", _R, "Vectors of texts.", "POST /v1/embeddings, one text"),
    Capability("rerank", _R, "Documents ranked for a query.", "POST /v1/rerank, one document"),
    Capability("rerank v2", _R, "The same by the path of version 2.", "POST /v2/rerank, one document"),
    Capability("unversioned rerank", _R, "The same by the path without a version.", "POST /rerank, one document"),
    Capability("score", _R, "Scores of pairs of texts.", "POST /v1/score, one pair"),
    Capability("tokenize", _R, "The tokens of a text.", "POST /tokenize, a short prompt"),
    Capability("detokenize", _R, "The text of tokens.", "POST /detokenize, the tokens that /tokenize gave"),
    Capability(
        "metrics",
        _R,
        "Counters in the form of Prometheus that the profile names.",
        "GET on the profile's metrics route holds one of the metrics that it names",
    ),
    Capability("jobs", _R, "Jobs of a worker, streamed.", "POST /execute, a job of one token"),
    Capability("streams", _F, "Chats as event streams.", "a chat with stream is answered with text/event-stream"),
    Capability(
        "usage in streams",
        _F,
        "The usage in a stream that asks for it.",
        "a streamed chat with stream_options.include_usage has a usage",
    ),
    Capability(
        "tool calls",
        _F,
        "Tools are called where a call is required.",
        "a chat with one tool and tool_choice required is answered with a call",
    ),
    Capability(
        "named tools",
        _F,
        "The tool that the question names is called.",
        "a chat with two tools that names the second is answered with a call of it",
    ),
    Capability("several choices", _F, "More than one answer to a chat.", "a chat with n of 2 has two choices"),
    Capability(
        "log probabilities",
        _F,
        "The log probability of each token of a chat.",
        "a chat with logprobs and top_logprobs of 2 has a list of tokens with numbers",
    ),
    Capability(
        "stop texts",
        _F,
        "A stop text ends the answer and does not stand in it.",
        "a chat with a stop text out of the middle of the last answer ends before it",
    ),
    Capability(
        "repeatable answers",
        _F,
        "The same question has the same answer at temperature 0.",
        "the same chat three times, at temperature 0 and with one seed; a completion where chats are not offered",
    ),
    Capability(
        "unknown model is refused",
        _F,
        "A model that the server does not have is refused.",
        "a chat with the model no-such-model is refused with a status of 4xx",
    ),
    Capability("reasoning", _F, "The thinking of the model beside its answer.", "a chat's message has a field for it"),
    Capability("keys", _F, "A key is needed.", "the model list without the key is refused with 401 or 403"),
    Capability(
        "documents in rankings",
        _F,
        "A ranking gives the documents back.",
        "a ranking with return_documents holds the document's text",
    ),
    Capability("listed models", _F, "The list of models holds the one that is asked for.", assumed=True),
    Capability("scores from 0 to 1", _F, "A ranking's scores lie between 0 and 1.", assumed=True),
    Capability("checked top_n", _F, "A top_n that is not a number is refused.", assumed=True),
    Capability("sequence numbers in responses", _F, "The events of a streamed response are numbered.", assumed=True),
    Capability("incomplete responses", _F, "A response that its limit cut is incomplete.", assumed=True),
    Capability("whole responses", _F, "A response is whole where no stream was asked for.", assumed=True),
    Capability("message limits", _F, "A message ends at its limit of tokens, and says so.", assumed=True),
    Capability("stop sequences in messages", _F, "A stop sequence ends a message.", assumed=True),
    Capability("log probabilities in streams", _F, "Streams give them in the same form.", assumed=True),
    Capability("tool calls in streams", _F, "A call that is required comes in a stream too.", assumed=True),
    Capability("tool calls in responses", _F, "A call that is required comes in a response too.", assumed=True),
    Capability(
        "tool results in responses",
        _F,
        "A response goes on from a call and its result, of which the call's id tells which belong together.",
        assumed=True,
    ),
    Capability("distinct vectors", _F, "Texts that differ have vectors that differ.", assumed=True),
    Capability("tool results", _F, "The result of a tool is taken, after the call that has no text.", assumed=True),
    Capability("tools without parameters", _F, "A tool that takes no parameters is taken.", assumed=True),
    Capability("forbidden tools", _F, "No tool is called where none may be.", assumed=True),
    Capability("continued prompts", _F, "A completion goes on from its prompt.", assumed=True),
    Capability("several prompts", _F, "A completion answers each of its prompts.", assumed=True),
    Capability("several prompts in streams", _F, "A streamed completion answers each of its prompts.", assumed=True),
    Capability("odd bodies are a 4xx", _F, "A body that is not an object is the client's fault.", assumed=True),
    Capability("odd messages are a 4xx", _F, "Messages that are not a list are the client's fault.", assumed=True),
    Capability("odd inputs are a 4xx", _F, "An input of embeddings that is not a text is refused.", assumed=True),
    Capability("messages without a role are refused", _F, "A message without a role is refused.", assumed=True),
    Capability("limits below zero are refused", _F, "A limit of tokens below zero is refused.", assumed=True),
    Capability("tools without a name are refused", _F, "A tool without a name is refused.", assumed=True),
    Capability("responses without input are refused", _F, "A response to nothing is refused.", assumed=True),
    Capability(
        "odd values are a 4xx",
        _F,
        "A word for a limit of tokens, or another media type, is the client's fault.",
        assumed=True,
    ),
    Capability("odd temperatures are a 4xx", _F, "A word for a temperature is the client's fault.", assumed=True),
    Capability("unknown encodings are refused", _F, "An encoding that does not exist is refused.", assumed=True),
    Capability("unparsable JSON is a 400", _F, "A body that is not JSON is the client's fault.", assumed=True),
    Capability("empty chats are refused", _F, "A chat without messages is refused.", assumed=True),
    Capability("empty messages are refused", _F, "A message without messages is refused.", assumed=True),
    Capability("odd tokens are a 4xx", _F, "Tokens that do not exist are the client's fault.", assumed=True),
    Capability("missing tokens are refused", _F, "A detokenization without tokens is refused.", assumed=True),
    Capability("exact token counts", _F, "A job gives as many tokens as it asks for.", assumed=True),
    Capability("old clients", _F, "A client of HTTP/1.0 gets no chunks, which it does not know.", assumed=True),
    Capability(
        "model states end",
        _F,
        "A model that was unloaded comes back by each of its names, and no state of it lasts for good.",
        assumed=True,
    ),
    Capability("all scripts", _F, "No character of any script is lost on the way.", assumed=True),
    Capability("left answers end", _F, "A whole answer ends when its client has gone.", assumed=True),
    Capability("steady gaps", _F, "Gaps between tokens are as long as they are configured.", assumed=True),
    Capability("worker id", _F, "A worker's health shows its id.", assumed=True),
    Capability(
        "known answers",
        _F,
        "The model knows the capitals of resources/prompts.yaml.",
        "a chat that asks for the capital of France, and Paris in its answer",
    ),
    Capability("code tasks", _F, "The model answers a task of programming with a program."),
    Capability("relevance", _F, "The model ranks what answers the query above what does not."),
    Capability(
        "ignore_eos",
        _P,
        "The answer goes on to its limit.",
        "a chat that ends by itself goes on to its limit with ignore_eos; unknown where it did not end",
    ),
    Capability(
        "top_k",
        _P,
        "Only the k likeliest tokens are drawn from.",
        "a chat with top_k is answered, and one with a field that does not exist is refused; else unknown",
    ),
    Capability("seed", _P, "One seed gives one answer.", "the same chat three times with one seed, at temperature 0.8"),
    Capability(
        "dimensions",
        _P,
        "Vectors of the length that is asked for.",
        "an embedding with dimensions of 16 has 16 numbers",
    ),
    Capability("text parts", _M, "A message's content as parts of text.", "a chat whose content is one part of text"),
    Capability("json object", _M, "An answer that is a JSON object.", "a chat with response_format json_object is one"),
    Capability(
        "json schema", _M, "An answer that fits a JSON Schema.", "a chat with response_format json_schema fits it"
    ),
    Capability("json schema in responses", _M, "A response that fits a JSON Schema.", assumed=True),
    Capability(
        "base64 embeddings",
        _M,
        "Vectors as base64.",
        "an embedding with encoding_format base64 is a text",
    ),
    Capability("gguf models", _M, "Model files of the form GGUF.", assumed=True),
    Capability("ggml models", _M, "Model files of the form GGML.", assumed=True),
    Capability("safetensors models", _M, "Model files of the form SafeTensors.", assumed=True),
    Capability("program", _C, "The program is known; the profile's section `program` says how it is run."),
    Capability("checked port numbers", _C, "The program refuses a port out of range.", assumed=True),
    Capability("terminal", _C, "A chat in the terminal; the profile's section `terminal` says how it is used."),
    Capability("help in the terminal", _C, "A command in the terminal for help.", assumed=True),
    Capability("regeneration in the terminal", _C, "A command in the terminal for another answer.", assumed=True),
    Capability("errors in the terminal", _C, "An unknown command in the terminal is called unknown.", assumed=True),
    Capability("model files in the terminal", _C, "The program of the terminal loads a model file.", assumed=True),
    Capability("start", _C, "Servers of this kind are started; the profile's section `start` says how."),
    Capability(
        "unknown arguments end the start", _C, "Its program does not start with an argument that it does not know."
    ),
    Capability("fault injection", _C, "It does wrong on request, by header and by option: a simulator."),
    Capability("scripted answers", _C, "Its answers come from a script that tests know."),
    Capability("backends of our own", _C, "What stands behind a gateway or router is started by the test."),
    Capability("counters", _C, "A service's own route that counts what it did."),
    Capability("cancellation", _C, "A worker's route that cancels a job."),
    Capability("adapters", _C, "Adapters are loaded and unloaded while it runs."),
    Capability("model loading", _C, "Models are loaded and unloaded while it runs."),
    Capability("sleep", _C, "It is put to sleep and woken."),
)

CAPABILITIES = {one.name: one for one in _ALL}
"""Name to capability, in the order of the document."""

_SPELLINGS = {name.replace("_", " ").lower(): one for name, one in CAPABILITIES.items()}


def capability(word: str) -> Capability:
    """Return the capability of that name; case, hyphens and underscores count no more than in Robot's own names.

    Raises:
        ValueError: The list does not have it; the message names the nearest.
    """
    found = _SPELLINGS.get(" ".join(word.replace("_", " ").replace("-", " ").lower().split()))
    if found is None:
        raise ValueError(unknown_capability(word))
    return found


def nearest_capability(word: str) -> str:
    """Return the question whether another was meant, with a blank before it; empty where none is near."""
    close = difflib.get_close_matches(word.lower().replace("-", " "), CAPABILITIES, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown_capability(word: str) -> str:
    """Return what is said of a word that the list does not have."""
    return f"'{word}' is not a capability.{nearest_capability(word)} docs/capabilities.md lists them."
