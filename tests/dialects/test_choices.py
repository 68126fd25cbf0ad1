"""What a dialect decides that the references leave open: wrong words are told, and a range holds only what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.errors import ProfileError

HEAD = "name: mine\ntitle: Mine\nversion: '2.1'\n"


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ("{jsontype: x}", "Did you mean 'json_type'?"),
        ("{routes: {'GET health': {does: health}}}", "expected a method and a path such as 'GET /health'"),
        ("{routes: {GET /a: {when: {slots: true}}}, flags: {slot: {}}}", "'slots' is not a flag. Did you mean 'slot'?"),
        ("{routes: {GET /a: {error: no rout}}}", "'no rout' is not an error. Did you mean 'no route'?"),
        ("{routes: {GET /a: {body: $verson}}}", "'verson' is not a name of templates. Did you mean 'version'?"),
        ("{errors: {type: {status: 400, shape: bear}}, shapes: {bare: {body: ''}}}", "Did you mean 'bare'?"),
        ("{errors: {type: {status: 400, param: 'body.${feld}'}}}", "Did you mean 'field'?"),
        ("{shapes: {bare: {body: [$mesage]}}}", "Did you mean 'message'?"),
        ("{fields: {chta: {n: {kind: integer}}}}", "'chta' is not an API. Did you mean 'chat'?"),
        ("{fields: {chat: {n: {wrong: typ}}}}", "'typ' is not an error. Did you mean 'type'?"),
        ("{refuses: [{if: {n: {above: 1}}, error: rang}]}", "'rang' is not an error. Did you mean 'range'?"),
        ("{refuses: [{if: {n: {is: numbr}}, error: range}]}", "number"),
        ("{refuses: [{if: {n: {above: 1}}, error: range, apis: [chta]}]}", "Did you mean 'chat'?"),
        ("{refuses: [{if: {n: {above: 1}}, error: range, message: '${servd}'}]}", "Did you mean 'served'?"),
        ("{answers: {chta: {answer: {}}}}", "'chta' is not an API with answers. Did you mean 'chat'?"),
        ("{answers: {chat: {anser: {}}}}", "'anser' is not a part of answers of chat. Did you mean 'answer'?"),
        ("{answers: {chat: {answer: {id: $idd}}}}", "'idd' is not a name of templates. Did you mean 'id'?"),
        ("{variants: [{when: {jinj: true}, choices: {}}], flags: {jinja: {}}}", "Did you mean 'jinja'?"),
        ("{variants: [{choices: {answers: {chat: {choce: {}}}}}]}", "Did you mean 'choice'?"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_told(tmp_path: Path, choices: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{HEAD}choices: {choices}\n")
    with pytest.raises(ProfileError) as told:
        load_dialect(str(path))
    assert "mine.yaml:" in str(told.value)
    assert said in str(told.value)


def test_a_range_holds_only_the_choices_that_differ(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"{HEAD}choices: {{headers: {{a: x, b: y}}, errors: {{type: {{status: 400, type: Bad}}}}, several: false}}\n"
    )
    older = tmp_path / "older.yaml"
    older.write_text(f"{HEAD}extends: mine\nchoices: {{headers: {{b: z}}, errors: {{type: {{status: 500}}}}}}\n")
    choices = load_dialect(str(older)).dialect.choices
    assert choices is not None
    assert choices.headers == {"a": "x", "b": "z"}
    assert (choices.errors["type"].status, choices.errors["type"].type, choices.several) == (500, "Bad", False)


def test_a_range_leaves_routes_out(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"{HEAD}choices: {{routes: {{GET /a: {{body: a}}, GET /b: {{body: b}}}}}}\n")
    older = tmp_path / "older.yaml"
    older.write_text(f"{HEAD}extends: mine\nchoices: {{without_routes: [GET /b]}}\n")
    choices = load_dialect(str(older)).dialect.choices
    assert choices is not None
    assert list(choices.routes) == ["GET /a"]
    older.write_text(f"{HEAD}extends: mine\nchoices: {{without_routes: [GET /c]}}\n")
    told = r"choices\.without_routes.*: expected a route that the extended dialect has, got 'GET /c'\. .*'GET /b'\?"
    with pytest.raises(ProfileError, match=told):
        load_dialect(str(older))


def test_a_range_leaves_refusals_out_and_has_its_own_before(tmp_path: Path) -> None:
    refusals = ", ".join(f"{{name: {name}, if: {{{name}: {{is: given}}}}, error: type}}" for name in ("n", "stop"))
    (tmp_path / "mine.yaml").write_text(
        f"{HEAD}choices: {{errors: {{type: {{status: 400}}}}, refuses: [{refusals}]}}\n"
    )
    older = tmp_path / "older.yaml"
    own = "{name: seed, if: {seed: {is: given}}, error: type}"
    older.write_text(f"{HEAD}extends: mine\nchoices: {{refuses: [{own}], without_refuses: [n]}}\n")
    choices = load_dialect(str(older)).dialect.choices
    assert choices is not None
    assert [one.name for one in choices.refuses] == ["seed", "stop"]
    older.write_text(f"{HEAD}extends: mine\nchoices: {{without_refuses: [stops]}}\n")
    told = r"choices\.without_refuses.*: expected a refusal that the extended dialect has, got 'stops'\. .*'stop'\?"
    with pytest.raises(ProfileError, match=told):
        load_dialect(str(older))
