"""Words of real servers that lost their memory or their engine, in logs and in answers, and what is said of them."""

# ruff: noqa: E501 - lines of logs are quoted whole

from __future__ import annotations

from collections.abc import Callable

import pytest
from wire_server import END_OF_BODY, STREAM_HEAD, WireServer, delta, piece

from InferenceLibrary.causes import find_cause, find_loss
from InferenceLibrary.client.http import Client
from InferenceLibrary.errors import StreamError

MEMORY = "memory ran out"
ENGINE = "its engine died"
LINES = {
    # PyTorch
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB": MEMORY,
    "RuntimeError: CUDA error: out of memory": MEMORY,
    "torch.AcceleratorError: CUDA error: an illegal memory access was encountered": ENGINE,
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": MEMORY,
    # vLLM
    "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.": ENGINE,
    "ERROR 11-20 10:00:00 [core_client.py:562] Engine core proc EngineCore_DP0 died unexpectedly, shutting down client.": ENGINE,
    "vllm.engine.async_llm_engine.AsyncEngineDeadError: Background loop has errored already.": ENGINE,
    # SGLang
    "[2026-11-20 10:00:00] Scheduler hit an exception: Traceback (most recent call last):": ENGINE,
    # llama.cpp
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 8192.00 MiB on device 0: cudaMalloc failed: out of memory": MEMORY,
    "alloc_tensor_range: failed to allocate CUDA0 buffer of size 8589934592": MEMORY,
    "ggml_gallocr_reserve_n: failed to allocate buffer of size 123": MEMORY,
    "/src/ggml/src/ggml.c:1234: GGML_ASSERT(n_dims <= 4) failed": ENGINE,
    # Not a loss.
    "INFO: 127.0.0.1 - POST /v1/chat/completions 200": None,
    "the model remembers; memory is plentiful": None,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_what_a_server_lost_is_known_by_its_words(line: str) -> None:
    expected = LINES[line]
    for found in (find_loss(line), find_cause(["starting", line, "bye"], "exit code 1")):
        assert (found is None) == (expected is None), found
        assert found is None or found.startswith(expected or "")


def test_memory_counts_before_the_engine_that_died_of_it() -> None:
    log = ["EngineDeadError: EngineCore encountered an issue", "torch.OutOfMemoryError: CUDA out of memory."]
    assert (find_cause(log, None) or "").startswith(MEMORY)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("CUDA out of memory.", "hello", MEMORY),
        ("EngineCore encountered an issue.", "hello", ENGINE),
        ("something else", "my memory: CUDA out of memory", None),
    ],
)
def test_an_error_in_a_stream_tells_of_a_loss_and_the_model_does_not(
    wire: Callable[..., WireServer], text: str, said: str, hint: str | None
) -> None:
    error = piece(f'data: {{"error": {{"message": "{text}", "type": "server_error"}}}}\n\n')
    server = wire([STREAM_HEAD, piece(delta(said)), error, END_OF_BODY])
    with pytest.raises(StreamError) as failure:
        Client(server.url).stream_chat([{"role": "user", "content": "Hi"}])
    assert (f"Hint: {hint}" in str(failure.value)) if hint else ("Hint:" not in str(failure.value))
