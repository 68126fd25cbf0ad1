"""SafeTensors files as Hugging Face keeps a model: `model.safetensors` with `config.json` and a tokenizer beside it.

Written by hand: the format is a length, a JSON text and the bytes of the tensors, and needs no package.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.plain_llama import PlainLlama, plain_llama
from InferenceLibrary.modelfiles.tiny import ModelFile

_CHAT_TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant: "


def create_tiny_safetensors(
    path: str | Path, *, seed: int = 0, context_length: int = 4096, name: str = "tiny-random"
) -> ModelFile:
    """Write a llama model of random weights as SafeTensors.

    `config.json`, `tokenizer.json` and `tokenizer_config.json` are written into the same folder and replace what is
    there under these names. The vocabulary is the 256 bytes and three marks.

    Args:
        path: The file to write, usually `<folder>/model.safetensors`; an older one is replaced.
        seed: The same seed gives the same file.
        context_length: The most tokens that the model can look back on.
        name: The model's name.

    Raises:
        ModelError: A file cannot be written.
    """
    target = Path(path)
    model = plain_llama(seed)
    with replaced(target) as part:
        part.write_bytes(to_safetensors(model, {"format": "pt", "name": name}))
    write_companions(target.parent, model, context_length)
    return ModelFile(
        target, "random", name, target.stat().st_size, model.parameters, context_length, format="safetensors"
    )


def write_companions(folder: Path, model: PlainLlama, context_length: int) -> None:
    """Write what programs read before the weights: `config.json`, `tokenizer.json` and `tokenizer_config.json`."""
    for name, content in (
        ("config.json", _config(model, context_length)),
        ("tokenizer.json", _tokenizer(model)),
        ("tokenizer_config.json", _tokenizer_config(context_length)),
    ):
        with replaced(folder / name) as part:
            part.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def to_safetensors(model: PlainLlama, metadata: dict[str, str]) -> bytes:
    """Return the bytes of a file; the header ends with spaces so that the data begins at a multiple of eight."""
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    data = []
    for tensor in model.tensors:
        values = tensor.bytes()
        header[tensor.hugging_face_name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(values)],
        }
        offset += len(values)
        data.append(values)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *data])


def _config(model: PlainLlama, context_length: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": model.embedding_length,
        "intermediate_size": model.feed_forward_length,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.heads,
        "max_position_embeddings": context_length,
        "vocab_size": len(model.vocabulary),
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    }


def _tokenizer(model: PlainLlama) -> dict[str, Any]:
    """A byte-level tokenizer without merges: each byte is a token."""
    letters = _byte_letters()
    vocabulary = {}
    for index, token in enumerate(model.vocabulary):
        vocabulary[token if isinstance(token, str) else letters[token]] = index
    special = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, token in enumerate(model.vocabulary)
        if isinstance(token, str)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }


def _tokenizer_config(context_length: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": context_length,
        "chat_template": _CHAT_TEMPLATE,
    }


def _byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each byte: itself where it shows, else one from U+0100 on."""
    shown = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters, following = [], 0x100
    for byte in range(256):
        letters.append(chr(byte if byte in shown else following))
        following += byte not in shown
    return letters
