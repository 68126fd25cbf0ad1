"""Finds out what one server offers: asks at the first use of a word, by its smallest right request, and keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from InferenceLibrary.client.answers import ModelListReply, Reply
from InferenceLibrary.client.http import Client
from InferenceLibrary.protocol.capabilities import CAPABILITIES, Capability, Offer, State
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.prometheus import read_metrics
from InferenceLibrary.servers.probing.answering import Answered, sorted_answer, words
from InferenceLibrary.servers.probing.call import CheckCall
from InferenceLibrary.servers.probing.calls import REACH
from InferenceLibrary.servers.probing.making import made
from InferenceLibrary.servers.probing.probes import PROBES, WITHOUT_CHATS
from InferenceLibrary.servers.probing.shown import SHOWN
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.stated import stated

_Found = tuple[State, str]
_BY_PROFILE = ("health", "metrics")
"""Probes that the profile words."""


class Prober:
    """What is known of one server.

    Args:
        client: Asks the server.
        profile: Says what cannot be asked; what it says otherwise than the server is told.
        model: The model to ask for; the first of the list by default.
        tell: Takes a line about each request.
    """

    def __init__(self, client: Client, profile: Profile, model: str | None, tell: Callable[[str], None]) -> None:
        self._client = client
        self._profile = profile
        self._model = model
        self._tell = tell
        self._asked: dict[str, Exchange] = {}
        self._by_word: dict[str, Callable[[], _Found]] = {
            "health": self._health,
            "metrics": self._metrics,
            "keys": self._keys,
            "stored responses": self._stored,
            "unknown model is refused": self._refuses_models,
            "ignore_eos": self._ignores_the_end,
            "top_k": self._draws_from_the_likeliest,
        }

    def offer(self, name: str, known: dict[str, Offer]) -> Offer:
        """Find out about a capability, and whatever it needs.

        Args:
            name: A word of the list.
            known: What is known already; what is found out is added.
        """
        if name not in known:
            one = CAPABILITIES[name]
            told = stated(self._profile, one)
            if not can_be_asked(one) or (name == "metrics" and told.state is State.NOT_OFFERED):
                known[name] = told
            else:
                known[name] = joined(told, self._needed(name, known) or self._found_out(name, PROBES.get(name, ())))
        return known[name]

    def _needed(self, name: str, known: dict[str, Offer]) -> _Found | None:
        """What follows where it cannot be asked for what it needs; None where that is offered."""
        needs = PROBES[name][0].needs if name in PROBES else ""
        if not needs or needs == name:
            return None
        base = self.offer(needs, known)
        if base.state is State.OFFERED:
            return None
        if name in WITHOUT_CHATS and self.offer("completions", known).state is State.OFFERED:
            return self._found_out(name, WITHOUT_CHATS[name])
        state = State.UNKNOWN if base.state is State.UNKNOWN else State.NOT_OFFERED
        return state, f"it needs '{needs}', which is {base.state.value}: {base.evidence}"

    def _found_out(self, name: str, calls: Sequence[CheckCall]) -> _Found:
        if name in self._by_word:
            return self._by_word[name]()
        exchanges = []
        for call in calls:
            exchange = self._made(call)
            answered = sorted_answer(call, exchange, self._nowhere())
            if answered.sort != "good":
                return _not_good(name, call, answered, exchange)
            exchanges.append(exchange)
        instead = SHOWN[name](exchanges) if name in SHOWN else ""
        if instead:
            return State.NOT_OFFERED, f"status {exchanges[-1].status}, but {instead}"
        return State.OFFERED, _came(exchanges[-1])

    def _nowhere(self) -> Exchange:
        return self._made(REACH[0])

    def _made(self, call: CheckCall, client: Client | None = None) -> Exchange:
        """Make a call, or return what it brought before."""
        if call.name not in self._asked:
            if self._model is None and call.body is not None:
                listed = self._made(REACH[1])
                self._model = next(iter(ModelListReply(listed).models_or_none or ()), "")
            exchange = made(client or self._client, self._worded(call), self._model or "")
            self._tell(f"Asked for '{call.capability or 'no route'}' by {call.name}: {_came(exchange)}.")
            self._asked[call.name] = exchange
        return self._asked[call.name]

    def _worded(self, call: CheckCall) -> CheckCall:
        """Only tokens that this server gave are surely its own; what another of its kind gave need not be."""
        if call.capability != "detokenize":
            return call
        given = self._made(PROBES["tokenize"][0]).json
        return (
            replace(call, body={"tokens": given["tokens"]}) if isinstance(given, dict) and "tokens" in given else call
        )

    def _health(self) -> _Found:
        from InferenceLibrary.servers.probes import OK, judge_health

        health = self._profile.ready.health
        if health is None:
            return State.NOT_OFFERED, "its profile names no health route"
        exchange = self._made(CheckCall("health", "health", health.path))
        if exchange.status is None:
            return State.UNKNOWN, _came(exchange)
        seen = judge_health(health, exchange.status, exchange.body)
        return (State.OFFERED, _came(exchange)) if seen == OK else (State.NOT_OFFERED, seen)

    def _metrics(self) -> _Found:
        section = self._profile.metrics
        assert section is not None
        named = [*section.running, section.requests, section.prompt_tokens, section.generation_tokens]
        exchange = self._made(CheckCall("metrics", "metrics", section.path))
        if exchange.status is None:
            return State.UNKNOWN, _came(exchange)
        if exchange.status != 200:
            return State.NOT_OFFERED, words(exchange)
        found = read_metrics(exchange.text)
        if not any(name and found.value(name) is not None for name in named):
            return State.NOT_OFFERED, f"none of its metrics is one that the profile '{self._profile.name}' names"
        return State.OFFERED, _came(exchange)

    def _keys(self) -> _Found:
        if not self._client.api_key:
            return State.NOT_OFFERED, "it is asked without a key"
        keyless = Client(
            self._client.base_url, name=self._client.name, limits=self._client.limits, route=self._client.route
        )
        exchange = self._made(PROBES["keys"][0], keyless)
        if exchange.status is None:
            return State.UNKNOWN, _came(exchange)
        refused = exchange.status in (401, 403)
        return State.OFFERED if refused else State.NOT_OFFERED, f"without the key: {_came(exchange)}"

    def _stored(self) -> _Found:
        (call,) = PROBES["stored responses"]
        exchange, nowhere = self._made(call), self._nowhere()
        if exchange.status is None or nowhere.status is None:
            return State.UNKNOWN, _came(exchange)
        # The path alone differs between both refusals where there is no such route.
        like = sorted_answer(replace(call, refusal=False), exchange, nowhere).sort == "missing" and (
            exchange.text.replace(exchange.request.path, "") == nowhere.text.replace(nowhere.request.path, "")
        )
        there = exchange.status in (400, 404) and not like
        return State.OFFERED if there else State.NOT_OFFERED, words(exchange)

    def _refuses_models(self) -> _Found:
        exchange = self._made(PROBES["unknown model is refused"][0])
        if exchange.status is None or exchange.status >= 500:
            return State.UNKNOWN, words(exchange) if exchange.status else _came(exchange)
        return State.OFFERED if exchange.status >= 400 else State.NOT_OFFERED, words(exchange)

    def _ignores_the_end(self) -> _Found:
        (call,) = PROBES["ignore_eos"]
        body = {key: value for key, value in call.body.items() if key != "ignore_eos"}  # type: ignore[union-attr]
        ended = self._made(replace(call, name="a chat that may end", body=body))
        if Reply(ended).finish_reason != "stop":
            return State.UNKNOWN, "no answer ended before its limit by itself"
        exchange = self._made(call)
        if exchange.status != 200:
            return State.NOT_OFFERED, words(exchange) if exchange.status else _came(exchange)
        instead = SHOWN["ignore_eos"]([exchange])
        return State.NOT_OFFERED if instead else State.OFFERED, instead or _came(exchange)

    def _draws_from_the_likeliest(self) -> _Found:
        right, wrong = PROBES["top_k"]
        exchange = self._made(right)
        if exchange.status != 200:
            return State.NOT_OFFERED, words(exchange) if exchange.status else _came(exchange)
        other = self._made(wrong)
        if other.status is not None and 400 <= other.status < 500:
            return State.OFFERED, f"taken, where a field that does not exist is refused: status {other.status}"
        return State.UNKNOWN, f"a field that does not exist is answered as well: {_came(other)}"


def can_be_asked(one: Capability) -> bool:
    """Whether a request shows it."""
    return one.name in PROBES or one.name in _BY_PROFILE


def joined(told: Offer, found: tuple[State, str]) -> Offer:
    """What the profile says and what the server says; the server decides, unless it said nothing."""
    state, evidence = found
    says = {State.OFFERED: "offers it", State.NOT_OFFERED: f"lacks it ({told.evidence})"}.get(told.state)
    by_profile = says is not None and told.source == "profile"
    if state is State.UNKNOWN and by_profile:
        return Offer(told.name, told.state, f"its profile {says}; asked: {evidence}", "profile")
    if by_profile and (told.state is State.OFFERED) != (state is State.OFFERED):
        evidence = f"{evidence}; but its profile {says}"
    return Offer(told.name, state, evidence, "server")


def _not_good(name: str, call: CheckCall, answered: Answered, exchange: Exchange) -> _Found:
    reason = answered.reason or words(exchange)
    if answered.sort == "missing" and not (call.needs and call.path == PROBES[call.needs][0].path):
        return State.NOT_OFFERED, reason
    if answered.sort == "failed" or (name == "chat" and (exchange.status or 500) >= 500):
        # A test then sees the failure itself: it is the server's, and no reason to skip.
        return State.UNKNOWN, reason
    return State.REFUSED, reason


def _came(exchange: Exchange) -> str:
    if exchange.status is None:
        return f"no answer: {exchange.problem}"
    kind = f", {exchange.media_type}" if exchange.media_type else ""
    return f"status {exchange.status}{kind}"


def table_rows(known: dict[str, Offer]) -> list[tuple[str, str, str, str]]:
    """Return word, state, source and evidence of all that is known, in the order of the list."""
    return [
        (name, known[name].state.value, known[name].source, known[name].evidence)
        for name in CAPABILITIES
        if name in known
    ]
