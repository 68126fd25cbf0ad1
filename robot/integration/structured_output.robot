*** Settings ***
Documentation    Answers in a form: JSON, schemas, stop strings, several choices, log probabilities.

Resource         ../../resources/target.resource
Resource         ../../resources/requests.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    chat

Test Tags        structured-output


*** Variables ***
&{TEXT}          type=string
&{NUMBER}        type=integer
&{PROPERTIES}    name=${TEXT}    age=${NUMBER}
@{REQUIRED}      name    age
&{PERSON}        type=object    properties=${PROPERTIES}    required=${REQUIRED}    additionalProperties=${FALSE}


*** Test Cases ***
An Answer Fits Its Schema
    [Tags]    covers:worker-prompt-json    rule:n8
    Skip Unless Server Supports    json schema
    ${reply} =    Chat    ${JSON_PROMPT}    response_format=${PERSON}    max_tokens=200
    ${person} =    Answer Should Fit Schema    ${reply}    ${PERSON}
    Should Not Be Empty    ${person}[name]

A Streamed Answer Fits Its Schema
    Skip Unless Server Supports    json schema
    ${stream} =    Stream Chat    ${JSON_PROMPT}    response_format=${PERSON}    max_tokens=200
    Answer Should Fit Schema    ${stream}    ${PERSON}

A JSON Object Is JSON
    Skip Unless Server Supports    json object
    ${reply} =    Chat    ${JSON_PROMPT}    response_format=json_object    max_tokens=200
    VAR    &{any_object}    type=object
    Answer Should Fit Schema    ${reply}    ${any_object}

Free Text In Place Of JSON Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=N8
    VAR    &{fault}    X-Inference-Fault=ignores-response-format
    ${reply} =    Chat    ${JSON_PROMPT}    response_format=${PERSON}    headers=${fault}
    Run Keyword And Expect Error    *expected JSON*    Answer Should Fit Schema    ${reply}    ${PERSON}

A Stop String Ends The Text And Is Not In It
    [Tags]    covers:worker-stop-sequence    rule:c20
    Skip Unless Server Supports    stop texts
    Skip Unless Server Supports    known answers
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    stop=is    max_tokens=32    temperature=0
    Answer Should Keep The Rules    ${reply}    only=C20
    Finish Reason Should Be    ${reply}    stop

A Stop String Ends A Stream And Is Not In It
    [Tags]    covers:worker-stop-sequence
    Skip Unless Server Supports    stop texts
    Skip Unless Server Supports    known answers
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    stop=is    max_tokens=32    temperature=0
    Answer Should Keep The Rules    ${stream}    only=C20
    Finish Reason Should Be    ${stream}    stop

One Of Several Stop Strings Is Enough
    Skip Unless Server Supports    stop texts
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    stop=["nowhere", "is"]    max_tokens=32    temperature=0
    Answer Should Keep The Rules    ${reply}    only=C20

A Flushed Stop String Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=C20
    VAR    &{fault}    X-Inference-Fault=ignores-stop
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    stop=is    headers=${fault}
    Should Contain    ${reply.text}    is

Several Choices Are Answered
    [Tags]    rule:n2    rule:u1
    Skip Unless Server Supports    several choices
    ${reply} =    Chat    ${SHORT_PROMPT}    n=2    max_tokens=16
    Length Should Be    ${reply.texts}    2

Several Choices Are Streamed
    Skip Unless Server Supports    several choices
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    n=2    max_tokens=16
    Length Should Be    ${stream.texts}    2

Two Prompts Are Completed Twice
    [Tags]    rule:x4
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    several choices
    Skip Unless Server Supports    several prompts
    ${reply} =    Complete    ["one", "two"]    n=2    max_tokens=16
    Length Should Be    ${reply.texts}    4

Log Probabilities Are Sound
    [Tags]    rule:l3
    Skip Unless Server Supports    log probabilities
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    logprobs=2    max_tokens=16    temperature=0
    Logprobs Should Be Sound    ${reply}    alternatives=2

Streamed Log Probabilities Are Sound
    Skip Unless Server Supports    log probabilities
    Skip Unless Server Supports    log probabilities in streams
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    logprobs=2    max_tokens=16    temperature=0
    Logprobs Should Be Sound    ${stream}    alternatives=2

Wrong Log Probabilities Are Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=C23
    VAR    &{fault}    X-Inference-Fault=wrong-logprobs
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    logprobs=2    headers=${fault}
    Run Keyword And Expect Error    *C23:*    Logprobs Should Be Sound    ${reply}

A Seed Repeats An Answer
    Skip Unless Server Supports    seed
    ${first} =    Chat    ${SHORT_PROMPT}    seed=42    max_tokens=16    temperature=0.8
    ${second} =    Chat    ${SHORT_PROMPT}    seed=42    max_tokens=16    temperature=0.8
    Answers Should Agree    ${first}    ${second}

Code Is Answered With Code
    [Tags]    requires-model    covers:service-code-task    covers:mistral-prompt-patterns
    Skip Unless Server Supports    code tasks
    ${reply} =    Ask For Code
    Get Answer Text    ${reply}    matches    ${PATTERN_CODE_PROMPT}
