*** Settings ***
Documentation    A run that is killed while its containers stand.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${IMAGE}    inference-simulator:local


*** Test Cases ***
In A Wait
    [Tags]    wait
    Start Container    ${IMAGE}    health=/health    timeout=60 s
    Log To Console    waiting now
    Sleep    60 s

In A Compose Wait
    [Tags]    compose
    Create File
    ...    ${OUTPUT_DIR}/compose.yml
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], volumes: ["data:/data"]}}\nvolumes: {data: {}}
    Start Compose    ${OUTPUT_DIR}/compose.yml    health=/health    timeout=60 s
    Log To Console    waiting now
    Sleep    60 s

In A Start
    [Tags]    start
    Log To Console    waiting now
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=60 s

In A Compose Start
    [Tags]    compose-start
    Create File
    ...    ${OUTPUT_DIR}/compose.yml
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], volumes: ["data:/data"]}}\nvolumes: {data: {}}
    Log To Console    waiting now
    Start Compose    ${OUTPUT_DIR}/compose.yml    health=/never    timeout=60 s

Ignoring Term
    [Tags]    ignore-term
    Start Container    ${IMAGE}    command=--fault ignore-term    health=/health    timeout=60 s
    Log To Console    waiting now
    Sleep    60 s
