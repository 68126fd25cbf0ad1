*** Settings ***
Documentation    Refusals and broken answers: what each says, its category, and that the server goes on serving.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        errors


*** Test Cases ***
Every Status Has Its Category
    [Tags]    mock    covers:batch-categories
    [Setup]    Skip Unless Server Supports    fault injection
    [Template]    Status Should Have Category
    400    INVALID_REQ
    401    AUTH_ERROR
    403    AUTH_ERROR
    404    UNKNOWN
    409    UNKNOWN
    429    RATE_LIMIT
    500    SERVER_ERROR
    502    SERVER_ERROR
    503    SERVER_ERROR

Every Injected Failure Is Understood
    [Tags]    mock    covers:batch-failure-injection
    [Setup]    Skip Unless Server Supports    fault injection
    [Template]    Injected Failure Should Be
    rate_limit    429    RATE_LIMIT
    server_error    503    SERVER_ERROR
    invalid_api_key    401    AUTH_ERROR
    invalid_request    400    INVALID_REQ
    context_length    400    INVALID_REQ
    model_not_found    404    UNKNOWN

An Unreadable Answer Is A Parse Error
    [Tags]    mock
    [Setup]    Skip Unless Server Supports    fault injection
    [Template]    Fault Should Be A Parse Error
    not-json
    empty-body
    error-as-200
    malformed-json

Nobody There Is A Server Error
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    ${server} =    Start Server    simulator
    Stop Server
    Connect To Server    ${server.base_url}    alias=nobody    check=False    model=any
    Request Should Fail    Chat    ${SHORT_PROMPT}    category=SERVER_ERROR    error_contains=connection refused

An Error Inside A Stream Keeps What Came Before
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=error-mid-stream:events=3
    ${error} =    Request Should Fail
    ...    Stream Chat
    ...    ${CAPITAL_OF_FRANCE}
    ...    headers=${fault}
    ...    error_contains=an error event
    Should Be True    len($error.stream.tokens) >= 1
    Should Not Be Empty    ${error.error.message}

A Refused Stream Is Plain JSON Before Any Event
    ${reply} =    Send Request
    ...    POST
    ...    /v1/chat/completions
    ...    {"messages": "wrong", "stream": true}
    ...    expected_status=400
    Should Contain    ${reply.headers}[content-type]    application/json
    Error Should Be    ${reply}    category=INVALID_REQ

An Error In A Stream's Clothes Is Found Out
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=error-in-stream
    Request Should Fail
    ...    Stream Chat
    ...    ${SHORT_PROMPT}
    ...    model=no-such-model
    ...    headers=${fault}
    ...    error_contains=an error event

An Unknown Model Is Named
    Skip Unless Server Supports    unknown model is refused
    ${error} =    Request Should Fail    Chat    ${SHORT_PROMPT}    model=no-such-model    status=404
    Should Contain    ${error.error.message}    no-such-model

A Refusal Tells No Secrets
    ${reply} =    Send Request    POST    /v1/chat/completions    {"messages": 7}    expected_status=400
    Should Not Match Regexp    ${reply.body}    Traceback|File "/|/home/|\\.py:\\d+

Wrong Bodies Are Refused And The Next Good One Is Served
    [Tags]    covers:router-validation
    [Setup]    Skip Unless Server Supports    odd bodies are a 4xx
    [Template]    Body Should Be Refused
    \[]
    "text"
    7
    {"messages": [{"content": "no role"}]}
    {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": -5}

A Wrong Key Is Refused
    [Tags]    mock    covers:router-auth-mock
    Skip Unless Server Supports    fault injection
    Start Server    simulator    arguments=["--api-key", "right-key-1234"]    alias=locked
    Request Should Fail    Chat    ${SHORT_PROMPT}    status=401    category=AUTH_ERROR
    VAR    &{wrong}    Authorization=Bearer wrong-key-1234
    Request Should Fail    Chat    ${SHORT_PROMPT}    headers=${wrong}    status=401
    VAR    &{right}    Authorization=Bearer right-key-1234
    ${reply} =    Chat    ${SHORT_PROMPT}    headers=${right}    max_tokens=4
    Should Not Be Empty    ${reply.text}

Hostile Answers End In One Clear Error
    [Tags]    mock
    [Setup]    Skip Unless Server Supports    fault injection
    [Template]    Hostile Answer Should End
    huge-header:bytes=2000000    headers beyond what a client takes
    huge-body:bytes=200000000    beyond the limit
    redirect-loop    got 307
    wrong-content-length:by=9    connection
    bad-chunk    chunk
    close-before-status    closed without an answer


*** Keywords ***
Status Should Have Category
    [Documentation]    A refusal with this status is put into this category, streamed or not.
    [Arguments]    ${status}    ${category}
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=status:code=${status}
    Request Should Fail    Chat    ${SHORT_PROMPT}    headers=${fault}    status=${status}    category=${category}
    Request Should Fail
    ...    Stream Chat
    ...    ${SHORT_PROMPT}
    ...    headers=${fault}
    ...    status=${status}
    ...    category=${category}

Injected Failure Should Be
    [Documentation]    A simulator that always fails in this way answers with this status and category.
    [Arguments]    ${failure}    ${status}    ${category}
    Skip Unless Server Supports    fault injection
    VAR    @{always}    --failure-injection-rate    100    --failure-types    ${failure}
    Start Server    simulator    arguments=${always}
    ${error} =    Request Should Fail    Chat    ${SHORT_PROMPT}    status=${status}    category=${category}
    Should Not Be Empty    ${error.error.message}
    Stop Server

Fault Should Be A Parse Error
    [Documentation]    An answer with status 200 that cannot be read.
    [Arguments]    ${fault}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    Request Should Fail    Chat    ${SHORT_PROMPT}    headers=${headers}    category=PARSE_ERROR

Body Should Be Refused
    [Documentation]    Any 4xx, never a 5xx.
    [Arguments]    ${body}
    Skip Unless Server Supports    odd bodies are a 4xx
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}
    Should Be True    400 <= ${reply.status} < 500    ${body} was answered with ${reply.status}: ${reply.body}
    Should Not Be Empty    ${reply.error.message}
    ${next} =    Chat    ${SHORT_PROMPT}    max_tokens=4
    Should Not Be Empty    ${next.text}

Hostile Answer Should End
    [Documentation]    The call fails within its limits, with a message of one line.
    [Arguments]    ${fault}    ${told}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    Request Should Fail
    ...    Chat
    ...    ${SHORT_PROMPT}
    ...    headers=${headers}
    ...    timeout=10 s
    ...    error_contains=${told}
    ...    within=10 s
