*** Settings ***
Documentation    Every way in which a start can fail. All tests must fail; pytest reads what they say.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
# In which a server of ours is up, also on a busy machine.
${PATIENCE}    2 s
${FOLDER}      ${OUTPUT_DIR}/made


*** Test Cases ***
Unknown Profile
    Start Server    simulatr

Unknown Key
    Start From    title: x\nstart:\n${SPACE * 2}comand: [sleep, '9']\n

Wrong Type
    Start From    title: x\nready:\n${SPACE * 2}health:\n${SPACE * 4}statuses: many\n

Not YAML
    Start From    title: [x\n

Unknown Placeholder
    Start From    title: x\nstart:\n${SPACE * 2}command: [server, '--port', '{prot}']\n

Unknown Option
    Start Server    simulator    sed=1

Option Of The Wrong Type
    Start Server    simulator    seed=many

No Such Binary
    Start From    title: x\nstart:\n${SPACE * 2}command: [/no/such/binary]\n

Binary Not On The Path
    Start From    title: x\nstart:\n${SPACE * 2}command: [no-such-binary-anywhere]\n

Not Executable
    Create File    ${FOLDER}/plain    text
    Start From    title: x\nstart:\n${SPACE * 2}command: ['${FOLDER}/plain']\n

No Interpreter Line
    Create File    ${FOLDER}/script    echo hello\n
    Evaluate    os.chmod($FOLDER + '/script', 0o755)
    Start From    title: x\nstart:\n${SPACE * 2}command: ['${FOLDER}/script']\n

Dies At Start
    Start Script    echo loading weights; echo 'weights are broken' >&2; exit 3

Dies By A Signal
    Start Script    echo about to crash; kill -SEGV $$

Out Of Memory
    Start Script    echo 'CUDA error: out of memory'; exit 1

Never Listens
    Start Script    echo still loading; exec sleep 60    timeout=${PATIENCE}

Never Ready
    Start Server    simulator    fault=never-ready    timeout=${PATIENCE}

Port In Use
    ${first} =    Start Server    simulator
    ${port} =    Evaluate    int($first.base_url.rpartition(':')[2])
    Start Server    simulator    port=${port}

Nobody Answers
    ${gone} =    Start Server    simulator
    Stop Server
    Connect To Server    ${gone.base_url}

No URL
    Connect To Server    localhost:8000

No Server Open
    Chat    Hello

Unknown Alias
    Start Server    simulator    alias=first
    Chat    Hello    server=second

Not JSON
    Start Server    simulator    fault=not-json
    Chat    Hello

Stream Stops In The Middle
    Start Server    simulator
    Stream Chat    What is the capital of France?    headers={"X-Inference-Fault": "cut-after-events:events=3"}

Memory Runs Out In A Call
    Start Server    simulator    fault=out-of-memory
    Chat    hello

Engine Dies And Says So
    Start Server    simulator    fault=status:code=500,message=EngineCore encountered an issue. See stack trace above.
    Chat    hello

Server Dies In A Call
    Start Server    simulator    fault=crash-after:code=7,message=the engine died
    Chat    Hello

Listens On Another Port
    Start From
    ...    title: x\nstart:\n${SPACE * 2}command: ['{python}', -m, http.server, --bind, 127.0.0.1, '0']\n
    ...    timeout=${PATIENCE}

Health Path That Is None
    Start From
    ...    title: x\nstart:\n${SPACE * 2}command: ['{python}', -m, http.server, --bind, 127.0.0.1, '{port}']\n
    ...    timeout=${PATIENCE}

Wrong Path In The URL
    ${server} =    Start Server    simulator
    Connect To Server    ${server.base_url}/nowhere

TLS To A Plain Server
    ${server} =    Start Server    simulator
    Connect To Server    ${server.base_url.replace('http:', 'https:')}

No Such Host
    Connect To Server    http://no-such-host.invalid:8000

No Key Given
    ${server} =    Start Server    simulator    fault=status:code=401,path=/v1/models
    Connect To Server    ${server.base_url}


*** Keywords ***
Start From
    [Arguments]    ${profile}    &{options}
    Create File    ${FOLDER}/mine.yaml    ${profile}
    Start Server    ${FOLDER}/mine.yaml    &{options}

Start Script
    [Documentation]    Starts a shell script as a server.
    [Arguments]    ${script}    &{options}
    Create File    ${FOLDER}/server.sh    \#!/bin/sh\n${script}\n
    Evaluate    os.chmod($FOLDER + '/server.sh', 0o755)
    Start From    title: x\nstart:\n${SPACE * 2}command: ['${FOLDER}/server.sh']\n    &{options}
