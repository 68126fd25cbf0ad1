*** Settings ***
Documentation    What a test or suite starts in containers ends with it. pytest looks at the engine afterwards.

Library          InferenceLibrary
Library          OperatingSystem

Suite Setup      Start Container    ${IMAGE}    health=/health    alias=suite


*** Variables ***
${IMAGE}    inference-simulator:local


*** Test Cases ***
Test Owned
    ${server} =    Start Container    ${IMAGE}    health=/health    alias=mine
    Chat    Hello    server=mine
    VAR    ${URL}    ${server.base_url}    scope=SUITE

Gone With Its Test
    Run Keyword And Expect Error    *connection refused*    Connect To Server    ${URL}

Gone Although Failed
    Start Container    ${IMAGE}    health=/health
    Fail    on purpose

Gone Although Timed Out In A Start
    [Timeout]    1 s
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=60 s

Gone Although Timed Out At Once
    [Timeout]    150 ms
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=60 s

Gone Although Timed Out In A Compose Start
    [Timeout]    500 ms
    Create File    ${OUTPUT_DIR}/compose.yml
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], command: [--fault, never-ready]}}
    Start Compose    ${OUTPUT_DIR}/compose.yml    health=/health/ready    timeout=60 s

Stopped By Hand
    ${server} =    Start Container    ${IMAGE}    health=/health
    Stop Server
    Run Keyword And Expect Error    *connection refused*    Connect To Server    ${server.base_url}
    Chat    Hello    server=suite

Term Ignored
    Start Container    ${IMAGE}    command=--fault ignore-term    health=/health
    Stop Server    grace=300 ms

Suite Owned Lives On
    Chat    Hello    server=suite
