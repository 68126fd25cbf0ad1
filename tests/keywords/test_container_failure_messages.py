# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""What a person reads when a container or a compose project cannot be started; and that nothing of it stays."""

from __future__ import annotations

import re
import socket

import pytest
from container_tests import IMAGE, engine_or_skip, labelled
from inner_suites import InnerRun, run_inner

ENGINE_HINT = r"Hint: install and start Docker or Podman, or set DOCKER_HOST to its socket; in a checkout on Debian 12, as root: eval \"\$\(scripts/container_engine\.sh up\)\""
BAD_IMAGE = r"Hint: check the name, log in to its registry, or bring the image by hand: docker pull, docker load < file\.tar, or docker tag OTHER \S+\. In a checkout, INFERENCE_SIMULATOR_IMAGE names the image of the simulator\."

CONTAINERS = {
    "Image Missing": rf"Image 'registry\.invalid/nobody/nothing:1' is not there and cannot be pulled: got .+ after \d+\.\d\d s\. {BAD_IMAGE}",
    "Image Not To Be Pulled": rf"Image 'nobody-has-this:1' is not there and cannot be pulled: got the engine does not have it, and pull=never after \d\.\d\d s\. {BAD_IMAGE}",
    "Registry That Says Nothing": rf"Image '127\.0\.0\.1:\d+/nothing:1' is not there and cannot be pulled: got no end of the pull \(.+\) after 1\.\d\d s\. {BAD_IMAGE}",
    "No Image Named": r"A container cannot be started without the name of an image: got ''\.",
    "Exits At Once": r"Server 'mine' ended before it was ready: expected 200 or 401 or 403 on GET /v1/models, got exit code 3 after \d+\.\d+ s\.",
    "Dies By A Signal": r"Server 'mine' ended before it was ready: expected .+, got exit code 139 \(SIGSEGV\) after \d+\.\d+ s\.",
    "Out Of Memory": r"Server 'inference-simulator' ended before it was ready: expected .+, got exit code 137 \(SIGKILL, out of memory: OOMKilled\) after \d+\.\d+ s\. Hint: memory ran out: .+",
    "Never Listens": r"Server 'mine' is not ready \(healthy\): expected .+, got .+ after \d\.\d\d s; container [0-9a-f]{12} runs\. Hint: give it more time with timeout=\.\.\., or read its log\.",
    "Never Ready": r"Server 'inference-simulator' is not ready \(healthy\): expected 200 on GET /health/ready, got status 503.* after \d\.\d\d s; container [0-9a-f]{12} runs\. Hint: .+",
    "Check That Does Not Pass": r"Server 'inference-simulator' is not ready \(checks passed\): expected the file /no/such/file to pass, got no such file after \d+\.\d+ s; the stage's budget is 0\.3 s; container [0-9a-f]{12} runs\. Hint: .+",
    "Check That Is None": r"Check 1 cannot be used: expected a function, or an object with one of command, tcp, grpc, file, python, got Object contains unknown field `fiel`\.",
    "Unhealthy By Its Own Check": r"Server 'inference-simulator' is not ready \(healthy\): expected 200 on GET /health/ready, got status 503.*; container [0-9a-f]{12} runs\. Hint: .+",
    "Wrong Argument Of The Program": r"Server 'inference-simulator' ended before it was ready: expected .+, got exit code 2 after .+\. Hint: the program does not know an argument: .+",
    "No Such Program": r"Server 'inference-simulator' (ended before it was ready: expected .+, got exit code 127 after .+|cannot be started in a container of .+ executable file not found.+)\. Hint: .+",
    "Port Taken": r"Server 'inference-simulator' cannot be started in a container of '\S+': got .*(port is already allocated|address already in use)\. Hint: the port is taken: leave it to the library, or stop its holder\.",
    "Unknown Argument": r"'helth' is not an argument of Start Container: expected one of image, command, .*health.*\. Did you mean 'health'\?.*",
    "Unknown Extra Option": r"extra: 'shm_sise' is not an option here: expected an option of the docker SDK's containers\.create, such as shm_size\. Hint: did you mean 'shm_size'\?",
    "Extra Option That Is An Argument": r"extra: 'environment' is not an option here: expected .+\. Hint: use the argument environment\.",
    "Mount Without A Target": r"A mount is wrong: expected source:/target or source:/target:ro, got '/models'\.",
    "Mount Of Nothing": r"The source of mount '/no/such/folder:/models:ro' does not exist: got no file or folder /no/such/folder\.",
    "Wrong Inside Port": r"A port of the container is wrong: expected a number such as 8000 or 53/udp, got '70000'\.",
    "Wrong Outside Port": r"The outside port for 9090 is wrong: expected a number from 1 to 65535, or null, got 'many'\.",
    "Wrong Gpus": r"gpus is wrong: expected all, a count, or device=0,1, got 'some of them'\.",
    "Wrong Health Path": r"The health path is wrong: expected a path such as /health, got 'health'\.",
    "Unbalanced Command": r"Argument 'command': expected words as a shell has them, got .+: no closing quotation\.",
    "Port That Is Not Published": r"Port 9090/tcp of container [0-9a-f]{12} is not published: expected one of 8000/tcp\. Hint: ports=.+ of Start Container publishes another one\.",
    "Not In A Container": r"Server 'simulator' is in no container\. Hint: start it with Start Container or Start Compose\.",
}

COMPOSE = {
    "No File": r"The compose file /no/such/compose\.yml does not exist\. Hint: check the path\.",
    "Not YAML": r"The compose file \S+/compose\.yml is broken: got yaml: .+\. Hint: docker compose --file \S+ config shows what compose reads\.",
    "Unknown Key": r"The compose file \S+/compose\.yml is broken: got .*services\.sim additional.*'?imagee'? .*not allowed\. Hint: .+",
    "Variable Not Set": r"The compose file \S+/compose\.yml is broken: got .*NOWHERE_SET.*set it to an image\. Hint: .+",
    "No Service": r"The compose file \S+/compose\.yml starts nothing: got no service that is enabled\. Hint: name its profiles by profiles=\.\.\.",
    "Unknown Service": r"The compose file \S+/compose\.yml has no service 'smi': expected one of sim\. Hint: a service under a profile needs profiles=\.\.\.",
    "Unknown Service To Start": r"The compose file \S+/compose\.yml has no service 'smi': expected one of sim\. Hint: .+",
    "Nothing Published": r"Which service of \S+/compose\.yml is to be talked to cannot be told: expected one that publishes a port, got none of sim\. Hint: name it by service=\.\.\.",
    "Two Published": r"Which service of \S+/compose\.yml is to be talked to cannot be told: expected one that publishes a port, got other, sim\. Hint: name it by service=\.\.\.",
    "Wrong Port": r"Service 'sim' of \S+/compose\.yml cannot be talked to: expected port 9000 to be published, got 8000\. Hint: .+",
    "Image Missing": r"Server 'compose' cannot be started from \S+/compose\.yml: got .+ after \d+\.\d\d s\. Hint: check the name of the image, or bring it by hand: .+",
    "Exits At Once": r"Server 'compose' ended before it was ready: expected .+, got exit code 3 of service sim-1 after \d+\.\d+ s\.",
    "Another Service Fails": r"Server 'compose' ended before it was ready: expected .+, got exit code 4 of service db-1 after \d+\.\d+ s\.",
    "Dependency Unhealthy": r"Server 'compose' cannot be started from \S+/compose\.yml: got dependency failed to start: container inference-\S+-db-1 is unhealthy after .+ s\. Hint: .+",
    "Never Ready": r"Server 'compose' is not ready \(healthy\): expected 200 on GET /health/ready, got status 503.* after \d\.\d\d s; compose project inference-\S+ runs\. Hint: .+",
    "Check That Does Not Pass": r"Server 'compose' is not ready \(checks passed\): expected the file /no/such/file to pass, got no such file after \d+\.\d+ s; the stage's budget is 0\.3 s; compose project inference-\S+ runs\. Hint: .+",
    "Time Over While Starting": r"Server 'compose' cannot be started from \S+/compose\.yml: got no end of it within the time limit after \d\.\d\d s\. Hint: .+",
    "Port Taken": r"Server 'compose' cannot be started from \S+/compose\.yml: got .*(port is already allocated|address already in use) after .+ s\. Hint: the port is taken: leave it to the library, or stop its holder\.",
    "Unknown Argument": r"'profile_' is not an argument of Start Compose: expected one of file, .*profile.*\. Did you mean 'profile'\?.*",
    "No Such Log": r"The project of 'compose' has no service 'db': expected one of sim-1\.",
}

DETAIL = {
    ("containers", "Exits At Once"): ["loading weights", "weights are broken"],
    ("containers", "Dies By A Signal"): ["about to crash"],
    ("containers", "Out Of Memory"): ["loading", "(the engine: out of memory, OOMKilled)"],
    ("containers", "Never Listens"): ["still loading"],
    ("containers", "Unhealthy By Its Own Check"): ["(the image's own health check: unhealthy: gpu fell off)"],
    ("containers", "Unknown Extra Option"): ["shm_size"],
    ("compose", "Exits At Once"): ["weights are broken"],
    ("compose", "Another Service Fails"): ["(service db-1)", "disk is full"],
    ("compose", "Never Ready"): ["listening on"],
}


@pytest.fixture(scope="module")
def without_engine(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    folder = tmp_path_factory.mktemp("no_engine")
    return run_inner("containers_no_engine.robot", folder / "out", env={"DOCKER_HOST": f"unix://{folder}/none.sock"})


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    engine_or_skip().close()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        port = silent.getsockname()[1]
        options = ("--variable", f"IMAGE:{IMAGE}", "--variable", f"SILENT:{port}")
        return run_inner("containers_fail.robot", tmp_path_factory.mktemp("containers"), *options)


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    engine_or_skip(compose=True).close()
    folder = tmp_path_factory.mktemp("compose")
    return run_inner("containers_compose_fail.robot", folder, "--variable", f"IMAGE:{IMAGE}")


@pytest.mark.parametrize("test", ["Start Without An Engine", "Compose Without An Engine"])
def test_a_start_without_an_engine_says_what_to_do(without_engine: InnerRun, test: str) -> None:
    assert without_engine[test].status == "FAIL"
    expected = (
        rf"No container engine answers at unix://\S+/none\.sock \(DOCKER_HOST\): got no such socket\. {ENGINE_HINT}"
    )
    assert re.fullmatch(expected, without_engine[test].message)


def test_a_skip_without_an_engine_says_how_to_get_one(without_engine: InnerRun) -> None:
    outcome = without_engine["Skip Without An Engine"]
    assert outcome.status == "SKIP"
    assert re.fullmatch(rf"No container engine answers at .+ {ENGINE_HINT}", outcome.message)


@pytest.mark.docker
@pytest.mark.parametrize("test", CONTAINERS)
def test_the_first_line_of_a_failed_container_tells_it_all(containers: InnerRun, test: str) -> None:
    assert containers[test].status == "FAIL"
    assert re.fullmatch(CONTAINERS[test], containers[test].first_line), containers[test].message


@pytest.mark.docker
@pytest.mark.parametrize("test", COMPOSE)
def test_the_first_line_of_a_failed_project_tells_it_all(compose: InnerRun, test: str) -> None:
    assert compose[test].status == "FAIL"
    assert re.fullmatch(COMPOSE[test], compose[test].first_line, re.IGNORECASE), compose[test].message


@pytest.mark.docker
@pytest.mark.parametrize(("suite", "test"), DETAIL)
def test_the_detail_stands_below(request: pytest.FixtureRequest, suite: str, test: str) -> None:
    run: InnerRun = request.getfixturevalue(suite)
    below = run[test].message.splitlines()[1:]
    for expected in DETAIL[suite, test]:
        assert any(expected in line for line in below), run[test].message


@pytest.mark.docker
@pytest.mark.parametrize(("suite", "expected"), [("containers", CONTAINERS), ("compose", COMPOSE)])
def test_every_case_is_read_and_none_shows_a_traceback(
    request: pytest.FixtureRequest, suite: str, expected: dict[str, str]
) -> None:
    run: InnerRun = request.getfixturevalue(suite)
    assert set(run.tests) == set(expected)
    assert "Traceback" not in run.console
    assert all("Traceback" not in outcome.message for outcome in run.tests.values())


@pytest.mark.docker
@pytest.mark.parametrize("suite", ["containers", "compose"])
def test_nothing_is_left(request: pytest.FixtureRequest, suite: str) -> None:
    run: InnerRun = request.getfixturevalue(suite)
    engine = engine_or_skip()
    try:
        assert labelled(engine) == []
    finally:
        engine.close()
    assert run.leftovers == []
