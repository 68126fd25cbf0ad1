"""Rules of the metadata that a service of several models adds to a chat: `orchestration`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.forms import inside, is_count, is_filled, is_number
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import View
from InferenceLibrary.protocol.strict_json import read_json, show

_TESTS = "inference-service (2026-03-08), README and tests/integration, read 2026-11"
_MODES = ("single", "critique", "debate", "ensemble", "pipeline")
_SHARES = ("final_score", "agreement_score", "confidence")


class Orchestration(View):
    """The object `orchestration` of an answer."""

    def __init__(self, exchange: Exchange, data: Any) -> None:
        super().__init__(exchange, Api.ORCHESTRATION)
        self.data = data


@builds(Api.CHAT, stream=False)
def views(exchange: Exchange, _api: Api) -> list[View]:
    """The view of an answer that has such metadata."""
    if b'"orchestration"' not in exchange.body:
        return []
    value = read_json(exchange.text).value
    return [Orchestration(exchange, value["orchestration"])] if inside(value, "orchestration") is not None else []


@rule(
    "O1",
    Level.MUST,
    "The metadata name a mode, the models used and the milliseconds of the inference.",
    source=_TESTS,
    kinds=("no object", "mode", "models_used", "total_inference_time_ms"),
    view=Orchestration,
    apis=(Api.ORCHESTRATION,),
)
def form(view: Orchestration, known: Known) -> Iterator[Found]:
    data = view.data
    if not isinstance(data, dict):
        yield Found("no object", show(data))
        return
    if data.get("mode") not in _MODES:
        yield Found("mode", f"mode {show(data.get('mode'))}")
    models = data.get("models_used")
    if not isinstance(models, list) or not models or not all(map(is_filled, models)):
        yield Found("models_used", f"models_used {show(models)}")
    time = data.get("total_inference_time_ms")
    if not is_number(time) or time < 0:
        yield Found("total_inference_time_ms", f"total_inference_time_ms {show(time)}")


@rule(
    "O2",
    Level.MUST,
    "The mode is the one that was asked for.",
    source=_TESTS,
    kinds=("mode",),
    view=Orchestration,
    apis=(Api.ORCHESTRATION,),
    needs=(Held.REQUEST,),
)
def mode(view: Orchestration, known: Known) -> Iterator[Found]:
    asked, told = view.exchange.asked_for("orchestration_mode"), inside(view.data, "mode")
    if asked in _MODES and told != asked:
        yield Found("mode", f"mode {show(told)} for {show(asked)}")


@rule(
    "O3",
    Level.MUST,
    "The mode `single` uses one model in one round, the others two models or more, each named once.",
    source=_TESTS,
    kinds=("models", "twice", "rounds"),
    view=Orchestration,
    apis=(Api.ORCHESTRATION,),
)
def models(view: Orchestration, known: Known) -> Iterator[Found]:
    told, used, rounds = inside(view.data, "mode"), inside(view.data, "models_used"), inside(view.data, "rounds")
    if told not in _MODES or not isinstance(used, list):
        return
    names = [name for name in used if is_filled(name)]
    if len(set(names)) < len(names):
        yield Found("twice", f"models_used {show(used)}")
    if (len(used) != 1) if told == "single" else (len(used) < 2):
        yield Found("models", f"{len(used)} models in the mode {told}")
    if rounds is not None and (not is_count(rounds) or rounds < 1):
        yield Found("rounds", f"rounds {show(rounds)}")


@rule(
    "O4",
    Level.MUST,
    "Scores and confidence are from 0 to 1.",
    source=_TESTS,
    kinds=_SHARES,
    view=Orchestration,
    apis=(Api.ORCHESTRATION,),
)
def shares(view: Orchestration, known: Known) -> Iterator[Found]:
    for key in _SHARES:
        value = inside(view.data, key)
        if value is not None and not (is_number(value) and 0 <= value <= 1):
            yield Found(key, f"{key} {show(value)}")
