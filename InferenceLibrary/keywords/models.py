"""Keywords for model files: make small ones, whole and broken, and read their headers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.keywords.shared.assertions import check_number, check_text
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import JsonObject

if TYPE_CHECKING:
    from InferenceLibrary.modelfiles.tiny import ModelFile

Format = Literal["gguf", "safetensors", "ggml"]
Field = Literal[
    "format", "version", "architecture", "name", "layers", "heads", "kv_heads", "embedding_length",
    "feed_forward_length", "context_length", "vocabulary", "quantization", "tensors", "parameters", "size",
]  # fmt: skip
_TEXT_FIELDS = {"format", "architecture", "name", "quantization"}
_NAMES = {"gguf": "model.gguf", "safetensors": "model.safetensors", "ggml": "model.ggml"}


class ModelKeywords(KeywordGroup):
    """Model files: made, read, loaded, refused."""

    @keyword(tags=["model"])
    def create_tiny_model(
        self,
        path: Path | None = None,
        *,
        format: Format = "gguf",  # noqa: A002 - the word of the field
        kind: Literal["scripted", "capitals", "tools", "thinking", "answers", "random"] | None = None,
        sentence: str | None = None,
        answers: JsonObject | None = None,
        seed: int = 0,
        context_length: int = 4096,
        name: str | None = None,
    ) -> Any:
        """Make a small model that programs really load, without a download.

        A GGUF model is a working llama transformer with computed weights: it answers, by the sentence it is given or by
        what it knows of capitals. The other formats hold random weights; SafeTensors come with `config.json` and a
        tokenizer beside them.

        Args:
            path: The file to write. Without one, the file lies in a temporary folder and is removed when the test or
                suite ends.
            format: `gguf`, `safetensors` or `ggml`.
            kind: For GGUF: `scripted` (the default) says one sentence to everyone, `capitals` knows some capitals,
                `tools` calls `get_weather` and `get_time` besides, `thinking` thinks before it answers,
                `answers` looks for words of the question, `random` emits tokens by chance. Others are `random`.
            sentence: What `scripted` says, and `answers` where no word fits.
            answers: For `answers`: a JSON object from a word to what is said when the question has it.
            seed: For random weights: the same seed gives the same file.
            context_length: The most tokens that the model can look back on: 128 to 16384.
            name: The model's name in the file.

        Returns:
            An object with `path`, `kind`, `name`, `size` (bytes), `parameters`, `context_length` and `format`.

        Raises:
            ModelError: A value does not fit, or the file cannot be written.
            MissingExtraError: For GGUF: numpy or the `gguf` package is not installed.

        ```robotframework
        *** Test Cases ***
        A Model Of Our Own
            ${model} =    Create Tiny Model    kind=scripted    sentence=Good morning.
            Get Model Info    ${model}    architecture    ==    llama
        ```
        """
        from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
        from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
        from InferenceLibrary.modelfiles.tiny import create_tiny_model

        if format != "gguf" and (kind not in {None, "random"} or sentence is not None or answers is not None):
            raise ModelError(
                describe(
                    f"Tiny model in the format {format} cannot be made",
                    expected="kind=random, without sentence and answers",
                    got=f"kind={kind}",
                    hint="format=gguf can say what you like",
                )
            )
        target = self._model_place(path, _NAMES[format])
        if format == "gguf":
            told: dict[str, Any] = {} if sentence is None else {"sentence": sentence}
            made = create_tiny_model(
                target, kind or "scripted", answers=answers, seed=seed, context_length=context_length, name=name, **told
            )
        elif format == "safetensors":
            made = create_tiny_safetensors(target, seed=seed, context_length=context_length, name=name or "tiny-random")
        else:
            made = create_tiny_ggml(target, seed=seed, name=name or "tiny-random")
        self.log.info(f"Made {made}.")
        return made

    @keyword(tags=["model"])
    def create_broken_model(
        self,
        path: Path | None = None,
        *,
        kind: str = "truncated",
        format: Format = "gguf",  # noqa: A002 - the word of the field
    ) -> Any:
        """Make a model file that no program may load.

        SafeTensors and GGML get a sound `config.json` and tokenizer into their folder, which programs read first.

        Args:
            path: The file to write. Without one, the file lies in a temporary folder and is removed when the test or
                suite ends. It is named after its kind, SafeTensors `model.safetensors`, as programs look for them.
            kind: `truncated` (the last third is missing), `truncated-header`, `bad-magic`, `wrong-version` (not for
                SafeTensors, which have none), `huge-count` (more tensors, tokens or header than can be), `huge-size`
                (a tensor of 2^40 rows), `empty`, `garbage`, `html-page` (what a failed download leaves),
                `lfs-pointer` (what a clone without Git LFS leaves), `directory` in place of a file, `unreadable` (no
                right to read; the superuser reads it all the same, so it cannot be made as one).
            format: `gguf`, `safetensors` or `ggml`.

        Returns:
            An object as from [Create Tiny Model], without parameters.

        Raises:
            ModelError: The kind is unknown, or the file cannot be made.

        ```robotframework
        *** Test Cases ***
        A Broken Download Is Noticed
            ${model} =    Create Broken Model    kind=truncated
            Run Keyword And Expect Error    *is cut off*    Get Model Info    ${model}
        ```
        """
        from InferenceLibrary.modelfiles.broken import create_broken_model

        name = "model.safetensors" if format == "safetensors" else f"{kind}.{format}"
        made = create_broken_model(self._model_place(path, name), kind, format)
        self.log.info(f"Made {made}.")
        return made

    @keyword(tags=["model", "getter"])
    def get_model_info(
        self,
        model: Any,
        field: Field | None = None,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Read the header of a model: all of it, or one field with an assertion.

        GGUF, SafeTensors and GGML files are told apart by their bytes and read strictly: what is cut off or contradicts
        itself is an error. Weights are not read, so this is quick for files of any size. For SafeTensors, a
        `config.json` beside the file is read too, and a folder of several files counts as one model.

        Args:
            model: A path, or what [Create Tiny Model] returned.
            field: One of `format`, `version`, `architecture`, `name`, `layers`, `heads`, `kv_heads`,
                `embedding_length`, `feed_forward_length`, `context_length`, `vocabulary`, `quantization`, `tensors`,
                `parameters`, `size` (bytes).
            assertion_operator: An inline assertion about the field, such as `==` or `>=`.
            assertion_expected: Its other side.
            message: Replaces the text of the failure.

        Returns:
            An object with all these fields and `metadata` (a dictionary); with a field, its value. What the file does
            not say is None.

        Raises:
            ModelError: The file does not exist, or it is not a whole model.
            CheckFailure: The assertion does not hold, or the file does not say what it is about.

        ```robotframework
        *** Test Cases ***
        The Right Model Is There
            ${model} =    Create Tiny Model    kind=capitals
            Get Model Info    ${model}    layers    ==    2
            Get Model Info    ${model}    quantization    ==    F32
            ${info} =    Get Model Info    ${model}
            Should Be Equal    ${info.metadata}[general.name]    tiny-capitals
        ```
        """
        from InferenceLibrary.modelfiles.info import model_info

        path = path_of(model)
        info = model_info(path)
        self.log.info(f"{path}: {info}")
        if field is None:
            if assertion_operator is not None:
                raise ModelError(describe("An assertion about a model needs a field", got="none"))
            return info
        value = getattr(info, field)
        if assertion_operator is None:
            return value
        name = f"{field.replace('_', ' ')} of {path.name}"
        if value is None:
            raise CheckFailure(
                message
                or describe(f"The {name} is not known", expected=str(assertion_expected), got="a file without it")
            )
        if field in _TEXT_FIELDS:
            return check_text(value, assertion_operator, assertion_expected, f"{name[:1].upper()}{name[1:]}:", message)
        return check_number(
            value, assertion_operator, assertion_expected, name, "B" if field == "size" else "", message
        )

    def _model_place(self, path: Path | None, name: str) -> Path:
        if path is not None:
            return path
        folder = _TemporaryModel(name)
        self.context.model_files.add(folder)
        return folder.path


class _TemporaryModel:
    """A folder with one model file, which goes when its owner ends."""

    def __init__(self, name: str) -> None:
        import tempfile

        self._folder = tempfile.TemporaryDirectory(prefix="inference-model-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / name

    @property
    def name(self) -> str:
        return str(self.path)

    def close(self) -> None:
        self._folder.cleanup()


def path_of(model: str | Path | ModelFile | Any) -> Path:
    """Return the path of a model that is given as text, path or what made it."""
    found = getattr(model, "path", model)
    if not isinstance(found, str | Path) or not str(found).strip():
        raise ModelError(
            describe("The model is not clear", expected="a path, or what Create Tiny Model returned", got=repr(model))
        )
    return Path(found).expanduser()
