"""The mix of requests of a load, as tests write it."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import MonitorError, describe

if TYPE_CHECKING:
    from InferenceLibrary.load.requests import Kind, Prompts

_ASKED = ("model", "max_tokens", "stream", "extra")
"""What a kind takes from the load unless it has its own."""
_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "weight": (int, float),
    "prompt": (str,),
    "prompt_tokens": (int,),
    "system": (str,),
    "model": (str,),
    "max_tokens": (int,),
    "stream": (bool,),
    "extra": (dict,),
    "path": (str,),
    "body": (dict,),
}


def prompts_of(given: Mapping[str, Any]) -> Prompts:
    """Return what a load asks by its arguments.

    Raises:
        MonitorError: Two sources of prompts are given, or one cannot be read.
        MissingExtraError: The package tokenizers is not installed.
    """
    from InferenceLibrary.load.requests import Prompts

    prompt, file, seed = given["prompt"], given["prompts"], given["seed"]
    if prompt and file:
        raise MonitorError(describe("A load has two sources of prompts", expected="prompt= or prompts=, one of them"))
    if given["shared_prefix"] and (prompt or file) and not given["kinds"]:
        raise MonitorError(
            describe(
                "Prompts that are given share no prefix",
                expected=f"shared_prefix= without {'prompt' if prompt else 'prompts'}=",
            )
        )
    if file:
        found = Prompts.from_file(file, seed=seed)
    else:
        found = Prompts((prompt,) if prompt else (), given["prompt_tokens"], given["shared_prefix"], seed=seed)
    return found.counted_by(given["tokenizer"]) if given["tokenizer"] else found


def kind_of(item: Mapping[str, Any], number: int, given: Mapping[str, Any], prompts: Prompts) -> Kind:
    """Return one kind of a mix, counted from 1; an empty object is the plain chat of a load.

    Raises:
        MonitorError: A key is unknown or its value is of another type.
    """
    from dataclasses import replace

    from InferenceLibrary.load.requests import Kind

    _check(item, number)
    name = item.get("name", "chat" if not item else f"kind {number}")
    own = {key: item.get(key, given[key]) for key in _ASKED}
    asked = prompts
    if "prompt" in item:
        asked = replace(prompts, texts=(item["prompt"],))
    elif "prompt_tokens" in item:
        asked = replace(prompts, texts=(), tokens=item["prompt_tokens"])
    if not asked.texts and not 0 <= asked.shared_prefix < asked.tokens:
        raise MonitorError(
            describe(
                f"Prompts of {name} cannot be made",
                expected="1 token or more, of which fewer are shared",
                got=f"prompt_tokens={asked.tokens}, shared_prefix={asked.shared_prefix}",
            )
        )
    weight = float(item.get("weight", 1))
    if not 0 <= weight < math.inf:
        raise MonitorError(
            describe(
                f"The weight of kind {number} of the load is out of range", expected="0 or more", got=f"{weight:g}"
            )
        )
    if "path" in item:
        return Kind(name, item["path"], json.dumps(item["body"]), weight, prompts=asked)
    return Kind.chat(**own, system=item.get("system"), name=name, weight=weight, prompts=asked)


def _check(item: Mapping[str, Any], number: int) -> None:
    for key, value in item.items():
        types = _TYPES.get(key)
        if types is None:
            nearest = difflib.get_close_matches(key, _TYPES, 1)
            raise MonitorError(
                describe(
                    f"Kind {number} of the load has an unknown '{key}'",
                    expected=f"some of {', '.join(_TYPES)}",
                    hint=f"did you mean '{nearest[0]}'?" if nearest else None,
                )
            )
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise MonitorError(
                describe(
                    f"Kind {number} of the load: '{key}' cannot be read",
                    expected={str: "a text", bool: "true or false", dict: "an object"}.get(types[0], "a number"),
                    got=repr(value),
                )
            )
    if ("path" in item) != ("body" in item):
        raise MonitorError(
            describe(
                f"Kind {number} of the load is half a request of its own",
                expected='both, such as "path": "/v1/embeddings", "body": {"model": "my-model", "input": "{prompt}"}',
                got=", ".join(key for key in ("path", "body") if key in item),
            )
        )
