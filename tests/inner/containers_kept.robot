*** Settings ***
Documentation    What is kept lives on after its run; what is not ends with it.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${IMAGE}    inference-simulator:local


*** Test Cases ***
In A Container
    [Tags]    end
    Start Container    ${IMAGE}    health=/health    keep=True    alias=kept
    Start Container    ${IMAGE}    health=/health    alias=mine

In A Project
    [Tags]    end
    Create File
    ...    ${OUTPUT_DIR}/compose.yml
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], volumes: ["data:/data"]}}\nvolumes: {data: {}}
    Start Compose    ${OUTPUT_DIR}/compose.yml    health=/health    keep=True

Until It Is Killed
    [Tags]    killed
    Start Container    ${IMAGE}    health=/health    keep=True    alias=kept
    Start Container    ${IMAGE}    health=/health    alias=mine
    Log To Console    waiting now
    Sleep    60 s

Killed Before It Is Ready
    [Tags]    not-ready
    Log To Console    waiting now
    Start Container    ${IMAGE}    command=--fault never-ready    health=/health/ready    timeout=60 s    keep=True
