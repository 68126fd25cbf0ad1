*** Settings ***
Documentation    What Use Target makes of the variables of the run; the tests that run it say which they set.

Library          InferenceLibrary


*** Variables ***
${TARGET}     ${EMPTY}
${MODEL}      ${EMPTY}
${API_KEY}    ${EMPTY}


*** Test Cases ***
Use It
    ${server} =    Use Target
    Log    name=${server.name} url=${server.base_url} model=${server.model} started=${server.pid is not None}
    Log    profile=${server.profile.name} dialect=${server.profile.dialect}
    Log    call=${server.client.limits.total} stream=${server.client.stream_limits.total}
    ${reply} =    Chat    Hello
    Log    asked=${reply.json}[model]
    Log    metadata=${SUITE METADATA}[Target]

A Call Keeps Its Limit
    [Tags]    limits
    Use Target
    Chat    Hello    headers={"X-Inference-Fault": "stall:before=headers"}

A Stream Keeps Its Limit
    [Tags]    limits
    Use Target
    Stream Chat    Hello    headers={"X-Inference-Fault": "stall:before=first-token"}

Another Of Its Kind
    [Tags]    limits    kind
    ${server} =    Use Target
    ${other} =    Start Server    ${server}    alias=other    time_to_first_token=1 ms
    Log    other=${other.profile.name} model=${other.model} apart=${{$other.base_url != $server.base_url}}
    Chat    Hello    server=other
    Log    options=${{dict(sorted($other.asked.options.items()))}}
    ${result} =    Run Program    --version
    Log    program=${result.command}[0]
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital of France?
    Log    terminal=${answer.text}

Only Of The Simulator
    [Tags]    limits    kind
    Skip Unless Target Is A Simulator

A Server In The Place Of Its Name
    [Tags]    limits    kind
    ${target} =    Use Target
    Run Keyword And Expect Error
    ...    TARGET does not name a target: *got the Server*\${target} and \${TARGET} are one variable*
    ...    Use Target
    Log    ${target}
