*** Settings ***
Documentation    A router: its headers, rate limits, weighted backends with failover, its admin routes.
...
...              Runs against the simulator in place of the API router, with simulators as its backends. ROUTER_URL
...              names the real one, ROUTER_API_KEY a key for it, ROUTER_MODEL a model that it routes.

Resource         ../../resources/systems.resource
Library          Collections
Variables        ../../resources/prompts.yaml

Suite Setup      Prepare

Test Tags        router


*** Variables ***
${KEY: Secret}    %{ROUTER_API_KEY=dev-test-key}
${MODEL}          %{ROUTER_MODEL=gpt-4o}


*** Test Cases ***
The Router Is Healthy
    [Tags]    smoke
    ${reply} =    Send Request    GET    /v1/status/healthz    expected_status=200
    Get Answer Value    ${reply}    status    ==    healthy

Readiness Tells Of Every Component
    [Tags]    smoke
    ${reply} =    Send Request    GET    /v1/status/readyz
    Should Be True    ${reply.status} in (200, 503)
    FOR    ${component}    IN    redis    kafka    config_service    backend_registry
        Get Answer Value    ${reply}    components    contains    ${component}
    END

The Capital Of France Comes Through The Router
    [Tags]    smoke    covers:router-capital
    ${reply} =    Chat    In one word, can you provide me the capital of France?    max_tokens=16    temperature=0.1
    Answer Should Contain    ${reply}    Paris    ignore_case=True
    Should Not Be Empty    ${reply.finish_reason}
    Usage Should Add Up    ${reply}
    Should Be True    $reply.usage.prompt_tokens > 0 and $reply.usage.completion_tokens > 0
    Should Not Be Empty
    ...    ${reply.headers}[x-routing-backend]
    ...    Headers: expected a value of x-routing-backend, got none.
    Should Be True    $reply.headers['x-routing-decision'] in ('PRIMARY', 'FAILOVER', 'REGISTRY')

A Key Is Taken From Its Own Header
    [Documentation]    The library itself sends `Authorization: Bearer`, here it sends none.
    [Tags]    covers:router-auth
    ${router} =    Get Server
    Connect To Server    ${router.base_url}    alias=stranger    profile=${router.profile.name}    model=${MODEL}
    VAR    &{headers}    X-API-Key=${KEY}
    Chat    Hi    max_tokens=16    headers=${headers}

Too Many Requests Are 429 And Told When To Come Again
    [Tags]    simulator    covers:router-limits
    Skip Unless Server Supports    backends of our own
    Start Router    rate_limit=1    rate_burst=2
    Chat    Hi
    Chat    Hi
    ${reply} =    Chat    Hi    expected_status=429
    Get Answer Value    ${reply}    code    ==    RATE_LIMIT_EXCEEDED
    Should Be True    int($reply.headers['retry-after']) == $reply.json['retry_after_seconds'] > 0
    Should Be Equal    ${reply.headers}[x-ratelimit-limit]    2
    Should Be Equal    ${reply.headers}[x-ratelimit-remaining]    0
    Get Answer Value    ${reply}    limit_context.limit    ==    2

A Retry Waits As Long As The Router Says
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Start Router    rate_limit=1    rate_burst=1
    Chat    Hi
    Use Retry Policy    max_retries=3    initial_backoff=1 ms
    ${reply} =    Chat    Hi
    Should Be True    len($reply.attempts) > 1
    Should Be True    $reply.attempts[0].wait >= 1

The Router's Own API Answers And Keeps An Audit
    VAR    &{body}    request_id=${{str(uuid.uuid4())}}    model=${MODEL}    payload=Hi
    ${reply} =    Send Request    POST    /v1/inference    ${body}    expected_status=200
    Get Answer Value    ${reply}    request_id    ==    ${body.request_id}
    Get Answer Value    ${reply}    output.text    !=    ${EMPTY}
    Should Be True    $reply.json['usage']['tokens_output'] > 0
    ${audit} =    Send Request    GET    /v1/audit/requests/${body.request_id}    expected_status=200
    Get Answer Value    ${audit}    tokens_output    ==    ${reply.json}[usage][tokens_output]
    Send Request    POST    /v1/inference    {"model": "${MODEL}", "payload": "Hi"}    expected_status=400

A Stream Comes Through
    Skip Unless Server Supports    streams
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32
    Stream Should Be In Order    ${stream}
    Stream Should End With Done    ${stream}
    Should Not Be Empty
    ...    ${stream.headers}[x-routing-backend]
    ...    Headers: expected a value of x-routing-backend, got none.

Ten Requests At Once Come Through
    ${replies} =    Call At Once    Chat    ${SHORT_PROMPT}    count=10    max_tokens=16
    Length Should Be    ${replies}    10

Weights Decide Which Backend Is Asked
    [Tags]    simulator    covers:router-routing
    Skip Unless Server Supports    backends of our own
    Start Router    one=300    seed=1
    ${asked} =    Ask Often    40
    ${one} =    Get Match Count    ${asked}    one
    ${two} =    Get Match Count    ${asked}    two
    Should Be True    ${one} > ${two} > 0    one: ${one}, two: ${two}

Another Backend Answers When One Is Down
    [Tags]    simulator    covers:router-failover
    Skip Unless Server Supports    backends of our own
    # No server listens on the port of the discard protocol.
    VAR    @{backends}    dead=http://127.0.0.1:9;weight=1    two=${BACKENDS}[two];weight=0
    Start Server    router    backend=${backends}    api_key=${KEY}
    ${reply} =    Chat    Hi
    Should Be Equal    ${reply.headers}[x-routing-backend]    two
    Should Be Equal    ${reply.headers}[x-routing-decision]    FAILOVER
    ${decisions} =    Send Request    GET    /v1/admin/routing/decisions    expected_status=200
    Get Answer Value    ${decisions}    count    ==    2

A Degraded Backend Is Never Asked
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Start Router
    Send Request    POST    /v1/admin/routing/backends/one/degrade    {"reason": "test"}    expected_status=200
    ${asked} =    Ask Often    10
    Should Contain X Times    ${asked}    two    10
    Send Request    POST    /v1/admin/routing/backends/one/healthy    expected_status=200
    Send Request    POST    /v1/admin/routing/backends/two/degrade    {}    expected_status=200
    ${asked} =    Ask Often    5
    Should Contain X Times    ${asked}    one    5

What A Backend Refuses Is 502
    [Tags]    simulator    covers:router-errors
    Skip Unless Server Supports    backends of our own
    ${reply} =    Chat    Hi    model=no-such-model    expected_status=502
    Get Answer Value    ${reply}    code    ==    BACKEND_ERROR
    Get Answer Value    ${reply}    error    contains    backend returned status 404

A Backend That Is Not There, Or Not In Time, Has A Code Of Its Own
    [Documentation]    On the router's own route; the OpenAI routes answer both with 502.
    [Tags]    simulator    covers:router-errors
    Skip Unless Server Supports    backends of our own
    # No server listens on the port of the discard protocol.
    Start Server    router    backend=dead=http://127.0.0.1:9    api_key=${KEY}
    Inference Should Fail    503    BACKEND_UNAVAILABLE
    ${slow} =    Start Server    simulator    model=gpt-4o    fault=stall:before=headers,seconds=60
    Start Server    router    backend=slow=${slow.base_url}    upstream_timeout=200 ms    api_key=${KEY}
    Inference Should Fail    504    BACKEND_TIMEOUT
    ${busy} =    Start Server    simulator    model=gpt-4o    fault=status:code=429
    Start Server    router    backend=busy=${busy.base_url}    api_key=${KEY}
    Inference Should Fail    502    BACKEND_ERROR

A Router Without Backends Is Not Ready
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Start Server    router    api_key=${KEY}
    ${reply} =    Send Request    GET    /v1/status/readyz    expected_status=503
    Get Answer Value    ${reply}    status    ==    degraded
    Get Answer Value    ${reply}    components.backend_registry    ==    unhealthy
    Chat    Hi    expected_status=500

A Stream That A Backend Cuts Is Noticed
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Set Behaviour    one    fault=cut-after-events:events=3
    Start Server    router    backend=one=${BACKENDS}[one]    api_key=${KEY}
    Run Keyword And Expect Error    *expected a stream with a proper end*3 events*
    ...    Stream Chat    ${CAPITAL_OF_FRANCE}


*** Keywords ***
Prepare
    [Documentation]    Meets the router; a stand-in gets two simulators as backends.
    VAR    &{BACKENDS}    &{EMPTY}    scope=SUITE
    VAR    ${url}    %{ROUTER_URL=}
    IF    $url
        Use System    ${url}    router    api-router    model=${MODEL}    api_key=${KEY}
    ELSE
        Skip Unless Target Is A Simulator
        Set Tags    simulator
        ${one} =    Start Server    simulator    model=gpt-4o    alias=one    arguments=--control-port=0
        ${two} =    Start Server    simulator    model=gpt-4o    alias=two
        VAR    &{BACKENDS}    one=${one.base_url}    two=${two.base_url}    scope=SUITE
        Start Router
    END

Start Router
    [Documentation]    Starts a router with the two backends of the suite.
    [Arguments]    ${one}=100    ${two}=100    &{options}
    VAR    @{backends}
    ...    one=${BACKENDS}[one];weight=${one}
    ...    two=${BACKENDS}[two];weight=${two}
    Start Server    router    backend=${backends}    api_key=${KEY}    &{options}

Inference Should Fail
    [Documentation]    Asks the router's own route, which fails with this status and code.
    [Arguments]    ${status}    ${code}
    VAR    &{body}    request_id=0f8fad5b-d9cb-469f-a165-70867728950e    model=${MODEL}    payload=Hi
    ${reply} =    Send Request    POST    /v1/inference    ${body}    expected_status=${status}
    Get Answer Value    ${reply}    code    ==    ${code}

Ask Often
    [Documentation]    Asks so many times, and returns which backend answered each time.
    [Arguments]    ${count}
    VAR    @{asked}    @{EMPTY}
    FOR    ${_}    IN RANGE    ${count}
        ${reply} =    Chat    Hi    max_tokens=16
        Append To List    ${asked}    ${reply.headers}[x-routing-backend]
    END
    RETURN    ${asked}
