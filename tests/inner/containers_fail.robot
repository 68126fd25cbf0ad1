*** Settings ***
Documentation    Every way in which the start of a container can fail. All tests must fail; pytest reads what they say.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${IMAGE}     inference-simulator:local
${SILENT}    1
${BRIEF}     {title: x, ready: {health: {path: /health}, model_list: null, budgets: {checks_passed: 300ms}}}


*** Test Cases ***
Image Missing
    Start Container    registry.invalid/nobody/nothing:1    timeout=20 s

Image Not To Be Pulled
    Start Container    nobody-has-this:1    pull=never

Registry That Says Nothing
    Start Container    127.0.0.1:${SILENT}/nothing:1    timeout=1.5 s

No Image Named
    Start Container    ${EMPTY}

Exits At Once
    Start Shell    echo loading weights; echo weights are broken >&2; exit 3

Dies By A Signal
    Start Shell    echo about to crash; kill -SEGV $$

Out Of Memory
    Start Container    ${IMAGE}    command=["-c", "print('loading', flush=True); bytearray(1000000000)"]
    ...    extra={"entrypoint": ["python3"], "mem_limit": "32m", "memswap_limit": "32m"}

Never Listens
    Start Shell    echo still loading; exec sleep 60    timeout=1 s

Never Ready
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=6 s

Check That Does Not Pass
    Create File    ${OUTPUT_DIR}/brief.yaml    ${BRIEF}
    Start Container    ${IMAGE}    checks={"file": "/no/such/file"}    profile=${OUTPUT_DIR}/brief.yaml

Check That Is None
    Start Container    ${IMAGE}    health=/health    checks={"fiel": "ready"}

Unhealthy By Its Own Check
    ${check} =    Evaluate    {'test': ['CMD-SHELL', 'echo gpu fell off; exit 1'], 'interval': 10**8, 'retries': 1}
    VAR    &{extra}    healthcheck=${check}
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=6 s    extra=${extra}

Wrong Argument Of The Program
    Start Container    ${IMAGE}    command=--modle x

No Such Program
    Start Container    ${IMAGE}    extra={"entrypoint": ["no-such-program"]}

Port Taken
    ${first} =    Start Container    ${IMAGE}    health=/health
    ${taken} =    Get Container Port    8000
    Start Container    ${IMAGE}    ports={"8000": ${taken}}

Unknown Argument
    Start Container    ${IMAGE}    helth=/health

Unknown Extra Option
    Start Container    ${IMAGE}    extra={"shm_sise": "1g"}

Extra Option That Is An Argument
    Start Container    ${IMAGE}    extra={"environment": {"A": "b"}}

Mount Without A Target
    Start Container    ${IMAGE}    mounts=/models

Mount Of Nothing
    Start Container    ${IMAGE}    mounts=/no/such/folder:/models:ro

Wrong Inside Port
    Start Container    ${IMAGE}    port=70000

Wrong Outside Port
    Start Container    ${IMAGE}    ports={"9090": "many"}

Wrong Gpus
    Start Container    ${IMAGE}    gpus=some of them

Wrong Health Path
    Start Container    ${IMAGE}    health=health

Unbalanced Command
    Start Container    ${IMAGE}    command=--model 'x

Port That Is Not Published
    Start Container    ${IMAGE}    health=/health
    Get Container Port    9090

Not In A Container
    Start Server    simulator
    Get Container Port    9090


*** Keywords ***
Start Shell
    [Documentation]    Starts a shell script in the place of a server.
    [Arguments]    ${script}    &{options}
    VAR    @{entry}    sh    -c
    VAR    &{extra}    entrypoint=${entry}
    VAR    @{command}    ${script}
    Start Container    ${IMAGE}    command=${command}    extra=${extra}    alias=mine    &{options}
