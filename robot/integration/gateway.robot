*** Settings ***
Documentation    A gateway in front of other servers: routing by model, streams, providers, upstreams in trouble.
...
...              Runs against the simulator in place of llm-gateway, with simulators as its upstreams. LLM_GATEWAY_URL
...              names the real one, LLM_GATEWAY_MODEL a model that it routes.

Resource         ../../resources/systems.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Prepare

Test Tags        gateway    requires-gateway


*** Variables ***
${MODEL}     %{LLM_GATEWAY_MODEL=inference:phi-4}
# No server listens on the port of the discard protocol.
${NOBODY}    http://127.0.0.1:9


*** Test Cases ***
The Gateway Is Healthy
    [Tags]    smoke    covers:service-gateway-skip
    ${reply} =    Send Request    GET    /health    expected_status=200
    Get Answer Value    ${reply}    status    matches    ^(healthy|ok)$

Readiness Tells Of The Upstreams
    ${reply} =    Send Request    GET    /health/ready
    Should Be True    ${reply.status} in (200, 503)
    Get Answer Value    ${reply}    status    matches    ^(ready|degraded|not_ready)$

Providers And Models Are Listed
    [Tags]    smoke
    ${providers} =    Send Request    GET    /v1/providers    expected_status=200
    Should Be True    'providers' in $providers.json or 'data' in $providers.json
    ${models} =    Send Request    GET    /v1/models    expected_status=200
    Should Be True    isinstance($models.json['data'], list)

A Model With A Prefix Is Routed
    [Documentation]    The prefix chooses the upstream; the list has the bare names.
    [Tags]    smoke    covers:service-gateway-route
    Use Rules    fail-tagged    leave_out=M2
    ${reply} =    Send Request    POST    /v1/chat/completions    ${{{'model': $MODEL, 'messages': $MESSAGES}}}
    Should Be True    ${reply.status} in (200, 503)    ${reply}
    Skip If    ${reply.status} == 503    The upstream of ${MODEL} has no room or is not loaded: ${reply}
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Usage Should Add Up    ${reply}

A Stream Comes Through To Its End
    [Tags]    smoke    covers:service-gateway-stream
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    model=${MODEL}    max_tokens=32
    Stream Should Be In Order    ${stream}
    Stream Should Have One Id    ${stream}
    Stream Should End With Done    ${stream}

A Model That Nobody Has Is Refused
    [Tags]    covers:service-gateway-bad-model
    Chat    Hi    model=${MODEL}    max_tokens=16
    VAR    &{body}    model=no-such-model-at-all    messages=${MESSAGES}
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}
    # llm-gateway answers 502; its documents allow the others.
    Should Be True    ${reply.status} in (400, 404, 502, 503)    ${reply}
    Should Not Be Empty    ${reply.error.message}    Error: expected a message, got none: ${reply}.

A Chat Without Messages Is Refused
    Chat Should Be Refused    {"model": "${MODEL}"}

A Chat Without A Model Is Refused
    Chat Should Be Refused    {"messages": [{"role": "user", "content": "Hi"}]}

Messages That Are Not A List Are Refused
    Chat Should Be Refused    {"model": "${MODEL}", "messages": "Hi"}

Ten Requests At Once Come Through
    ${replies} =    Call At Once    Chat    ${SHORT_PROMPT}    count=10    max_tokens=16
    Length Should Be    ${replies}    10

A Bare Model Reaches Its Upstream
    [Tags]    simulator
    Model Should Reach Upstream    phi-4    one

A Model With Its Provider Reaches Its Upstream
    [Tags]    simulator
    Model Should Reach Upstream    inference:phi-4    one

A Local Model Reaches Its Upstream
    [Tags]    simulator
    Model Should Reach Upstream    local:phi-4    one

A Bare Model Reaches The Second Upstream
    [Tags]    simulator
    Model Should Reach Upstream    llama3    two

A Model Behind A Slash Reaches The Second Upstream
    [Tags]    simulator
    Model Should Reach Upstream    ollama/llama3    two

A Model Behind A Colon Reaches The Second Upstream
    [Tags]    simulator
    Model Should Reach Upstream    ollama:llama3    two

A Stream Is Not Held Back
    [Documentation]    The first token is here long before the last one: the gateway passes on what it gets.
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Set Behaviour    one    inter_token_latency=50ms
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    model=phi-4
    Should Be True    $stream.time_to_first_token < 0.5 * $stream.elapsed
    Should Be True    len({chunk.arrival for chunk in $stream.tokens}) > 2

A Client That Leaves Ends The Work Of The Upstream
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    ${before} =    Get Server Counters    cancelled    server=one
    Set Behaviour    one    mode=echo    inter_token_latency=40ms
    ${stream} =    Stream Chat    ${LONG_PROMPT}    model=phi-4    cancel_after=2
    Should Be True    ${stream.cancelled}
    Get Server Counters    cancelled    ==    ${before + 1}    server=one    within=5 s
    Get Server Counters    in_flight    ==    0    server=one    within=5 s

An Upstream That Is Down Is A Provider Error
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Start Server    gateway    upstream=inference=${NOBODY};phi-4
    ${reply} =    Chat    Hi    model=phi-4    expected_status=502
    Get Answer Value    ${reply}    error.type    ==    provider_error
    Get Answer Value    ${reply}    error.provider    ==    inference
    Send Request    GET    /health    expected_status=200
    Send Request    GET    /health/ready    expected_status=503

An Upstream That Is Silent Is A Provider Error In Time
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    ${silent} =    Get Server    server=one
    Set Behaviour    one    time_to_first_token=30s
    Start Server    gateway    upstream=inference=${silent.base_url};phi-4    upstream_timeout=200 ms
    ${reply} =    Chat    Hi    model=phi-4    expected_status=502    timeout=10 s
    Get Answer Value    ${reply}    error.code    ==    provider_timeout

An Upstream That Is Full Says When To Come Again
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Set Behaviour    one    fault=status:code=503,retry_after=3
    ${reply} =    Chat    Hi    model=phi-4    expected_status=503
    Should Be Equal    ${reply.headers}[retry-after]    3

A Stream That An Upstream Cuts Is Noticed
    [Tags]    simulator
    Skip Unless Server Supports    backends of our own
    Set Behaviour    one    fault=cut-after-events:events=3
    Run Keyword And Expect Error    *expected a stream with a proper end, got a connection that broke off*3 events*
    ...    Stream Chat    ${CAPITAL_OF_FRANCE}    model=phi-4


*** Keywords ***
Prepare
    [Documentation]    Meets the gateway; a stand-in gets two simulators as upstreams.
    Skip If Integration Tests Are Off
    VAR    ${upstreams}    ${None}
    IF    not '%{LLM_GATEWAY_URL=}'
        Skip Unless Target Is A Simulator
        ${one} =    Start Server    simulator    model=phi-4    alias=one    arguments=--control-port=0
        ${two} =    Start Server    simulator    model=llama3    alias=two    arguments=--control-port=0
        VAR    @{upstreams}    inference=${one.base_url}    ollama=${two.base_url}
    END
    VAR    @{MESSAGES}    ${{{'role': 'user', 'content': 'Hi'}}}    scope=SUITE
    Use System    %{LLM_GATEWAY_URL=}    gateway    llm-gateway    model=${MODEL}    upstream=${upstreams}

Chat Should Be Refused
    [Documentation]    Sends a right chat, then a wrong one, and expects 422.
    [Arguments]    ${body}
    Chat    Hi    model=${MODEL}    max_tokens=16
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}    expected_status=422
    Get Answer Value    ${reply}    detail    !=    ${EMPTY}

Model Should Reach Upstream
    [Documentation]    Asks for a model and lets the upstream say that it was asked.
    [Arguments]    ${model}    ${upstream}
    Skip Unless Server Supports    backends of our own
    ${before} =    Get Server Counters    completed    server=${upstream}
    Chat    Hi    model=${model}
    Get Server Counters    completed    ==    ${before + 1}    server=${upstream}
