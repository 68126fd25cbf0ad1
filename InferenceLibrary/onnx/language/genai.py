"""The same model through onnxruntime-genai: another loop, to compare tokens with."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import MissingExtraError, ModelError, describe
from InferenceLibrary.onnx.language.answer_text import AnswerText
from InferenceLibrary.onnx.language.generate import GeneratedText
from InferenceLibrary.onnx.language.model import LanguageModel


def genai() -> Any:
    """Return the module onnxruntime_genai.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import onnxruntime_genai
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime-genai", "onnx-genai", "Generating by engine=genai") from error
    return onnxruntime_genai


def generate_with_genai(
    model: LanguageModel, prompt: Sequence[int], *, max_tokens: int, timeout: float = 60.0
) -> GeneratedText:
    """Generate one greedy answer by onnxruntime-genai, on the CPU.

    Args:
        model: The language model; its file is loaded once more.
        prompt: Its tokens.
        max_tokens: Most tokens of the answer.
        timeout: Seconds.

    Raises:
        ModelError: Prompt and answer do not fit, onnxruntime-genai refuses the model, or time passed.
        MissingExtraError: onnxruntime-genai is not installed.
    """
    engine = genai()
    model.check_room(len(prompt), max_tokens)
    found = GeneratedText(model.name, len(prompt))
    cancelled = False

    def compute() -> None:
        with tempfile.TemporaryDirectory(prefix="onnx-genai-") as folder:
            _write_config(model, Path(folder))
            loaded = engine.Model(folder)
            parameters = engine.GeneratorParams(loaded)
            parameters.set_search_options(max_length=len(prompt) + max_tokens, do_sample=False)
            generator = engine.Generator(loaded, parameters)
            text = AnswerText(model.tokenizer)
            started = time.perf_counter()
            generator.append_tokens(list(prompt))
            while not generator.is_done() and not cancelled:
                generator.generate_next_token()
                token = int(generator.get_next_tokens()[0])
                if token == model.tokenizer.eos:
                    found.finish_reason = "stop"
                    break
                found.tokens.append(token)
                found.times.append(time.perf_counter() - started)
                text.push(token)
            text.finish()
            found.text = text.text
            del generator, parameters, loaded

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True

    try:
        model.model.native(compute, timeout, cancel)
    except TimeoutError:
        raise ModelError(
            describe(
                f"'{model.name}' did not finish its answer by onnxruntime-genai",
                expected=f"at most {max_tokens} tokens within {timeout:g} s",
                got=f"{len(found.tokens)} tokens",
            )
        ) from None
    except RuntimeError as error:
        raise ModelError(
            describe(f"onnxruntime-genai refused '{model.name}'", got=" ".join(str(error).split()))
        ) from None
    return found


def _write_config(model: LanguageModel, folder: Path) -> None:
    sizes, file = model.sizes, model.model.path.absolute()
    try:
        (folder / "model.onnx").symlink_to(file)
    except OSError:
        shutil.copyfile(file, folder / "model.onnx")
    data = {
        "model": {
            "type": "llama",
            "bos_token_id": model.tokenizer.bos if model.tokenizer.bos is not None else model.tokenizer.eos,
            "eos_token_id": model.tokenizer.eos,
            "pad_token_id": model.tokenizer.eos,
            "context_length": sizes.context,
            "vocab_size": sizes.vocabulary,
            "decoder": {
                "session_options": {"provider_options": [], "intra_op_num_threads": os.cpu_count() or 1},
                "filename": "model.onnx",
                "head_size": sizes.head,
                "hidden_size": sizes.width,
                "num_attention_heads": sizes.heads,
                "num_key_value_heads": sizes.key_heads,
                "num_hidden_layers": sizes.layers,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "position_ids": "position_ids",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {"max_length": sizes.context, "do_sample": False, "past_present_share_buffer": False},
    }
    (folder / "genai_config.json").write_text(json.dumps(data), encoding="utf-8")
