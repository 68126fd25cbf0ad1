*** Settings ***
Documentation    What is said where no container engine answers. DOCKER_HOST names a socket that is not there.

Library          InferenceLibrary


*** Test Cases ***
Start Without An Engine
    Start Container    inference-simulator:local

Compose Without An Engine
    Start Compose    ${CURDIR}/none.yml

Skip Without An Engine
    Skip Unless Container Engine Is Available
    Fail    This is not reached.
