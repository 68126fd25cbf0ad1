"""Models on disk: single files, folders of SafeTensors, and what a program is told about their place."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from InferenceLibrary.errors import ModelError, ProfileError, ProgramError
from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
from InferenceLibrary.modelfiles.info import model_info
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.servers.loading import Loader, ModelLoad, places, resident_memory
from InferenceLibrary.servers.loading_chart import load_chart
from InferenceLibrary.servers.profile import load_profile


def split(whole: Path, folder: Path) -> None:
    """Write a SafeTensors file as two, as large models come."""
    raw = whole.read_bytes()
    length = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__")
    names = sorted(header, key=lambda name: header[name]["data_offsets"][0])
    for number, part in enumerate((names[:7], names[7:]), 1):
        new, data = {}, b""
        for name in part:
            begin, end = header[name]["data_offsets"]
            new[name] = {**header[name], "data_offsets": [len(data), len(data) + end - begin]}
            data += raw[8 + length + begin : 8 + length + end]
        text = json.dumps(new).encode()
        path = folder / f"model-{number:05}-of-00002.safetensors"
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_a_folder_of_shards_is_one_model(tmp_path: Path) -> None:
    made = create_tiny_safetensors(tmp_path / "one" / "model.safetensors", context_length=512)
    (tmp_path / "two").mkdir()
    split(made.path, tmp_path / "two")
    (tmp_path / "one" / "config.json").rename(tmp_path / "two" / "config.json")
    whole, shards = model_info(made.path), model_info(tmp_path / "two")
    assert (shards.tensors, shards.parameters, shards.types) == (whole.tensors, made.parameters, whole.types)
    assert (shards.architecture, shards.layers, shards.vocabulary, shards.context_length) == ("llama", 2, 259, 512)
    assert whole.architecture is None


def test_a_folder_with_one_gguf_file_is_that_file(tmp_path: Path) -> None:
    create_tiny_model(tmp_path / "m.gguf", context_length=128)
    assert model_info(tmp_path).format == "gguf"
    create_tiny_model(tmp_path / "n.gguf", context_length=128)
    with pytest.raises(ModelError, match=r"holds 2 models: got m\.gguf, n\.gguf\. Hint: name one of them"):
        model_info(tmp_path)


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    made = create_tiny_safetensors(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: its header is not JSON"):
        model_info(made.path)


def test_a_directory_named_like_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").mkdir()
    with pytest.raises(ModelError, match=r"Model file '.*m\.gguf' cannot be read: got Is a directory\."):
        model_info(tmp_path / "m.gguf")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist\. Hint: the folder '.*nowhere' does not exist either"):
        model_info(tmp_path / "nowhere" / "m.gguf")


def test_places_of_a_model(tmp_path: Path) -> None:
    assert places(tmp_path / "m.gguf") == {
        "model_file": f"{tmp_path}/m.gguf",
        "model_folder": str(tmp_path),
        "model_path": str(tmp_path),
        "model_filename": "m.gguf",
    }
    assert places(tmp_path / "model.safetensors")["model_filename"] == ""
    assert places(tmp_path)["model_folder"] == str(tmp_path)
    (tmp_path / "odd.gguf").mkdir()
    assert places(tmp_path / "odd.gguf")["model_filename"] == "odd.gguf"


def test_a_profile_gets_the_options_that_it_has(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    dry = Loader(load_profile("simulator-mistralrs"))
    assert dry.ends_by_itself
    assert dry.options(model, dry_run=True) == {
        "model_folder": str(tmp_path),
        "model_filename": "m.gguf",
        "dry_run": True,
    }
    words = dry.argv(model, dry_run=True)
    assert "--dry-run" in words
    assert words[words.index("-m") + 1] == str(tmp_path)
    real = Loader(load_profile("mistralrs"))
    assert real.options(model, dry_run=True) == {"model_file": str(model)}
    # A target whose own model is named by its folder gets each model so, and no other option of its own model.
    own = {"model_path": "/own", "model_filename": "own.gguf", "format": "gguf", "seed": 1}
    by_folder = Loader(load_profile("mistralrs"), (), own)
    assert by_folder.options(model, dry_run=True) == {
        "model_path": str(tmp_path),
        "model_filename": "m.gguf",
        "format": "gguf",
        "seed": 1,
    }
    whole = by_folder.options(tmp_path / "model.safetensors", dry_run=True)
    assert (whole["model_filename"], whole["format"]) == ("", "plain")
    server = Loader(load_profile("llama.cpp"))
    assert not server.ends_by_itself
    assert server.options(model, dry_run=True) == {"model_file": str(model)}


def test_a_command_has_its_placeholders_filled(tmp_path: Path) -> None:
    loader = Loader(None, ["run", "--model={model_file}", "{model_filename}", "{other}"])
    assert loader.argv(tmp_path / "m.gguf", dry_run=True) == ["run", f"--model={tmp_path}/m.gguf", "m.gguf", "{other}"]
    with pytest.raises(ProgramError, match="got no command"):
        Loader(None, [])
    with pytest.raises(ProfileError, match="has no 'start' section"):
        Loader(load_profile("openai"))


def test_memory_of_a_process() -> None:
    assert (resident_memory(os.getpid()) or 0) > 1_000_000
    assert resident_memory(None) is None
    assert resident_memory(2**22 - 1) is None


def test_the_chart_is_xml_and_bounded(tmp_path: Path) -> None:
    made = create_tiny_ggml(tmp_path / "a & b <long name that does not fit>.ggml")
    loads = [ModelLoad(made.path, "dry run", 0.1 * place, None if place % 2 else 10**6, 5) for place in range(100)]
    for count in (1, 2, 100):
        drawn = load_chart("A < B", loads[:count])
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
        assert drawn.count("dry run") == min(count, 40)
        assert len(drawn) < 20_000
