"""Writing GGUF files, tensor by tensor, so that a large one needs little memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import MissingExtraError
from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.vocabulary import BOS, CHAT_TEMPLATE, END, UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Header:
    """What a file of the llama architecture says about its model."""

    name: str
    description: str
    context_length: int
    embedding_length: int
    feed_forward_length: int
    head_count: int
    block_count: int
    rope_freq_base: float
    rms_epsilon: float
    file_type: int
    chat_template: str = CHAT_TEMPLATE


@dataclass(frozen=True)
class Tensor:
    """One tensor; `values` is called when its turn to be written comes."""

    name: str
    shape: tuple[int, ...]
    bytes_per_value: int
    values: Callable[[], NDArray[Any]]


def require_packages() -> None:
    """Raise MissingExtraError where `gguf` or numpy is not installed."""
    for package in ("numpy", "gguf"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package, "models", "Writing a model file") from error


def write_gguf(path: Path, header: Header, vocabulary: Vocabulary, tensors: list[Tensor]) -> None:
    """Write a model of the llama architecture with its tokenizer and chat template."""
    import gguf
    import numpy as np

    with replaced(path) as part:
        writer = gguf.GGUFWriter(part, "llama")
        try:
            writer.add_name(header.name)
            writer.add_description(header.description)
            writer.add_license("Apache-2.0")
            writer.add_file_type(header.file_type)
            writer.add_vocab_size(len(vocabulary.tokens))
            writer.add_context_length(header.context_length)
            writer.add_embedding_length(header.embedding_length)
            writer.add_feed_forward_length(header.feed_forward_length)
            writer.add_head_count(header.head_count)
            writer.add_head_count_kv(header.head_count)
            writer.add_block_count(header.block_count)
            writer.add_layer_norm_rms_eps(header.rms_epsilon)
            writer.add_rope_dimension_count(header.embedding_length // header.head_count)
            writer.add_rope_freq_base(header.rope_freq_base)
            writer.add_tokenizer_model("llama")
            writer.add_tokenizer_pre("default")
            writer.add_token_list(vocabulary.tokens)
            writer.add_token_scores(vocabulary.scores)
            writer.add_token_types(vocabulary.types)
            writer.add_bos_token_id(vocabulary.ids[BOS])
            writer.add_eos_token_id(vocabulary.ids[END])
            writer.add_eot_token_id(vocabulary.ids[END])
            writer.add_unk_token_id(vocabulary.ids[UNKNOWN])
            writer.add_pad_token_id(vocabulary.ids[END])
            writer.add_add_bos_token(True)
            writer.add_add_eos_token(False)
            # Without it an answer has no space at its begin and encodes to the tokens that were said.
            writer.add_add_space_prefix(False)
            writer.add_chat_template(header.chat_template)
            for tensor in tensors:
                kind = np.dtype(np.float16 if tensor.bytes_per_value == 2 else np.float32)
                size = int(np.prod(tensor.shape)) * tensor.bytes_per_value
                writer.add_tensor_info(tensor.name, tensor.shape, kind, size)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for tensor in tensors:
                writer.write_tensor_data(tensor.values())
        finally:
            if writer.fout is not None:
                writer.close()
