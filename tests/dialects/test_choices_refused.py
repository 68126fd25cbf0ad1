"""What choices of dialects may not hold: each is told when the file is read, in one line, and breaks no answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from likeness import served

import InferenceLibrary.simulator.personalities.likeness as stand_in
from InferenceLibrary.dialects.choice_names import COUNTED, NATIVE
from InferenceLibrary.dialects.choices import OpenChoices, PromptChoices
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.options import OptionError
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.personalities.likeness.counting import counted
from InferenceLibrary.simulator.personalities.likeness.flags import settings_of
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal
from InferenceLibrary.simulator.personalities.likeness.server import LikenessBase

HEAD = "name: mine\ntitle: Mine\nversion: '2.1'\nchoices:\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(HEAD + "".join(f"  {line}\n" for line in text.splitlines()))
        return str(path)

    return write


def refused(path: str) -> str:
    with pytest.raises(ProfileError) as told:
        load_dialect(path)
    said = str(told.value)
    assert "\n" not in said
    assert len(said) < len(path) + 400
    return said.replace(path, "FILE")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes: {GET /x: {body: 2024-01-01}}", "routes.GET /x.body': expected a value of JSON, got the date 2024-01"),
        ("routes: {GET /x: {body: {a: !!set {b, c}}}}", "routes.GET /x.body.a': expected a value of JSON, got the set"),
        ("routes: {GET /x: {body: !!binary aGk=}}", "got the bytes b'hi' of YAML. Hint: put it in quotes"),
        ("routes: {GET /x: {body: {a: [1, .nan]}}}", "body.a[1]': expected a value of JSON, got the number nan"),
        ("routes: {GET /x: {body: {a: .inf}}}", "got the number inf"),
        ("routes: {GET /x: {body: {1: a}}}", "routes.GET /x.body': expected keys that are texts, got 1. Hint: put it"),
        ('routes: {GET /x: {body: ["\\ud800"]}}', "expected whole characters, got half of a surrogate pair"),
        ('routes: {GET /x: {body: ["$fingerprint|\\"\\\\ud800\\""]}}', "expected JSON after the '|'"),
        (f"routes: {{GET /x: {{body: [0x{'f' * 5000}]}}}}", "expected a number of at most 10,000 bits, got one of 20"),
        ("routes: {GET /x: {body: {a: $fingerprint|none}}}", "expected JSON after the '|', such as null or \"none\""),
        ("routes: {GET /x: {body: {a: $fingerprint|NaN}}}", "expected JSON after the '|'"),
        ("shapes: {default: {body: {at: 2024-01-01}}}", "shapes.default.body.at': expected a value of JSON, got the"),
        ("errors: {model: {status: 404, param: .nan}}", "errors.model.param': expected a value of JSON"),
        ("errors: {model: {status: 404, type: $nope}}", "errors.model.type': 'nope' is not a name of templates"),
        ("answers: {chat: {answer: {at: 2024-01-01}}}", "answers.chat.answer.at': expected a value of JSON"),
        ("answers: {chat: {chunk: a}}", "answers.chat.chunk': expected keys and values, got 'a'"),
        ("answers: {completions: {piece: [1]}}", "answers.completions.piece': expected keys and values, got '[1]'"),
        ("tools: {content: 2024-01-01}", "tools.content': expected a value of JSON"),
        ("tools: {required_content: $nope}", "tools.required_content': 'nope' is not a name of templates"),
        ("variants: [{when: {}, choices: {tools: {content: .inf}}}]", "variants[0].choices.tools.content': expected"),
        # HTTP
        ("routes: {GET /x: {status: 100}}", "routes.GET /x.status': expected a status of HTTP, 200 to 599, got 100"),
        ("routes: {GET /x: {status: 600}}", "expected a status of HTTP, 200 to 599, got 600"),
        ("routes: {GET /x: {status: 204, body: {}}}", "a status whose answers have a body: those of 204 have none"),
        ("errors: {model: {status: 99}}", "errors.model.status': expected a status of HTTP, 200 to 599, got 99"),
        ("errors: {model: {status: 304}}", "errors.model.status': expected a status whose answers have a body"),
        ("options: {status: 1000}", "options.status': expected a status of HTTP"),
        ("redirects: {'*': {status: 199}}", "redirects.*.status': expected a status of HTTP"),
        ("headers: {'a b': c}", "headers': expected the name of a header, letters, digits and hyphens, got 'a b'"),
        ("headers: {Content-Length: '5'}", "headers': the header Content-Length cannot be given: the stand-in sends"),
        ("stream_headers: {transfer-encoding: chunked}", "the header transfer-encoding cannot be given"),
        ('routes: {GET /x: {headers: {a: "b\\nc: d"}}}', "routes.GET /x.headers.a': expected one line of Latin-1 text"),
        ('errors: {model: {status: 404, headers: {a: "\\0"}}}', "errors.model.headers.a': expected one line of"),
        ("api_headers: {chat: {a: €}}", "api_headers.chat.a': expected one line of Latin-1 text, got '€'"),
        ('json_type: "a\\nb"', "json_type': expected one line of Latin-1 text"),
        ('shapes: {default: {body: {}, content_type: "a\\r"}}', "shapes.default.content_type': expected one line"),
        # Patterns
        ("key: {guarded: '('}", "key.guarded': not a regular expression: missing )"),
        ("key: {bearer: '('}", "key.bearer': not a regular expression"),
        ("key: {bearer: 'Bearer .*'}", "key.bearer': expected a group for the key, such as 'Bearer (.*)', got none"),
        ("body: {content_types: '*'}", "body.content_types': not a regular expression: nothing to repeat"),
        ("body: {content_types: 'a{99999999999999}'}", "body.content_types': not a regular expression"),
        ("refuses: [{if: {model: {finds: '['}}, error: model}]", "refuses[0].if.model.finds': not a regular"),
        (
            "refuses: [{if: {tools: {has: {name: {finds: '('}}}}, error: model}]",
            "refuses[0].if.tools.has.name.finds': not a regular expression",
        ),
        # What the stand-in has
        ("native: native_vlm", "native': 'native_vlm' is not a module of the stand-in. Did you mean 'native_vllm'?"),
        # Names
        ("routes: {GET /x: {headers: {a: $nope}}}", "routes.GET /x.headers.a': 'nope' is not a name of templates"),
        ("headers: {a: '${nope}'}", "headers.a': 'nope' is not a name of templates"),
        ("headers: {a: '$origin|x'}", "headers.a': expected JSON after the '|'"),
        ("metrics: [{name: a b}]", "metrics[0].name': expected letters, digits, '_' and ':', got 'a b'"),
        ('metrics: [{name: "a\\nb"}]', "got 'a\\nb'"),
        ('metrics: [{name: a, samples: ["a{b=\\"\\n\\"}"]}]', "metrics[0].samples[0]': expected name{label=\"value\"}"),
        ("metrics: [{name: a, samples: ['a{b=\"${nope}\"}']}]", "metrics[0].samples[0]': 'nope' is not a name of"),
        ("metrics: [{name: a, when: {b: true}}]", "metrics[0]': 'b' is not a flag"),
        ("ids: {nope: x}", "ids.nope': 'nope' is not what has an id of its own"),
        ("ids: {chat: $nope}", "ids.chat': 'nope' is not a name of templates"),
        ("root_flag: root", "root_flag': 'root' is not a flag"),
        ("streams_by_default: [chatt]", "streams_by_default': 'chatt' is not an API. Did you mean 'chat'?"),
        ("api_stream_headers: {chatt: {}}", "api_stream_headers.chatt': 'chatt' is not an API"),
        ("unknown_fields: tpye", "unknown_fields': 'tpye' is not an error. Did you mean 'type'?"),
        ("options: {error: no rout}", "options': 'no rout' is not an error. Did you mean 'no route'?"),
        ("redirects: {GTE: {}}", "redirects.GTE': 'GTE' is not a method, '*' or '//'. Did you mean 'GET'?"),
        ("redirects: {'*': {otherwise: no rout}}", "redirects.*': 'no rout' is not an error"),
        ("errors: {wrong kye: {status: 401}}", "errors.wrong kye': 'wrong kye' is not an error that anything uses. "),
        ("refuses: [{if: {$promt_tokens: {above: 1}}, error: model}]", "Did you mean '$prompt_tokens'?"),
        ("routes: {FOO /x: {body: {}}}", "'FOO' is not a method: expected one of GET, HEAD, POST"),
        # Numbers
        ("fields: {chat: {a: {kind: number, to: .inf}}}", "fields.chat.a.to': expected a finite number, got inf"),
        ("fields: {chat: {a: {above: .nan}}}", "fields.chat.a.above': expected a finite number, got nan"),
        ("tools: {characters: 0}", "tools.characters': expected a number above 0, got 0"),
        ("tools: {characters: .inf}", "tools.characters': expected a number above 0, got inf"),
        ("tools: {piece: 0}", "tools.piece': expected at least 1, got 0"),
        ("prompt: {message: -1}", "prompt.message': expected at least 0, got -1"),
        # Forms
        *[
            (f"fields: {{chat: {{a: {{form: {form!r}}}}}}}", "fields.chat.a.form': expected")
            for form in (
                "str()", "lambda: 1", "str.upper", "5", "dict[str, int]", "str[int]", "Literal[str]", "Literal[5]",
                "Literal[()]", "list[str, str]", "str & int", "(" * 300 + "str" + ")" * 300, "a" * 2000, "-str",
                "'str'", "list[str, 1, 2]", " | ".join(["str"] * 400),
            )
        ],
        ("fields: {chat: {a: {form: Literal}}}", "expected names, list[...], list[..., 4], Literal['a', 'b'], and |"),
        (f"fields: {{chat: {{a: {{form: {'a' * 900}}}}}}}", f"'{'a' * 77}...' is not a form or a model."),
    ],
)  # fmt: skip
def test_wrong_choices_are_told(write: Callable[[str], str], text: str, said: str) -> None:
    assert said in refused(write(text))


@pytest.mark.parametrize(
    "text",
    [
        "routes: {GET /x: {body: 'null'}, HEAD /y: {status: 204}, GET /z: {body: $version}}",
        "routes: {GET /x: {body: Hello, content_type: text/plain, headers: {Allow: $allow, a: '$origin|\"\"'}}}",
        "errors: {no such thing: {status: 404}, '500': {status: 200}, chat model: {status: 400}}",
        "metrics: [{name: 'a:b', samples: ['a:b{c=\"é ${served}\"}', 'a:b_sum']}]",
        "models: {A: {fields: {'b?': 'A | None'}}}\nfields: {chat: {a: {form: \"list[A | Literal['b'], 3] | dict\"}}}",
        "refuses: [{if: {$always: {is: 'true'}}, error: mine}]\nerrors: {mine: {status: 400}}",
    ],
)
def test_right_choices_are_taken(write: Callable[[str], str], text: str) -> None:
    assert load_dialect(write(text)).dialect.choices is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *[
            (f"flags: {{{name!r}: {{}}}}", "expected letters, digits and hyphens, a letter first, got")
            for name in ("", "1x", "__post_init__", "-")
        ],
        ("flags: {names: {}}", "key choices.flags.names: a flag cannot be called 'names', the stand-in uses that name"),
        *[(f"flags: {{{name}: {{}}}}", f"a flag cannot be called '{name}'") for name in ("check", "class", "as")],
        ("flags: {a-b: {}, a_b: {}}", "key choices.flags.a_b: expected another name, 'a-b' is the same flag"),
        ("flags: {a: {sets: max-modle-len}}", "has no setting 'max-modle-len'; did you mean 'max_model_len'?"),
        ("flags: {a: {sets: max-model-len}}", "it is of kind str and sets max-model-len, which is of kind int"),
        ("flags: {a: {sets: personality}}", "a flag of a dialect cannot set personality"),
        ("flags: {a: {kind: list, sets: model}}", "it is of kind list and sets model, which is of kind str"),
        ("flags: {a: {kind: int, default: b, sets: port}}", "expected a whole number, got 'b'"),
        ("flags: {a: {kind: int, default: 70000, sets: port}}", "70000 is above 65535"),
        ("flags: {a: {default: c, sets: mode}}", "expected one of 'random', 'echo', 'onnx', got 'c'"),
        ("flags: {a: {kind: bool, default: 1}}", "expected true or false, got '1'"),
        ("settings: {max_model_len: abc}", "key choices.settings.max_model_len: expected a whole number, got 'abc'"),
        ("settings: {max_model_len: 0}", "key choices.settings.max_model_len: 0 is below 1"),
        ("settings: {time_to_first_token: 5}", "settings.time_to_first_token: '5' has no unit; write '5ms'"),
        ("settings: {time_to_first_token: [a]}", "expected a duration such as 200ms, got"),
        ("settings: {time_factor_under_load: .nan}", "expected a number, got 'nan'"),
        (f"settings: {{time_factor_under_load: 0x{'f' * 400}}}", "expected a number, got"),
        ("settings: {seed: true}", "key choices.settings.seed: expected a whole number, got 'True'"),
        ("settings: {enforce-eager: 1}", "expected true or false, got '1'"),
        ("settings: {model: [a]}", "expected a text, got"),
        ("settings: {mode: fast}", "expected one of 'random', 'echo', 'onnx', got 'fast'"),
        ("settings: {max-model-len: 5, max_model_len: 6}", "settings.max_model_len: the setting is given twice"),
        ("settings: {personality: vllm}", "settings.personality: a dialect cannot set it"),
        ("settings: {port: 70000}", "key choices.settings.port: 70000 is above 65535"),
    ],
)
def test_wrong_flags_and_settings_are_told(write: Callable[[str], str], text: str, said: str) -> None:
    with pytest.raises(OptionError) as told:
        settings_of(write(text))
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_settings_have_the_kind_of_the_command_line(write: Callable[[str], str]) -> None:
    made = settings_of(write("settings: {time-to-first-token: 200ms, served-model-name: a, model: 5}"))()
    assert (made.time_to_first_token, made.served_model_name, made.model) == (0.2, ["a"], "5")


def test_the_modules_of_the_stand_in_are_known() -> None:
    folder = Path(cast("str", stand_in.__file__)).parent
    assert sorted(path.stem for path in folder.glob("native_*.py")) == sorted(NATIVE)


def test_what_is_counted_is_known() -> None:
    named = {"tool_choice": {"function": {"name": "f"}}, "messages": []}
    assert sorted(counted("chat", named, Settings(), PromptChoices())) == sorted(COUNTED)


class Failing(LikenessBase):
    """A server whose errors cannot be told."""

    def __init__(self, mistake: Exception | None) -> None:
        self.choices = OpenChoices()
        self.mistake = mistake

    def _told(self, error: ApiError, path: str) -> Any:
        from InferenceLibrary.simulator.core.draft import Draft

        if self.mistake is not None:
            raise self.mistake
        return Draft(body={"a": {1, 2}})


@pytest.mark.parametrize("mistake", [KeyError("a"), RecursionError(), None])
def test_an_error_that_cannot_be_told_is_a_plain_one(
    capsys: pytest.CaptureFixture[str], mistake: Exception | None
) -> None:
    draft = Failing(mistake).error(ApiError(500, "so"))
    assert (draft.status, draft.body) == (
        500,
        {"error": {"message": "The simulator made a mistake; its stderr says more"}},
    )
    assert "Traceback" in capsys.readouterr().err


def test_a_request_that_is_nested_too_deeply_is_told_by_others() -> None:
    with pytest.raises(RecursionError):
        Failing(RecursionError()).error(Refusal("model", "so"))


ANSWERS = """routes:
  GET /text: {body: Hello}
  GET /name: {body: $path}
  GET /json: {body: '{"a": 1}'}
  GET /plain: {body: Hello, content_type: text/plain}
  POST /v1/chat/completions: {does: chat}
key: {bearer: '(?:Bearer (.*))?'}
shapes: {default: {body: [{message: $message_of_error}]}}
errors: {mine: {status: 400}}
refuses: [{if: {$always: {is: 'true'}}, error: mine, streamed: true}]
"""


def test_a_text_is_sent_as_json_where_it_is_called_nothing_else(write: Callable[[str], str]) -> None:
    found = {}
    with served(("--as", write(ANSWERS), "--api-key", "K"), {}) as port:

        def ask(method: str, path: str, body: Any = None, key: str = "Bearer K") -> tuple[int, str]:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
            given = {"content-type": "application/json", "authorization": key}
            line.request(method, path, json.dumps(body) if body else None, given)
            answer = line.getresponse()
            text = answer.read().decode()
            line.close()
            return answer.status, text

        for name in ("text", "name", "json", "plain"):
            found[name] = ask("GET", f"/{name}")[1]
        assert found == {"text": '"Hello"', "name": '"/name"', "json": '{"a": 1}', "plain": "Hello"}
        assert ask("GET", "/text", key="")[0] >= 400
        chat = {"messages": [{"role": "user", "content": "a"}], "stream": True}
        status, text = ask("POST", "/v1/chat/completions", chat)
    assert (status, text[:19]) == (200, 'data: [{"message":"')


@pytest.mark.parametrize("place", ["options: {does: chatt}", "redirects: {'*': {does: chatt}}"])
def test_no_answer_does_what_nobody_can(write: Callable[[str], str], place: str) -> None:
    with pytest.raises(ValueError, match="cannot do 'chatt'; did you mean 'chat'"), served(["--as", write(place)], {}):
        pass
