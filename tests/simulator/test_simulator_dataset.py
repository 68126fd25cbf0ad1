"""Answers from a data set."""

from __future__ import annotations

import hashlib
import json
import sqlite3

import pytest


def make_database(path, table="llmd"):
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table} (prompt_hash BLOB, gen_tokens JSON)")
    digest = hashlib.sha256(b"hello?").digest()
    connection.execute(f"INSERT INTO {table} VALUES (?, ?)", (digest, json.dumps(["Hel", "lo", "!"])))
    connection.commit()
    connection.close()


def test_sqlite(start_simulator, tmp_path):
    make_database(tmp_path / "d.sqlite", "mine")
    simulator = start_simulator(
        "--dataset-path", str(tmp_path / "d.sqlite"), "--dataset-table-name", "mine", "--mode", "echo"
    )
    data = simulator.chat("hello?", stream=True).data
    assert [chunk["choices"][0]["delta"].get("content") for chunk in data[1:4]] == ["Hel", "lo", "!"]
    assert simulator.complete("hello?").json["usage"]["completion_tokens"] == 3
    assert simulator.complete("other").json["choices"][0]["text"] == "other"


def test_yaml(start_simulator, tmp_path):
    (tmp_path / "d.yaml").write_text("What is it?: It is a test.\n")
    simulator = start_simulator("--dataset-path", str(tmp_path / "d.yaml"))
    assert simulator.chat("What is it?").json["choices"][0]["message"]["content"] == "It is a test."


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("none.yaml", None, "there is no file"),
        ("a.yaml", "- 1", "questions and answers"),
        ("a.yaml", "a: [", "is not YAML"),
        ("a.sqlite", "no database", "cannot read table 'llmd'"),
    ],
)
def test_wrong_data_sets(run_cli, tmp_path, name, content, part):
    if content is not None:
        (tmp_path / name).write_text(content)
    done = run_cli("--dataset-path", str(tmp_path / name))
    assert done.returncode == 2
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1
