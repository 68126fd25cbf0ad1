"""Loading a model: the file is found and its header is truly read; weights are not."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from InferenceLibrary.modelfiles.headers import ModelFileError, ModelInfo, read_model_info
from InferenceLibrary.modelfiles.headers.safetensors import add_config
from InferenceLibrary.simulator.personalities.mistralrs_log import log

GGUF_ARCHITECTURES = {
    *("llama", "mistral", "mistral3", "phi2", "phi3", "starcoder2", "qwen", "qwen2", "qwen3", "qwen3moe"),
}
PLAIN_ARCHITECTURES = {
    *("llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "phimoe", "qwen2", "qwen3"),
    *("qwen3_moe", "starcoder2", "deepseek_v2", "deepseek_v3", "smollm3", "glm4", "granitemoehybrid", "gpt_oss"),
}
_SEPARATORS = {" ", ";"}


class LoadError(Exception):
    """The model cannot be loaded; the text is one line."""


@dataclass(slots=True)
class ModelSource:
    """What the command line says about the model.

    Attributes:
        model_id: A local folder; mistral.rs takes the name of a repository too.
        files: Names of files in it, separated by spaces or semicolons; empty for SafeTensors.
        form: `gguf`, `ggml`, `plain`, or empty to find out.
        category: `text` or `multimodal`.
        name: What to call the model in place of its id.
        is_new: Whether `mistralrs` 0.9.2 is to load it, and tells in its words what is wrong.
    """

    model_id: str
    files: str = ""
    form: str = ""
    category: str = "text"
    name: str = ""
    is_new: bool = False


@dataclass(slots=True)
class LoadedModel:
    """A model whose header was read."""

    source: ModelSource
    info: ModelInfo
    paths: list[Path] = field(default_factory=list)

    @property
    def model_id(self) -> str:
        return self.source.model_id


def load_model(source: ModelSource) -> LoadedModel:
    """Find and read the files of a model, and log what mistral.rs logs.

    Raises:
        LoadError: They are not there, or broken, or of an architecture that mistral.rs does not know.
    """
    folder = Path(source.model_id)
    if source.is_new:
        _check_as_0_9_2(source, folder)
    if not folder.exists():
        raise LoadError(
            f"Model `{source.model_id}` is not a local path, and this stand-in downloads nothing: "
            "No such file or directory (os error 2)"
        )
    if source.form == "plain" or not source.files:
        paths = [folder] if folder.is_file() else _plain_files(folder)
        form = "" if folder.is_file() else "safetensors"
    else:
        paths = [folder / name for name in _names(source.files)]
        form = {"plain": "safetensors"}.get(source.form, source.form)
    infos = [_read(path, form, is_new=source.is_new) for path in paths]
    info = infos[0]
    for other in infos[1:]:
        info.tensors += other.tensors
        info.parameters += other.parameters
    if info.format == "safetensors":
        _add_config(info, paths[0].parent)
    _check_architecture(info, paths[0])
    _tell(source, info, paths)
    return LoadedModel(source, info, paths)


def _names(text: str) -> list[str]:
    for separator in _SEPARATORS:
        text = text.replace(separator, "\n")
    return [name for name in text.split("\n") if name]


def _plain_files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.gguf"))
    if not found:
        raise LoadError(f"No `.safetensors` file in `{folder}`, and no `.gguf` file either")
    return found


def _check_as_0_9_2(source: ModelSource, folder: Path) -> None:
    """Refuse a model that is not there; what is wrong with one that is there is told when it is read."""
    for name in _names(source.files):
        if not (folder / name).exists():
            raise LoadError(f"File `{name}` was not found in local model directory `{folder}`.")
    if not source.files and not (folder / "config.json").exists() and not folder.is_file():
        raise LoadError("Auto loader could not determine model type: missing 'config.json' and no model files")


def _magic_problem(path: Path) -> str:
    """Return what is wrong with the first bytes of what must be GGUF; empty: nothing."""
    with path.open("rb") as file:
        magic = file.read(4)
    if len(magic) < 4:
        return f'path: "{path}" GGUF file is shorter than its magic'
    return "" if magic == b"GGUF" else f'path: "{path}" invalid GGUF magic {list(magic)}'


def _read(path: Path, form: str, *, is_new: bool = False) -> ModelInfo:
    try:
        if is_new and path.suffix == ".gguf" and (problem := _magic_problem(path)):
            raise LoadError(problem)
        with path.open("rb") as file:
            return read_model_info(file, form or None)
    except OSError as error:
        raise LoadError(f"Failed to open `{path}`: {_os_error(error)}") from None
    except ModelFileError as error:
        raise LoadError(f"Failed to load model from `{path}`: {error}") from None


def _os_error(error: OSError) -> str:
    return f"{error.strerror} (os error {error.errno})"


def _add_config(info: ModelInfo, folder: Path) -> None:
    path = folder / "config.json"
    try:
        add_config(info, path.read_bytes())
    except OSError as error:
        raise LoadError(f"Failed to open `{path}`: {_os_error(error)}") from None
    except ModelFileError as error:
        raise LoadError(f"Failed to load model from `{folder}`: {error}") from None


def _check_architecture(info: ModelInfo, path: Path) -> None:
    known = PLAIN_ARCHITECTURES if info.format == "safetensors" else GGUF_ARCHITECTURES
    if info.architecture not in known:
        raise LoadError(f"Failed to load model from `{path}`: Unknown {info.format} architecture `{info.architecture}`")


def _tell(source: ModelSource, info: ModelInfo, paths: list[Path]) -> None:
    kinds = {"safetensors": "normal (no adapters)"}
    kind = kinds.get(info.format, f"{info.format} quantized from {info.format} (no adapters)")
    pipeline = f"mistralrs_core::pipeline::{'normal' if info.format == 'safetensors' else info.format}"
    if not source.is_new:
        log("avx: false, neon: false, simd128: false, f16c: false", "mistralrs_core")
        log("Sampling method: penalties -> temperature -> topk -> topp -> minp -> multinomial")
        log(f"Model kind is: {kind}")
    for path in paths:
        log(f"Loading `{path.name}` locally at `{os.fspath(path)}`", pipeline)
    log(f"Loading model `{source.model_id}` on cpu.", pipeline)
    lines = [f"general.architecture: {info.architecture}"]
    if info.name:
        lines.append(f"general.name: {info.name}")
    for name, value in (
        ("block_count", info.layers),
        ("attention.head_count", info.heads),
        ("embedding_length", info.embedding_length),
        ("context_length", info.context_length),
        ("vocab_size", info.vocabulary),
    ):
        if value is not None:
            lines.append(f"{info.architecture}.{name}: {value}")
    lines.append(f"quantization: {info.quantization}")
    log("Model config:\n" + "\n".join(lines), pipeline)
