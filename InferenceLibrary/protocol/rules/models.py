"""Rules of the model list."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.forms import inside, is_filled, listed, wrong_keys
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import FILLED, INTEGER, LIST, ObjectOf, OneOf
from InferenceLibrary.protocol.rules.views import View
from InferenceLibrary.protocol.strict_json import read_json, show

_SPEC = "OpenAI's API description (openai-openapi f85dbe2), listModels and retrieveModel, read 2026-11"
_FURTHER = ObjectOf(object=OneOf("model"), created=INTEGER, owned_by=FILLED)


class ModelList(View):
    """The answer of `/models`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value
        self.items = listed(inside(self.data, "data"))

    @property
    def ids(self) -> list[str]:
        """The ids that are texts."""
        return [item["id"] for item in self.items if is_filled(inside(item, "id"))]


class OneModel(View):
    """The answer of `/models/{id}`."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.data = read_json(exchange.text).value


@builds(Api.MODELS, stream=False)
def views(exchange: Exchange, api: Api) -> list[View]:
    """The views of an answer."""
    path = exchange.request.path.rstrip("/")
    if Held.REQUEST in exchange.held and not path.endswith("/models"):
        return [OneModel(exchange, api)]
    return [ModelList(exchange, api)]


@rule(
    "M1",
    Level.MUST,
    "The model list has `data`, objects with different ids.",
    source=_SPEC,
    kinds=("missing", "item", "id", "twice"),
    view=ModelList,
    apis=(Api.MODELS,),
)
def form(view: ModelList, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict) or not isinstance(view.data.get("data"), list):
        yield Found("missing", f"data {show(inside(view.data, 'data'))}")
        return
    seen: set[str] = set()
    for place, item in enumerate(view.items):
        if not isinstance(item, dict):
            yield Found("item", f"{show(item)} as model {place}")
        elif not is_filled(item.get("id")):
            yield Found("id", f"id {show(item.get('id'))} of model {place}")
        elif item["id"] in seen:
            yield Found("twice", f"id {show(item['id'])} of model {place} again")
        else:
            seen.add(item["id"])


@rule(
    "M3",
    Level.SHOULD,
    "The model list is an object `list` of objects `model`, each with created and owned_by.",
    source=f"{_SPEC}; clients of the field read lists without",
    kinds=("list", "model"),
    view=ModelList,
    apis=(Api.MODELS,),
)
def further(view: ModelList, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        return
    for _, got in wrong_keys(view.data, ObjectOf(object=OneOf("list"), data=LIST)):
        yield Found("list", got)
    for place, item in enumerate(view.items):
        if isinstance(item, dict):
            for _, got in wrong_keys(item, _FURTHER):
                yield Found("model", f"{got} of model {place}")


@rule(
    "M4",
    Level.MUST,
    "The answer about one model has the id that was asked for.",
    source=_SPEC,
    kinds=("id",),
    view=OneModel,
    apis=(Api.MODELS,),
)
def one_model(view: OneModel, known: Known) -> Iterator[Found]:
    given = inside(view.data, "id")
    asked = unquote(view.exchange.request.path.rstrip("/").rpartition("/models/")[2])
    if not same_model(given, asked):
        yield Found("id", f"id {show(given)} for {show(asked)}")


def same_model(listed_id: object, asked: str) -> bool:
    """Whether an id of a list is that of a model as it was asked for: Ollama adds the tag `latest`."""
    return listed_id in (asked, f"{asked}:latest")
