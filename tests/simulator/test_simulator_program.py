"""The simulator as a program: arguments, start, signals, end."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.core.addresses import is_loopback


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--bogus"], "--bogus"),
        (["--prot", "1"], "did you mean --port?"),
        (["serve"], "'serve'"),
        (["--port"], "--port: needs a value"),
        (["--port", "x"], "--port: 'x' is not a whole number"),
        (["--port", "70000"], "--port: 70000 is above 65535"),
        (["--mode", "loud"], "--mode: 'loud'"),
        (["--time-to-first-token", "200"], "write '200ms'"),
        (["--time-to-first-token", "2parsecs"], "'2parsecs' is not a duration"),
        (["--inter-token-latency", "10ms", "--inter-token-latency-std-dev", "5ms"], "at most 30 %"),
        (["--failure-injection-rate", "101"], "above 100"),
        (["--scenario", "nowhere.yaml"], "--scenario: there is no file 'nowhere.yaml'"),
        (["--fault", "staus"], "did you mean 'status'?"),
        (["--fault", "status:cod=3"], "no parameter 'cod'"),
        (["--fault", "status:code=x"], "'x' is not a whole number"),
        (["--as", "nobody"], "--as: 'nobody'"),
        (["--config", "/nowhere.yaml"], "cannot read '/nowhere.yaml'"),
        (["--time-factor-under-load", "nan"], "not a finite number"),
        (["--log-http=perhaps"], "neither true nor false"),
    ],
)
def test_wrong_arguments_are_named_on_one_line(run_cli, arguments, part):
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_version_and_help(run_cli):
    assert run_cli("--version").stdout.startswith("inference-simulator 0.")
    text = run_cli("--help").stdout
    assert "--time-to-first-token DURATION" in text
    assert "--list-faults" in text
    assert "--as PERSONALITY  the system to stand in for" in text
    assert "--port PORT  " in text
    assert " STR" not in text


def test_an_unknown_personality_is_told_all_names(run_cli):
    error = run_cli("--as", "nobody", "--flag-of-nobody", "1").stderr
    assert "gateway, router, mistralrs, mistralrs-server, mistralrs-bench, nor is it a dialect." in error


def test_config_file_is_overruled_by_environment_and_command_line(start_simulator, tmp_path):
    file = tmp_path / "sim.yaml"
    file.write_text("model: from-file\nmax-model-len: 77\nserved-model-name: [a, b]\ntime-to-first-token: 1ms\n")
    simulator = start_simulator("--config", str(file), "--max-model-len", "88", env={"SIM_MODEL": "from-environment"})
    models = simulator.request("GET", "/v1/models").json["data"]
    assert [(model["id"], model["root"], model["max_model_len"]) for model in models] == [
        ("a", "from-environment", 88),
        ("b", "from-environment", 88),
    ]


def test_unknown_key_in_config_file_is_refused_with_its_line(run_cli, tmp_path):
    file = tmp_path / "sim.yaml"
    file.write_text("model: a\nmodell: b\n")
    done = run_cli("--config", str(file))
    assert done.returncode == 2
    assert f"{file}:2: unknown key 'modell'; did you mean --model?" in done.stderr


def test_list_flag_takes_words_up_to_the_next_flag(start_simulator):
    simulator = start_simulator("--served-model-name", "a", "b", "--model", "c", "--served-model-name", "d")
    assert [model["id"] for model in simulator.request("GET", "/v1/models").json["data"]] == ["a", "b", "d"]


def test_switches_are_turned_off_and_images_asked_for_as_upstream_does(start_simulator):
    words = ["--enforce-eager", "--no-enforce-eager", "--no-omni", "--enable-kvcache", "false", "--log-http", "true"]
    simulator = start_simulator(*words, "--image-emission-rate", "10", "--time-to-generate-image", "1s")
    shown = simulator.request("GET", "/admin/config").json
    names = ("enforce-eager", "omni", "enable-kvcache", "log-http", "image-emission-rate")
    assert [shown[name] for name in names] == [False, False, False, True, 10]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--no-port"], "unknown flag: --no-port"),
        (["--no-omni=false"], "unknown flag: --no-omni"),
        (["--enable-kvcache", "perhaps"], "unexpected argument 'perhaps'"),
    ],
)
def test_what_is_no_switch_is_not_turned_off(run_cli, words, said):
    done = run_cli(*words)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_legacy_durations(start_simulator):
    simulator = start_simulator("--time-to-first-token", "150", "--legacy-durations")
    begin = monotonic()
    assert simulator.chat().status == 200
    assert monotonic() - begin >= 0.15


def test_announces_its_port_once_it_accepts(start_simulator):
    simulator = start_simulator()
    assert simulator.lines == [f"listening on http://127.0.0.1:{simulator.port}\n"]


def test_an_interrupted_start_ends_without_a_traceback(tmp_path):
    scenario = tmp_path / "long.yaml"
    scenario.write_text("rules:\n" + "  - {answer: {text: x}}\n" * 20_000)
    command = [sys.executable, "-X", "importtime", "-m", "InferenceLibrary.simulator", "--scenario", str(scenario)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # The parser is there: it reads the file from now on.
    while "yaml.cyaml" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in said


def test_port_in_use(start_simulator, run_cli):
    simulator = start_simulator()
    done = run_cli("--port", str(simulator.port))
    assert done.returncode == 1
    assert done.stderr == (
        f"inference-simulator: error: cannot listen on 127.0.0.1:{simulator.port}: address already in use\n"
    )


def test_warns_when_others_can_reach_it(start_simulator):
    simulator = start_simulator("--host", "0.0.0.0")
    assert "which others may reach" in simulator.errors()


def test_term_drains_and_exits_0(start_simulator):
    simulator = start_simulator("--mode", "echo", "--time-to-first-token", "400ms")
    with simulator.connect() as sock, simulator.connect() as idle:
        sock.sendall(_chat("one two three"))
        assert sock.recv(10)
        simulator.process.send_signal(signal.SIGTERM)
        rest = b""
        while part := sock.recv(65536):
            rest += part
        assert b"[DONE]" in rest
        assert idle.recv(1) == b""
    assert simulator.process.wait(60) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_it_at_once(start_simulator, second):
    simulator = start_simulator("--time-to-first-token", "60s")
    with simulator.connect() as sock:
        sock.sendall(_chat("one"))
        assert sock.recv(10)
        simulator.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            simulator.process.wait(0.3)
        simulator.process.send_signal(second)
        assert simulator.process.wait(60) == 128 + second


def test_while_draining_new_connections_are_refused(start_simulator):
    simulator = start_simulator("--time-to-first-token", "1s")
    with simulator.connect() as sock:
        sock.sendall(_chat("one"))
        assert sock.recv(10)
        simulator.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            simulator.process.wait(0.2)
        with pytest.raises(ConnectionRefusedError):
            simulator.connect()


def test_not_ready_during_startup_duration(start_simulator):
    simulator = start_simulator("--startup-duration", f"{patience(0.6):.2f}s")
    assert simulator.request("GET", "/health").status == 200
    assert simulator.request("GET", "/health/ready").status == 503
    assert wait_until(lambda: simulator.request("GET", "/health/ready").status == 200, 300)


def test_start_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from InferenceLibrary.simulator.server import Server\n"
        "from InferenceLibrary.simulator.core.sockets import bind\n"
        "from InferenceLibrary.simulator.core.settings import Settings\n"
        "from InferenceLibrary.simulator.core.eventloop import new_event_loop\n"
        "server = Server(Settings(), '{url}'); server.loop = new_event_loop()\n"
        "server._build(); server._listen(bind('127.0.0.1', 0))\n"
        "heavy = 'ssl httpx pydantic numpy robot argparse msgspec yaml InferenceLibrary.library'.split()\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_serves_without_uvloop():
    code = (
        "import sys, threading, urllib.request\n"
        "sys.modules['uvloop'] = None\n"
        "from InferenceLibrary.simulator import server\n"
        "from InferenceLibrary.simulator.cli import main\n"
        "def ask(lines):\n"
        "    def run():\n"
        "        import os, signal\n"
        "        print(urllib.request.urlopen(lines[0].split()[-1] + '/health').status, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    threading.Thread(target=run).start()\n"
        "server.announce = ask\n"
        "raise SystemExit(main(['--port', '0']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "200\n", "")


def test_real_ssl_is_there_for_who_needs_it_later():
    code = (
        "from InferenceLibrary.simulator.core.eventloop import new_event_loop\n"
        "new_event_loop().close()\n"
        "import ssl; print(ssl.create_default_context().verify_mode)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
def test_https_with_a_certificate_made_at_the_start(start_simulator):
    simulator = start_simulator("--self-signed-certs", "--mode", "echo")
    assert simulator.lines[-1].startswith("listening on https://127.0.0.1:")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(simulator.connect()) as sock:
        sock.sendall(_chat("one two").replace(b"Host: t", b"Host: t\r\nConnection: close"))
        raw = b""
        while part := sock.recv(65536):
            raw += part
    assert raw.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def _make_certificate(folder, name):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}", "-days", "2", "-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return ssl.PEM_cert_to_DER_cert((folder / "c.pem").read_text())


def _served(simulator):
    """Return the certificate that a new connection is served, with an answer over it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(simulator.connect(), server_hostname=None) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        return sock.getpeercert(binary_form=True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
def test_a_renewed_certificate_is_served_from_the_next_connection_on(start_simulator, tmp_path):
    first = _make_certificate(tmp_path, "first")
    simulator = start_simulator(
        "--ssl-certfile", str(tmp_path / "c.pem"), "--ssl-keyfile", str(tmp_path / "k.pem")
    )  # fmt: skip
    assert _served(simulator) == first
    second = _make_certificate(tmp_path, "second")
    assert _served(simulator) == second != first
    (tmp_path / "c.pem").write_text("half of a cert")
    assert _served(simulator) == second
    (tmp_path / "c.pem").unlink()
    assert _served(simulator) == second
    third = _make_certificate(tmp_path, "third")
    assert _served(simulator) == third
    told = simulator.errors().splitlines()
    assert len(told) == 2, told
    assert all(f"serves the old certificate: cannot use the certificate '{tmp_path}/c.pem': " in line for line in told)


def test_certificate_that_is_none(run_cli, tmp_path):
    (tmp_path / "c.pem").write_text("no certificate")
    done = run_cli("--port", "0", "--ssl-certfile", str(tmp_path / "c.pem"))
    assert done.returncode == 1
    assert "cannot use the certificate" in done.stderr


def test_pod_headers(start_simulator):
    simulator = start_simulator(env={"POD_NAME": "pod-1", "POD_NAMESPACE": "tests"})
    headers = simulator.chat().headers
    assert (headers["x-inference-pod"], headers["x-inference-namespace"]) == ("pod-1", "tests")


def _chat(text: str) -> bytes:
    body = b'{"model":"fake-model","stream":true,"messages":[{"role":"user","content":"%b"}]}' % text.encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(body) + body


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1", True),
        ("0x7f000001", True),
        ("2130706433", True),
        ("LocalHost", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("127.0.0.256", False),
        ("127.evil", False),
        ("127.0.0.1.evil.example", False),
        ("128.0.0.1", False),
        ("0", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("127.0.0.1 ", False),
        ("", False),
    ],
)
def test_every_form_of_a_local_address_is_known(host, local):
    assert is_loopback(host) is local


def test_listens_on_loopback_only(start_simulator):
    simulator = start_simulator()
    hexport = f"{simulator.port:04X}"
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    bound = [line.split()[1] for line in table if f":{hexport} " in line and line.split()[3] == "0A"]
    assert bound == [f"{socket.inet_aton('127.0.0.1')[::-1].hex().upper()}:{hexport}"]


@pytest.mark.parametrize("host", ["", " "])
def test_a_host_that_is_empty_is_refused(run_cli, host):
    done = run_cli("--port", "0", "--host", host)
    assert done.returncode == 2
    assert done.stderr == (
        "inference-simulator: error: --host: is empty; 127.0.0.1 is this machine alone, 0.0.0.0 all its addresses\n"
    )


@pytest.mark.parametrize(("words", "status"), [((), 200), (("--as", "openai"), 400)])
def test_the_personality_of_the_environment_counts_less_than_that_of_the_command_line(start_simulator, words, status):
    """llm-d-inference-sim answers a chat without messages, the reference refuses it."""
    simulator = start_simulator(*words, "--model", "fake-model", env={"INFERENCE_SIMULATOR_AS": "llm-d"})
    assert simulator.request("POST", "/v1/chat/completions", {"model": "fake-model"}).status == status


def test_a_dry_run_makes_the_server_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--dry-run", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    assert ended("--as", "vllm", "--model", "tiny") == (0, "")
    assert ended("--as", "llm-d", "--model", "tiny", "--port", "1") == (0, "")
    assert ended("--prot", "1")[0] == 2
    truth = tmp_path / "truth.jsonl"
    assert ended("--truth-file", str(truth)) == (0, "")
    assert not truth.exists()
    missing = tmp_path / "missing" / "truth.jsonl"
    assert ended("--truth-file", str(missing)) == (
        1, f"inference-simulator: error: --truth-file: cannot write '{missing}': No such file or directory\n"
    )  # fmt: skip
