*** Settings ***
Documentation    Servers in containers and compose projects: start, talk, logs, ports, files, variants, and their end.
...              They need a container engine and the simulator's image, and skip where these are missing. The image is
...              made with `docker build --tag inference-simulator:local .`, or named by SIMULATOR_IMAGE.

Library          Collections
Library          OperatingSystem
Library          InferenceLibrary    rules=fail-tagged

Suite Setup      Run Keywords
...                  Skip Unless Target Is A Simulator    AND
...                  Skip Unless Container Engine Is Available    image=${SIMULATOR_IMAGE}    compose=True

Test Tags        docker    simulator


*** Variables ***
${SIMULATOR_IMAGE}    %{INFERENCE_SIMULATOR_IMAGE=inference-simulator:local}
${PROJECT_FILE}       ${CURDIR}/../../docker-compose.test.yml
# Port 0 outside is a free one: parallel runs do not meet.
&{PORTS}              INFERENCE_SIMULATOR_IMAGE=${SIMULATOR_IMAGE}
...                   INFERENCE_SIMULATOR_PORT=0
...                   INFERENCE_LATENCY_PORT=0
...                   INFERENCE_FAILURES_PORT=0
...                   INFERENCE_LORA_PORT=0


*** Test Cases ***
A Server In A Container Answers
    [Tags]    smoke    covers:batch-container
    ${server} =    Start Container    ${SIMULATOR_IMAGE}    command=--model fake-model --mode echo    health=/health
    Should Be Equal    ${server.model}    fake-model
    ${reply} =    Chat    What you say comes back
    Should Be Equal    ${reply.text}    What you say comes back
    Server Should Be Healthy

A Server In A Container Streams
    Start Simulator    command=--inter-token-latency 5ms
    ${stream} =    Stream Chat    Tell me something    max_tokens=8    include_usage=True
    Stream Should Be In Order    ${stream}
    Stream Should End With Done    ${stream}
    Usage Should Add Up    ${stream}

It Is Ready When A Token Has Been Generated
    Start Simulator    command=--time-to-first-token 300ms    wait_for=first token
    ${reply} =    Chat    Hello    max_tokens=2
    Should Be True    ${reply.elapsed} >= 0.3

It Is Ready When A Check Of One's Own Has Passed
    Start Simulator    command=--model fake-model    checks={"tcp": "{port}"}
    Get Server Timing    checks passed    >    0 s

Its Log Can Be Read While It Runs
    Start Simulator    command=--log-http
    ${log} =    Get Server Log
    Should Contain    ${log}    listening on
    Chat    Hello    max_tokens=2
    Wait Until Keyword Succeeds    5 s    100 ms    The Log Should Contain    /v1/chat/completions

Its Environment Is What The Test Says
    Start Simulator    environment={"SIM_MODEL": "named-by-environment"}
    ${models} =    List Models
    Should Contain    ${models}    named-by-environment

Files Are Mounted Into It
    VAR    ${rule}    {match: {prompt: "the secret word"}, answer: {text: "The word is mounted."}}
    Create File    ${OUTPUT_DIR}/scenarios/mounted.yaml    rules: [${rule}]\n
    Start Simulator    mounts=${OUTPUT_DIR}/scenarios:/scenarios:ro    command=--scenario /scenarios/mounted.yaml
    ${reply} =    Chat    Say the secret word
    Answer Should Contain    ${reply}    mounted

A Second Port Is Published Where It Is Told
    Start Simulator    command=--control-port 9000    ports={"9000": null}
    ${port} =    Get Container Port    9000
    ${own} =    Get Container Port    8000
    Should Not Be Equal    ${port}    ${own}

Two Containers Do Not Meet
    Start Simulator    alias=one    command=--model one
    Start Simulator    alias=two    command=--model two
    ${models} =    List Models    server=one
    VAR    @{expected}    one
    Should Be Equal    ${models}    ${expected}
    ${models} =    List Models    server=two
    VAR    @{expected}    two
    Should Be Equal    ${models}    ${expected}

A Container That Dies Is Told From One That Is Slow
    Start Simulator    command=--fault crash-after:code=7
    ${error} =    Run Keyword And Expect Error    *    Chat    Hello
    Should Contain    ${error}    its container ended with exit code 7

A Paused Container Answers When It Goes On
    Start Simulator
    Pause Server
    Run Keyword And Expect Error    *no answer within*    Chat    Hello    timeout=300 ms
    Resume Server
    Chat    Hello    max_tokens=2

A Killed Container Is Restarted At Its Address
    ${server} =    Start Simulator
    VAR    ${address}    ${server.base_url}
    Kill Server
    Server Should Have Exited    signal=SIGKILL
    Restart Server
    Should Be Equal    ${server.base_url}    ${address}
    Chat    Hello    max_tokens=2

A Container Ends Gracefully And Leaves Nothing
    Start Simulator
    Stop Server    graceful_within=5 s
    Server Should Have Exited    exit_code=0
    Server Should Not Have Leaked

A Stopped Container Is Gone
    ${server} =    Start Simulator
    Stop Server
    Run Keyword And Expect Error    *connection refused*    Connect To Server    ${server.base_url}

A Compose Project Answers
    [Tags]    smoke
    Start Compose    ${PROJECT_FILE}    environment=${PORTS}    health=/health
    ${reply} =    Chat    Hello    max_tokens=4
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    ${log} =    Get Service Log    inference-simulator
    Should Contain    ${log}    listening on

The Latency Variant Takes Its Time
    [Tags]    covers:batch-latency-simulation
    Start Compose    ${PROJECT_FILE}    services=latency    profiles=latency    environment=${PORTS}    health=/health
    ${stream} =    Stream Chat    Hello    max_tokens=4
    Get Time To First Token    ${stream}    >=    140 ms

The Variant With Failures Fails Now And Then
    [Tags]    covers:batch-failure-injection
    Start Compose
    ...    ${PROJECT_FILE}
    ...    services=failures
    ...    profiles=failures
    ...    environment=${PORTS}
    ...    health=/health
    VAR    ${failed}    ${0}
    FOR    ${_}    IN RANGE    30
        ${status}    ${_} =    Run Keyword And Ignore Error    Chat    Hello    max_tokens=2
        ${failed} =    Evaluate    ${failed} + ($status == 'FAIL')
    END
    Should Be True    4 <= ${failed} <= 26    ${failed} of 30 calls failed

The Variant With Adapters Lists Them
    [Tags]    covers:batch-lora
    Start Compose    ${PROJECT_FILE}    services=lora    profiles=lora    environment=${PORTS}    health=/health
    ${models} =    List Models
    VAR    @{expected}    fake-model    sql-adapter    summary-adapter
    List Should Contain Sub List    ${models}    ${expected}
    ${reply} =    Chat    Hello    model=sql-adapter    max_tokens=2
    Should Be Equal    ${reply.model}    sql-adapter


*** Keywords ***
Start Simulator
    [Documentation]    Starts the simulator's image on a free port and waits until it is healthy.
    [Arguments]    &{options}
    ${server} =    Start Container    ${SIMULATOR_IMAGE}    health=/health    &{options}
    RETURN    ${server}

The Log Should Contain
    [Documentation]    Fails unless the server has written a text.
    [Arguments]    ${text}
    ${log} =    Get Server Log
    Should Contain    ${log}    ${text}
