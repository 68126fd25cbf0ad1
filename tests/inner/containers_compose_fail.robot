*** Settings ***
Documentation    Every way in which the start of a compose project can fail. All tests must fail.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${IMAGE}    inference-simulator:local
${SIM}      sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"]}


*** Test Cases ***
No File
    Start Compose    /no/such/compose.yml

Not YAML
    Start From    services: [x

Unknown Key
    Start From    services: {sim: {imagee: "${IMAGE}"}}

Variable Not Set
    Start From    services: {sim: {image: "\${NOWHERE_SET:?set it to an image}"}}

No Service
    Start From    services: {sim: {image: "${IMAGE}", profiles: [gpu]}}

Unknown Service
    Start From    services: {${SIM}}    service=smi

Unknown Service To Start
    Start From    services: {${SIM}}    services=smi

Nothing Published
    Start From    services: {sim: {image: "${IMAGE}"}}

Two Published
    Start From    services: {${SIM}, other: {image: "${IMAGE}", ports: ["127.0.0.1::8000"]}}

Wrong Port
    Start From    services: {${SIM}}    port=9000

Image Missing
    Start From    services: {sim: {image: "registry.invalid/nobody/nothing:1", ports: ["8000"]}}    timeout=20 s

Exits At Once
    Start From
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], entrypoint: [sh, -c, "echo weights are broken; exit 3"]}}

Another Service Fails
    Start From
    ...    services: {${SIM}, db: {image: "${IMAGE}", entrypoint: [sh, -c, "echo disk is full; exit 4"]}}
    ...    health=/never    timeout=5 s

Dependency Unhealthy
    Start From
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], depends_on: {db: {condition: service_healthy}}}, db: {image: "${IMAGE}", healthcheck: {test: "exit 1", interval: 200ms, retries: 1}}}
    ...    timeout=20 s

Never Ready
    Start From
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], command: [--fault, never-ready]}}
    ...    health=/health/ready    timeout=6 s

Check That Does Not Pass
    Create File
    ...    ${OUTPUT_DIR}/brief.yaml
    ...    {title: x, ready: {health: {path: /health}, model_list: null, budgets: {checks_passed: 300ms}}}
    Start From    services: {${SIM}}    checks={"file": "/no/such/file"}    profile=${OUTPUT_DIR}/brief.yaml

Time Over While Starting
    Start From
    ...    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1::8000"], depends_on: {db: {condition: service_healthy}}}, db: {image: "${IMAGE}", healthcheck: {test: "exit 1", interval: 1s, retries: 90}}}
    ...    timeout=2 s

Port Taken
    ${first} =    Start Container    ${IMAGE}    health=/health
    ${taken} =    Get Container Port    8000
    Start From    services: {sim: {image: "${IMAGE}", ports: ["127.0.0.1:${taken}:8000"]}}

Unknown Argument
    Start Compose    ${OUTPUT_DIR}/made/compose.yml    profile_=x

No Such Log
    Start From    services: {${SIM}}    health=/health
    Get Service Log    db


*** Keywords ***
Start From
    [Arguments]    ${text}    &{options}
    Create File    ${OUTPUT_DIR}/made/compose.yml    ${text}\n
    Start Compose    ${OUTPUT_DIR}/made/compose.yml    &{options}
