*** Settings ***
Documentation    What ends up in the log: foreign text, long text, inline assertions that the engine evaluates.

Library          InferenceLibrary


*** Test Cases ***
Foreign Text Is Escaped
    Start Server    simulator    mode=echo    scenario=
    ${reply} =    Chat    <script>alert("from the model")</script>
    Should Be Equal    ${reply.text}    <script>alert("from the model")</script>
    ${stream} =    Stream Chat    <script>alert("from the model")</script>
    Send Request    GET    /<script>alert(1)</script>
    Log    ${stream}

A Failure Shows Foreign Text
    Start Server    simulator    mode=echo    scenario=
    ${reply} =    Chat    <script>alert("from the model")</script>
    Answer Should Contain    ${reply}    Paris

The Engine Evaluates
    Start Server    simulator
    ${reply} =    Chat    What is the capital of France?
    ${length} =    Get Answer Text    ${reply}    then    len(value)
    Should Be True    ${length} > 5
    Get Elapsed Time    ${reply}    validate    0 < value < 60
    Get Answer Text    ${reply}    validate    'Paris' in value

The Engine Refuses
    Start Server    simulator
    ${reply} =    Chat    What is the capital of France?
    Get Elapsed Time    ${reply}    validate    value > 3600

An Assertion Of The Wrong Unit
    Start Server    simulator
    ${reply} =    Chat    Hello
    Get Elapsed Time    ${reply}    <    5 apples

A Key In Plain Text Is Refused
    VAR    ${key}    plain-text-key-4711
    Start Server    simulator    api_key=${key}

No Key At All
    VAR    ${none}    None
    Start Server    simulator    api_key=None
    Start Server    simulator    api_key=${none}
    Log    the word None stays
