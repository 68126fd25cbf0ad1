"""The truth file: every token that was sent, in the API and in the terminal chat, also when it was cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("latency", [[], ["--inter-token-latency", "1ms"], ["--scenario", "capitals"]])
def test_the_tokens_of_an_answer_are_in_it(start_simulator, tmp_path, latency):
    file = tmp_path / "truth.jsonl"
    simulator = start_simulator("--mode", "echo", "--truth-file", str(file), *latency)
    texts = []
    for stream in (False, True):
        answer = simulator.chat('日本 one two\nthree 👩‍👩‍👧‍👦 "quoted"', stream=stream)
        texts.append(
            "".join(
                part["choices"][0]["delta"].get("content") or ""
                for part in answer.data
                if isinstance(part, dict) and part["choices"]
            )
            if stream
            else answer.json["choices"][0]["message"]["content"]
        )
    assert ["".join(record["texts"]) for record in records(file)] == texts
    assert all(len(record["texts"]) == len(record["tokens"]) > 1 for record in records(file))


def test_the_terminal_chat_writes_it_too(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "-i", "--mode", "echo", "--truth-file", str(file)]
    done = subprocess.run(command, input="日本 one two\n", capture_output=True, text=True, timeout=60, check=True)
    (record,) = records(file)
    assert record["outcome"] == "completed"
    assert "".join(record["texts"]) == "日本 one two"
    assert "".join(record["texts"]) in done.stdout
    assert record["tokens"] == sorted(record["tokens"])


def test_a_truth_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "-i", "--truth-file", str(tmp_path / "no" / "file")]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("inference-simulator: error: --truth-file: cannot write ")
