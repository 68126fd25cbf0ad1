*** Settings ***
Documentation    Refusals and broken answers: what each says, its category, and that the server goes on serving.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target And Shared Simulator

Test Tags        errors


*** Variables ***
${PLACES}    Traceback|File "/|/home/|goroutine \\d+ \\[|panicked at|\\.(py|rs|go|java|kt|cpp|cc):\\d+


*** Test Cases ***
Nobody There Is A Server Error
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    # No server listens on the port of the discard protocol.
    Connect To Server    http://127.0.0.1:9    check=False    model=any
    ${error} =    Chat    ${SHORT_PROMPT}    expected_status=failure
    Error Should Be    ${error}    error_category=SERVER_ERROR    error_message=connection refused

An Error Inside A Stream Keeps What Came Before
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=error-mid-stream:events=3
    ${error} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers=${fault}    expected_status=failure
    Error Should Be    ${error}    error_message=an error event
    Should Be True    len($error.stream.tokens) >= 1
    Should Not Be Empty    ${error.error.message}    Error: expected a message, got none: ${error}.

A Refused Stream Is Plain JSON Before Any Event
    [Tags]    rule:f12
    Skip Unless Server Supports    odd messages are a 4xx
    ${right} =    Get Right Chat    stream=${True}
    ${reply} =    Send Request    POST    /v1/chat/completions    ${right}    expected_status=200
    Should Contain    ${reply.headers}[content-type]    text/event-stream
    VAR    &{wrong}    &{right}    messages=${7}
    ${reply} =    Body Should Be Refused    POST    /v1/chat/completions    ${wrong}    status=400,422
    Should Not Contain    ${reply.headers}[content-type]    text/event-stream
    Error Should Be    ${reply}    error_category=INVALID_REQ

An Error In A Stream's Clothes Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=error-in-stream
    ${error} =    Stream Chat    ${SHORT_PROMPT}    model=no-such-model    headers=${fault}    expected_status=failure
    Error Should Be    ${error}    error_message=an error event

An Unknown Model Is Named
    Skip Unless Server Supports    unknown model is refused
    Chat    ${SHORT_PROMPT}    max_tokens=16
    ${reply} =    Chat    ${SHORT_PROMPT}    model=no-such-model    expected_status=[400, 404]
    Error Should Be    ${reply}    error_message=no-such-model

Any Call Returns The Refusal That It Expects
    [Tags]    simulator
    [Template]    Refusal Should Be Returned
    Chat    ${SHORT_PROMPT}
    Complete    ${SHORT_PROMPT}
    Respond    ${SHORT_PROMPT}
    Send Message    ${SHORT_PROMPT}
    Stream Chat    ${SHORT_PROMPT}
    Stream Completion    ${SHORT_PROMPT}
    Stream Response    ${SHORT_PROMPT}
    Stream Message    ${SHORT_PROMPT}

Any Further Call Returns The Refusal That It Expects
    [Tags]    simulator
    [Template]    Refusal Should Be Returned
    Create Embeddings    ${SHORT_PROMPT}
    Count Message Tokens    ${SHORT_PROMPT}
    Send Request    POST    /v1/chat/completions    {}

A Ranking, Tokens And An Adapter Return The Refusal That They Expect
    [Tags]    simulator
    [Setup]    Skip Unless Server Supports    rerank
    [Template]    Refusal Should Be Returned
    Rerank    ${SHORT_PROMPT}    ["one", "two"]
    Tokenize    ${SHORT_PROMPT}
    Detokenize    [1]
    Load Adapter    a    /a

A Refusal Tells No Secrets
    ${right} =    Get Right Chat
    ${reply} =    Body Change Should Be Refused
    ...    POST
    ...    /v1/chat/completions
    ...    ${right}
    ...    messages
    ...    7
    ...    status=4xx,5xx
    No Source Should Be Told    ${reply}

A Told Stack Is Found Out
    [Documentation]    Of a server in Python, and of one in Rust.
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    FOR    ${language}    IN    python    rust
        ${reply} =    Chat    ${SHORT_PROMPT}    model=no-such-model    expected_status=[404, 500]
        ...    headers={"X-Inference-Fault": "error-leaks:stack=${language}"}    rules=off
        Run Keyword And Expect Error    *Answer: expected no place*    No Source Should Be Told    ${reply}
    END

A Wrong Key Is Refused
    [Tags]    simulator    covers:router-auth-mock
    Skip Unless Server Supports    fault injection
    Start Server    simulator    arguments=["--api-key", "right-key-1234"]    alias=locked
    ${error} =    Chat    ${SHORT_PROMPT}    expected_status=401
    Error Should Be    ${error}    error_category=AUTH_ERROR
    VAR    &{wrong}    Authorization=Bearer wrong-key-1234
    Chat    ${SHORT_PROMPT}    headers=${wrong}    expected_status=401
    VAR    &{right}    Authorization=Bearer right-key-1234
    ${reply} =    Chat    ${SHORT_PROMPT}    headers=${right}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

An Injected Rate Limit Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    rate_limit    429    RATE_LIMIT

An Injected Server Error Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    server_error    503    SERVER_ERROR

An Injected Refusal Of The Key Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    invalid_api_key    401    AUTH_ERROR

An Injected Invalid Request Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    invalid_request    400    INVALID_REQ

An Injected Overlong Context Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    context_length    400    INVALID_REQ

An Injected Missing Model Is Understood
    [Tags]    simulator    covers:batch-failure-injection
    Injected Failure Should Be    model_not_found    404    UNKNOWN

A Huge Header Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    huge-header:bytes=2000000    headers beyond what a client takes

A Huge Body Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    huge-body:bytes=200000000    beyond the limit

A Redirect In A Loop Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    redirect-loop    got 307

A Wrong Content Length Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    wrong-content-length:by=9    connection

A Broken Chunk Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    bad-chunk    chunk

A Connection Closed At Once Ends In One Clear Error
    [Tags]    simulator
    Hostile Answer Should End    close-before-status    closed without an answer


*** Keywords ***
Refusal Should Be Returned
    [Documentation]    The call is refused by a fault of the server, and what it returns says so.
    [Arguments]    ${call}    @{arguments}
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=status:code=429
    ${reply} =    Run Keyword    ${call}    @{arguments}    headers=${fault}    expected_status=4xx
    Error Should Be    ${reply}    status=429    error_category=RATE_LIMIT

No Source Should Be Told
    [Documentation]    No trace of a program in Python, Rust, Go, Java or C++.
    [Arguments]    ${reply}
    Should Not Match Regexp    ${reply.body}    ${PLACES}    Answer: expected no place in its source, got ${reply.body}

Injected Failure Should Be
    [Documentation]    A simulator that always fails in this way answers with this status and category.
    [Arguments]    ${failure}    ${status}    ${category}
    Use Shared Simulator    failure_injection_rate=${100}    failure_types=["${failure}"]
    ${error} =    Chat    ${SHORT_PROMPT}    expected_status=${status}
    Error Should Be    ${error}    error_category=${category}
    Should Not Be Empty    ${error.error.message}    Error: expected a message, got none: ${error}.

Hostile Answer Should End
    [Documentation]    The call fails within its limits, with a message of one line. What came is read and kept after
    ...    that, which takes a busy machine longer.
    [Arguments]    ${fault}    ${told}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    ${error} =    Chat    ${SHORT_PROMPT}    headers=${headers}    timeout=10 s    expected_status=failure
    Error Should Be    ${error}    error_message=${told}
    Get Elapsed Time    ${error}    <    1 min
