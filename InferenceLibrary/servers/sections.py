"""The sections of a profile: what a YAML file may say of a start, of readiness, of an end and of command lines."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from InferenceLibrary.servers.ready_check import ReadyCheck
from InferenceLibrary.typed_yaml import DURATION


class ProfilePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts of a profile."""


class Option(ProfilePart, frozen=True):
    """An option that `Start Server` takes for this kind of server."""

    help: str = ""
    type: Literal["text", "integer", "number", "duration", "switch", "list", "path", "model-file", "program"] = "text"
    """`switch` adds the flag alone, `list` repeats it; `model-file` is looked up below `TEST_MODEL_PATH`, `program`
    beside the running Python and on the PATH."""
    flag: str | None = None
    """How it is put on the command line; without one it only fills its `{placeholder}`."""
    format: str = "{value}"
    """How the value is written: `{value}`; for durations also `{milliseconds}`."""
    default: str | int | float | bool | list[str] | None = None
    environment: str | None = None
    """Variable that is read when the option is not given."""
    required: bool = False
    hint: str = ""
    """What to do when it is missing or cannot be found."""


class Gpu(ProfilePart, frozen=True):
    """What GPUs must be like before the server starts, and are again after it has ended."""

    most_used: str = "1 GB"
    """Memory in use on each GPU, at most; drivers and desktops hold some hundred megabytes."""
    wait: DURATION = "30s"
    """How long the memory of a server that has just ended may take to come free."""


class Start(ProfilePart, frozen=True):
    """How the process is started."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    """Arguments with placeholders: `{port}`, `{host}`, `{model}`, `{python}`, `{profile_dir}`, every option by name."""
    environment: dict[str, str] = {}
    """Variables set for the process; `{port}`, `{host}` and `{model}` are filled."""
    announcement: str | None = None
    """Pattern of the line that tells where the server listens; its group `url` or `port` is read and port 0 is passed.
    Without one, a free port is chosen and passed."""
    restart: bool = False
    """Whether the program is started again whenever it ends by itself, as a forwarder that drops. Its port is chosen
    and passed, so that it stays; an announcement then only tells that it listens."""
    daemon: bool = False
    """Whether the program puts itself into the background: when it ends with 0, what it left behind is the server.
    Linux only."""
    gpu: Gpu | None = None
    """Refuse to start where GPU memory is held by others. None: do not look."""
    options: dict[str, Option] = {}
    alternatives: list[Annotated[list[str], msgspec.Meta(min_length=2)]] = []
    """Groups of options of which exactly one is given, such as `[model_path, model_file]`: a folder, or a file. Where a
    start gives one, the environment and the defaults of the others do not count."""


class Health(ProfilePart, frozen=True):
    """The request that tells whether the server is up."""

    path: str = "/health"
    statuses: list[int] = msgspec.field(default_factory=lambda: [200])
    bodies: list[Literal["any", "empty", "ok", "status"]] = msgspec.field(default_factory=lambda: ["any"])
    """Accepted bodies: `empty`; the text `ok` in any case; a JSON object whose `status` is `ok`, `healthy`, `ready`,
    `up` or `running`; or any."""


class Budgets(ProfilePart, frozen=True):
    """How long each stage of a start may take, counted from the end of the one before; by default what is left of
    `timeout`."""

    listening: DURATION | None = None
    """Until the port accepts connections, or is announced."""
    healthy: DURATION | None = None
    """Until the health route answers as expected; loading a model falls into this stage or the one before."""
    model_listed: DURATION | None = None
    """Until the model list names the model."""
    checks_passed: DURATION | None = None
    """Until all checks of one's own have passed."""
    first_token: DURATION | None = None
    """Until a token has been generated."""


class Ready(ProfilePart, frozen=True):
    """When the server counts as ready."""

    health: Health | None = Health()
    """None: no health route; listening is enough."""
    first_token: Literal["chat", "completion", "none"] = "chat"
    """The generation that must give a token before the server counts as ready; servers that list a model or answer
    health checks may still be minutes away from it."""
    model_list: str | None = None
    """Path of the model list that must name the model, such as `/v1/models`. None: the list is not asked."""
    checks: list[ReadyCheck] = []
    """Checks of one's own, asked one after the other before the first token, each until it passes."""
    timeout: DURATION = "60s"
    """How long the whole start may take."""
    budgets: Budgets = Budgets()


class Stop(ProfilePart, frozen=True):
    """How the process is ended: a signal, a grace, then KILL for all that it started."""

    grace: DURATION = "10s"
    """How long the signal may take."""
    signal: Literal["TERM", "INT", "QUIT", "HUP"] = "TERM"
    to: Literal["group", "server"] = "group"
    """Who gets the signal: the server's process group, as from a terminal, or the server alone, as in a container."""


class Probe(ProfilePart, frozen=True):
    """One way to run the program that must succeed, and what it prints where."""

    arguments: list[str]
    stream: Literal["stdout", "stderr"] = "stdout"
    pattern: str = "."


class BadArgument(ProfilePart, frozen=True):
    """What the program does with arguments that it does not know."""

    exit_codes: list[int] = msgspec.field(default_factory=lambda: [1, 2])
    stream: Literal["stdout", "stderr"] = "stderr"


class ProgramSection(ProfilePart, frozen=True):
    """How the program behaves on a command line."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    subcommand: list[str] = []
    """Words that come before the server's own arguments, such as `serve`: bad ones are given after them."""
    timeout: DURATION = "10s"
    """How long one run may take; a program that loads a framework first needs ten seconds to tell its version."""
    version: Probe | None = None
    help: Probe | None = None
    bad_argument: BadArgument = BadArgument()


class TerminalSection(ProfilePart, frozen=True):
    """How the program is used as a chat in a terminal."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    prompt: str
    """Pattern of the line at which it waits for input."""
    environment: dict[str, str] = {}
    """Variables set for the program; `{port}`, `{host}` and `{model}` of the current server are filled."""
    answer_end: str | None = None
    """Pattern of the text that closes an answer (a line of statistics); None: the next prompt does."""
    quit_command: str = "/exit"
    quit_keys: tuple[str, ...] = ("Ctrl+D",)
    """Keys that leave at the prompt."""
    interrupt_keys: tuple[str, ...] = ("Ctrl+C",)
    """Keys that stop an answer."""
    interrupt_exit_code: int = 0
    """Exit code when they are pressed at the prompt."""
    continuation: str | None = None
    """What is typed before Enter to go on on the next line; None: a question has one line."""
    commands: dict[str, str] = {}
    """What is typed for which purpose: `help`, `clear`, `regenerate`, `model` and the like."""
    options: dict[str, Option] = {}


class MetricsSection(ProfilePart, frozen=True):
    """Prometheus metrics, and which of them say what. A name that is not given is not known of this server."""

    path: str = "/metrics"
    running: list[str] = []
    """Requests at work or waiting; all zero: the server is idle."""
    requests: str | None = None
    """Counter of requests that ended well."""
    prompt_tokens: str | None = None
    """Counter of prompt tokens."""
    generation_tokens: str | None = None
    """Counter of generated tokens."""


class ModelRoutes(ProfilePart, frozen=True):
    """Where models are loaded and unloaded, by POST. `{model}` stands for the model's id."""

    load: str = "/v1/models/{model}/load"
    unload: str = "/v1/models/{model}/unload"
    body_key: str | None = None
    """Key of the body that carries the model's id; None: the path alone names it."""


class Hint(ProfilePart, frozen=True):
    """A cause that is known by the words in the log."""

    pattern: str
    hint: str
