"""What a model on disk says about itself: a file, or a folder of SafeTensors files with their `config.json`."""

from __future__ import annotations

from pathlib import Path

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.modelfiles.headers import ModelFileError, ModelInfo, read_model_info
from InferenceLibrary.modelfiles.headers.safetensors import add_config

SUFFIXES = {".gguf", ".safetensors", ".ggml", ".bin"}
"""What is named so is meant as a file, whatever it is."""


def model_info(path: str | Path) -> ModelInfo:
    """Read the header of a model file, or of all SafeTensors files of a folder.

    Raises:
        ModelError: It is not there, cannot be read, or is not a whole model file.
    """
    target = Path(path)
    if not target.exists():
        raise ModelError(describe(f"Model '{target}' does not exist", hint=_near(target)))
    files = _files(target)
    info = _read(files[0])
    for other in files[1:]:
        shard = _read(other)
        info.tensors += shard.tensors
        info.parameters += shard.parameters
        info.size += shard.size
        info.types += shard.types
        info.vocabulary = info.vocabulary or shard.vocabulary
        info.embedding_length = info.embedding_length or shard.embedding_length
        info.layers = max(info.layers or 0, shard.layers or 0) or None
    config = files[0].parent / "config.json"
    if info.format == "safetensors" and config.is_file():
        try:
            add_config(info, config.read_bytes())
        except (OSError, ModelFileError) as error:
            raise ModelError(describe(f"Model '{target}' cannot be read", got=str(error))) from None
    return info


def _files(path: Path) -> list[Path]:
    if not path.is_dir() or path.suffix in SUFFIXES:
        return [path]
    found = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.gguf"))
    if not found:
        raise ModelError(
            describe(
                f"Folder '{path}' holds no model", expected="SafeTensors or GGUF files", hint="name the file itself"
            )
        )
    if found[0].suffix == ".gguf" and len(found) > 1:
        names = ", ".join(file.name for file in found[:5])
        raise ModelError(describe(f"Folder '{path}' holds {len(found)} models", got=names, hint="name one of them"))
    return found


def _read(path: Path) -> ModelInfo:
    try:
        with path.open("rb") as file:
            return read_model_info(file)
    except OSError as error:
        raise ModelError(describe(f"Model file '{path}' cannot be read", got=error.strerror or str(error))) from None
    except ModelFileError as error:
        raise ModelError(describe(f"Model file '{path}' is not whole", got=str(error))) from None


def _near(path: Path) -> str | None:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"the folder '{path.parent}' does not exist either"
    close = difflib.get_close_matches(path.name, names, n=3)
    return f"in that folder there is {' and '.join(close)}" if close else None
