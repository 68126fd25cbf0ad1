"""What the references leave open, and a server decided: the settings of the stand-in that plays it.

All of it is data, so that a server is added by a file and little code. A *template* is a JSON value in which a text
`$name` stands for a value of the answer, `$name|null` has another value where there is none, and `${name}` stands
within a text, `${name|other}` the first that is there. A key whose value is not there is left out.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Template = Any
"""A JSON value with names in it."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of all parts of choices."""


class FlagChoice(Part, frozen=True):
    """A flag of the real program's command line that the stand-in takes."""

    kind: Literal["bool", "int", "float", "str", "list"] = "str"
    default: str | int | float | bool | list[str] | None = None
    sets: str | None = None
    """The flag of the stand-in that has this effect; None: `when` and `unless` look at it, or nobody does."""
    environment: str | None = None
    """The variable of the environment that has the effect of the flag, as well."""


Given = dict[str, str | int | float | bool | list[str]]
"""Values of flags, by name; a list: one of them."""


class ModelChoice(Part, frozen=True):
    """An object that a field may be."""

    fields: dict[str, str] = {}
    """The forms of its own fields; `?` after a name: it may be left out."""
    attributes: bool = False
    """Whether objects that are not JSON count as well, which an error about its kind then says."""


class RouteChoice(Part, frozen=True):
    """What a route does: a word of the stand-in, or one answer."""

    does: str = ""
    """`chat`, `models` ...: what the stand-in can do; empty: it gives `body`."""
    body: Template = ""
    status: int = 200
    content_type: str | None = None
    """None: that of JSON, or none for an empty body."""
    headers: dict[str, str] = {}
    error: str = ""
    """The error that the route answers with, in place of `body`."""
    otherwise: str = ""
    """The error that it answers with under other flags; empty: it is not there then."""
    when: Given = {}
    """Values of flags with which it is there."""
    unless: Given = {}
    """Values of flags with which it is not."""
    bare: bool = False
    """Whether it lacks the headers of paths that are there."""


class ShapeChoice(Part, frozen=True):
    """How an error looks; a list is the typed events of a stream, the last of which tells it."""

    body: Template
    content_type: str | None = None
    """None: that of JSON."""


class ErrorChoice(Part, frozen=True):
    """One way to refuse."""

    status: int
    shape: str = "default"
    """Which of `shapes`."""
    type: str | None = None
    param: Template = None
    code: Template = None
    message: str = ""
    """The words, a template; empty: those of the stand-in."""
    headers: dict[str, str] = {}
    stream_shape: str = ""
    """Which of `shapes` it has as an event of a stream; empty: the same."""
    bare: bool = False
    """Whether it lacks the headers that every answer has."""
    as_stream: bool = False
    """Whether it has the headers of a stream of its API, where one is asked for."""


class FieldChoice(Part, frozen=True, rename={"low": "from", "high": "to"}):
    """What a field of a request may be."""

    kind: Literal["integer", "number", "boolean", "text", "list", "object", "any"] = "any"
    takes: list[Literal["text", "boolean", "fraction", "number", "any"]] = []
    """Other kinds that are taken for it: numbers in texts, truth for 1, fractions that are cut; any: whatever it is."""
    ignored: bool = False
    """Whether it is not looked at, whatever it is."""
    nullable: bool = True
    """Whether null counts as not given."""
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    """What the value is greater than."""
    one_of: list[str] = []
    wrong: str = "type"
    """The error for another kind."""
    outside: str = "range"
    """The error for a value that is too low, too high or not one of those allowed."""
    missing: str = "missing"
    expected: str = ""
    """What errors call the kind."""
    form: str = ""
    """What it may be besides, as a type of Python with the names of `models`, by which problems with it are told."""


_Is = Literal[
    "absent", "null", "given", "empty", "text", "list", "object", "number", "integer", "boolean", "true", "false",
    "broken JSON", "not text", "not list", "not object", "not number", "not boolean", "not empty",
]  # fmt: skip


class Test(Part, frozen=True):
    """What a place of a request is like; what is given must all hold."""

    __test__ = False

    be: _Is | list[_Is] | None = msgspec.field(default=None, name="is")
    """One of these."""
    equals: Any = msgspec.UNSET
    one_of: list[Any] = []
    none_of: list[Any] = []
    above: float | None = None
    below: float | None = None
    longer: int | None = None
    finds: str | None = None
    """A regular expression that is found in the text."""
    has: dict[str, Test] = {}
    """What its own places are like."""


class RefusalChoice(Part, frozen=True, rename={"asks": "if"}):
    """What is refused besides fields of a wrong kind."""

    asks: dict[str, Test]
    """Place of the request to what it is like: `messages.*.role` is each of them, `$prompt_tokens` is counted."""
    error: str
    name: str = ""
    """What a dialect that extends this one names it by, to leave it out."""
    apis: list[str] = []
    """None: all."""
    first: bool = False
    """Whether it is looked at before the fields, where nothing is counted yet."""
    param: str | None = None
    message: str = ""
    streamed: bool | None = None
    """Whether the refusal comes as the only event of a stream with status 200, where one is asked for."""
    silent: bool = False
    """Whether it comes as a stream without any event, where one is asked for."""
    labelled: bool = False
    """Whether it is called a stream, where one is asked for, though it is none."""
    when: Given = {}
    unless: Given = {}


class KeyChoice(Part, frozen=True):
    """How a key is asked for."""

    guarded: str = "."
    """A regular expression that the paths match which need the key."""
    open: list[str] = []
    """Paths that do not, all the same."""
    first: bool = True
    """Whether the key is asked for before the route is looked for."""
    bearer: str = "Bearer (.*)"
    """A regular expression for the whole Authorization header; the key is its group."""
    headers: list[str] = []
    """Other headers that hold the key."""


class MetricChoice(Part, frozen=True):
    """A family of metrics."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "summary", "unknown"] = "gauge"
    samples: list[str] = []
    """Its samples, as `name{label="value"}`; none: the name alone."""
    counts: Literal[
        "", "prompt tokens", "tokens", "answers", "running", "waiting", "cached tokens", "awake", "weights offloaded",
        "all discarded",
    ] = ""  # fmt: skip
    """What its value is, of the answers so far or now; empty: it stays 0."""
    when: Given = {}


class BodyChoice(Part, frozen=True):
    """How the body of a request is read."""

    content_types: str = "json"
    """A regular expression that is found in the content type, or the request is refused; a missing one is empty."""
    byte_order_mark: bool = False
    trailing: bool = False
    """Whether text after the JSON is ignored."""
    constants: bool = False
    """Whether NaN and Infinity are read."""
    surrogates: bool = True
    """Whether half of a character, which JSON can write and UTF-8 cannot, is taken."""
    null_is_empty: bool = False
    """Whether null counts as an empty object."""
    null_is_kind: bool = False
    """Whether null counts as a value of a wrong kind, and not as no body."""
    empty_is_object: bool = False
    """Whether no body counts as an empty object."""
    replaces_bytes: bool = False
    """Whether bytes that are not UTF-8 are replaced, and the body is read."""
    words: Literal["serde", "go", "nlohmann"] = "serde"
    """Whose words errors have for values and for what is wrong with a text."""
    text_words: Literal["", "orjson"] = ""
    """Whose words they have for what is wrong with a text, where those are others."""
    lost_by_offers: bool = False
    """Whether the body of a request that offers another protocol is lost."""


class PromptChoices(Part, frozen=True):
    """Tokens of a prompt besides those of its texts."""

    message: int = 8
    """Of each message."""
    opening: int = 7
    """Of the beginning of the answer."""
    tool: int = 60
    """Of each tool that is offered."""


class ToolChoices(Part, frozen=True):
    """What becomes of the calls of tools. free: the model may leave its call out, and `uncalled` tells of it."""

    auto: Literal["call", "text"] = "call"
    """What becomes of a call that the model makes by itself."""
    none: Literal["text", "answer", "call"] = "answer"
    """`tool_choice: none`: the call as text, an answer without it, or the call all the same."""
    required: Literal["call", "auto"] = "call"
    named: Literal["call", "auto", "text", "free"] = "call"
    odd: Literal["auto", "none"] = "auto"
    """What a choice of another kind stands for."""
    null_choice: Literal["auto", "none", "lost"] = "auto"
    """What null stands for; lost: the call is found, and not told."""
    named_finish: str = "tool_calls"
    required_finish: str = "tool_calls"
    content: Template = None
    """The content beside a call."""
    required_content: Template = None
    cut: Literal["text", "nothing"] = "text"
    """What is left of a call that the limit cuts."""
    uncalled: str = ""
    """The error where a call was required and the limit cut it, and in every stream; empty: there is none."""
    characters: float = 4
    """Of the text of a call in each of its tokens."""
    piece: int = 6
    """Characters of the arguments in each piece of a stream."""


class VariantChoice(Part, frozen=True):
    """What is otherwise under some flags."""

    choices: OpenChoices
    when: Given = {}
    unless: Given = {}


class OpenChoices(Part, frozen=True):
    """All that is open in the references."""

    stands_on: str = ""
    """The file of the server behind a gateway: what is not told here is as there, but for routes and flags."""
    refuses_alone: bool = False
    """Whether the refusals of the server behind do not count, but for its fields."""
    labels_errors: bool = False
    """Whether errors of the server behind are called streams, where one is asked for."""
    settings: dict[str, str | int | float | bool | list[str]] = {}
    """Other defaults of flags of the stand-in, by their names."""
    flags: dict[str, FlagChoice] = {}
    """Flags of the real program, by their names without hyphens in front."""
    native: str = ""
    """The module of the stand-in with the routes that only this server has."""
    headers: dict[str, str] = {}
    """Headers of every answer; templates."""
    ok_headers: dict[str, str] = {}
    """Headers of answers below 400 that a route of its own gives; templates."""
    page_headers: dict[str, str] = {}
    """Those of answers to pages of other sites, which name their origin; a preflight has its own."""
    known_headers: dict[str, str] = {}
    """Headers of every answer on a path that is there, but to OPTIONS; templates."""
    json_type: str = "application/json"
    stream_type: str = "text/event-stream"
    stream_headers: dict[str, str] = {}
    api_stream_headers: dict[str, dict[str, str]] = {}
    """The same for the streams of one API; templates."""
    api_headers: dict[str, dict[str, str]] = {}
    """The same for its answers in one piece; templates."""
    event_names: bool = True
    """Whether typed events are named in a line of their own."""
    plain_responses: bool = False
    """Whether the events of responses are not named, and end with [DONE]."""
    responses_done: bool = False
    """Whether the events of responses end with [DONE] though they are named."""
    streams_by_default: list[str] = []
    """The APIs that stream unless they are asked not to."""
    done: bool = True
    """Whether chats and completions end with [DONE]."""
    routes: dict[str, RouteChoice] = {}
    """`GET /health` and the like; a path that ends with * takes all below it."""
    without_routes: list[str] = []
    """Routes of the dialect below that this one does not have."""
    prefix_flag: str = ""
    """The flag with what stands before every path."""
    root_flag: str = ""
    """The flag with what may stand before every path."""
    head: bool = False
    """Whether HEAD is answered where GET is."""
    head_headers: dict[str, str] = {}
    """Headers of answers to HEAD."""
    redirects: dict[str, RouteChoice] = {}
    """By method, or `*` for others: the answer that leads from a path with a slash too many to the right one."""
    options: RouteChoice | None = None
    """The answer to OPTIONS on any path, or if it has `otherwise`, on any that is there; None: a method like others."""
    preflight: RouteChoice | None = None
    """The answer to OPTIONS that asks for another origin."""
    origin: RouteChoice | None = None
    """The answer to any request of a foreign origin."""
    request_id: RouteChoice | None = None
    """The answer to a request whose X-Request-Id is not a UUID; None: any is taken."""
    key: KeyChoice = KeyChoice()
    body: BodyChoice = BodyChoice()
    shapes: dict[str, ShapeChoice] = {}
    errors: dict[str, ErrorChoice] = {}
    """How each error is told; errors without an entry are told as `other`, errors of a status by its number."""
    fields: dict[str, dict[str, FieldChoice]] = {}
    """By APIs, several of them with blanks between: `chat completions`."""
    models: dict[str, ModelChoice] = {}
    """The objects that forms of fields name."""
    validation: Literal["whole", "short"] = "whole"
    """How `problems` lists what is wrong with fields: as pydantic does, or with the first ones alone and shortly."""
    refuses: list[RefusalChoice] = []
    """In a dialect that extends another they stand before those of the other."""
    without_refuses: list[str] = []
    """Refusals of the dialect below that this one does not have, by their names."""
    unknown_fields: str = ""
    """The error for a field of a chat or completion that `fields` does not name; empty: they are taken."""
    ids: dict[str, str] = {}
    """Templates of the ids: chat, completions, responses, messages, call, item, call_item, response_call, embeddings,
    rerank, score."""
    fingerprint: str = ""
    reads_model: Literal["served", "asked", "first"] = "served"
    """Which name an answer bears: that which is served, the one that was asked for, or always the first."""
    model_suffix: str = ""
    """What lists add to the name of a model, and requests may."""
    any_model: bool = False
    """Whether any name of a model is served."""
    default_model: str = ""
    """A name that stands for the first model."""
    most_tokens: list[Literal["zero is none", "negative is none", "zero is one"]] = []
    """What a limit of tokens stands for that is not positive."""
    prompt: PromptChoices = PromptChoices()
    caches: bool = False
    """Whether a prompt that was asked before is known but for its last token."""
    stopped_reason: Literal["stop_sequence", "end_turn"] = "stop_sequence"
    """Why a message ended at a stop sequence."""
    end_counts: bool = True
    """Whether the end is a token of its own, so that an answer as long as its limit is cut by it."""
    capped_status: Literal["incomplete", "completed"] = "incomplete"
    """The status of a response that its limit cut."""
    finish_with_text: Literal["never", "cut", "always"] = "never"
    """Whether the last piece of text bears the reason of the end; cut: where no token of its own ends the answer."""
    stop_stays: bool = False
    """Whether a stop text stays in the answer."""
    stops_at_tokens: bool = False
    """Whether a stop text ends the answer only where it is a token by itself."""
    cuts_prompts: bool = False
    """Whether a prompt that is too long is cut."""
    empty_finish: str = ""
    """The reason of the end of an answer to no prompt at all; empty: as to any other."""
    plain_numbers: bool = False
    """Whether whole numbers are told without a fraction."""
    several: bool = True
    """Whether `n` gives several choices."""
    together: bool = False
    """Whether the pieces of several choices come in one chunk."""
    echoes: bool | Literal["whole"] = True
    """Whether `echo` repeats the prompt; whole: not in streams."""
    zero_logprobs_one: bool = False
    """Whether a completion that asks for no alternatives of its tokens gets one."""
    usage_of_first: bool = False
    """Whether the usage counts the first choice alone."""
    logprobs_need_top: bool = False
    """Whether a chat gives log probabilities only where the number of alternatives is asked for; zero gives one."""
    usage_per_choice: bool = False
    """Whether a stream of several choices tells a usage for each of them, as it ends."""
    usual_top_logprobs: int = 0
    """How many alternatives a chat has that asks for log probabilities without their number."""
    formats: bool = True
    """Whether a chat or completion is in the format that is asked for."""
    response_formats: bool | None = None
    """Whether a response is in the format that is asked for. None: as the server behind it, or else it is."""
    structured_outputs: bool = False
    """Whether `structured_outputs` demands one of some choices, a pattern or the words of a grammar."""
    grammars: bool = False
    """Whether `grammar` demands a text of a grammar, and `json_schema` one that fits a schema."""
    null_events: bool = False
    """Whether the stream of several completions begins with an event of null."""
    always_usage: bool = False
    """Whether a stream tells its usage unasked."""
    tools: ToolChoices = ToolChoices()
    answers: dict[str, dict[str, Template]] = {}
    metrics: list[MetricChoice] = []
    metrics_headers: dict[str, str] = {}
    metrics_type: str = "text/plain; version=0.0.4; charset=utf-8"
    variants: list[VariantChoice] = []
