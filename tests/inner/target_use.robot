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
    Log    profile=${server.profile.name}
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
