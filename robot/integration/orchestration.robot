*** Settings ***
Documentation    A service of several models: health, models, completions, orchestration, task types, priorities, load.
...
...              Runs against the simulator in place of inference-service. INFERENCE_SERVICE_URL names the real one,
...              INFERENCE_SERVICE_MODEL one of its models; else the first loaded one is taken.

Resource         ../../resources/systems.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Prepare

Test Tags        orchestration


*** Variables ***
${MODEL}    %{INFERENCE_SERVICE_MODEL=}


*** Test Cases ***
The Service Is Healthy
    [Tags]    smoke
    ${reply} =    Send Request    GET    /health    expected_status=200
    Get Answer Value    ${reply}    status    ==    ok

Readiness Says Which Models Are Loaded
    [Tags]    smoke
    ${reply} =    Send Request    GET    /health/ready    expected_status=200
    Get Answer Value    ${reply}    status    ==    ready
    Get Answer Value    ${reply}    loaded_models    contains    ${MODEL}

A Service Without Models Is Not Ready
    [Tags]    simulator    covers:service-no-models
    Skip Unless Server Supports    fault injection
    Start Server    service    loaded_models=none
    ${reply} =    Send Request    GET    /health/ready    expected_status=503
    Get Answer Value    ${reply}    status    ==    not_ready
    Get Answer Value    ${reply}    reason    !=    ${EMPTY}

Models Are Listed With Their State
    ${reply} =    Send Request    GET    /v1/models    expected_status=200
    FOR    ${model}    IN    @{reply.json}[data]
        Should Be True    $model['status'] in ('loaded', 'available')    ${model}
        Should Be True    $model['memory_mb'] > 0 and $model['context_length'] > 0
        Should Not Be Empty    ${model}[roles]
    END

A Completion Is Answered
    [Tags]    smoke    requires-model    covers:service-single
    ${reply} =    Chat    What is 2 + 2?    model=${MODEL}    max_tokens=50
    Should Start With    ${reply.id}    chatcmpl-
    Get Answer Value    ${reply}    object    ==    chat.completion
    Should Be True    $reply.finish_reason in ('stop', 'length', 'content_filter')
    Usage Should Add Up    ${reply}

A Stream Is Answered
    [Tags]    smoke    requires-model    covers:service-streaming
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    model=${MODEL}    max_tokens=32
    Get Chunk Count    ${stream}    >=    2
    Stream Should Have One Id    ${stream}
    Stream Should Be In Order    ${stream}
    Stream Should End With Done    ${stream}

Mode Single Asks One Model
    [Tags]    requires-model    covers:service-modes    covers:service-metadata    rule:o2    rule:o3
    Mode Should Work    single    1

Mode Critique Asks Several Models
    [Tags]    requires-model    covers:service-modes    covers:service-metadata    rule:o1    rule:o4
    Mode Should Work    critique    2

Mode Debate Asks Several Models
    [Tags]    requires-model    covers:service-modes    covers:service-metadata
    Mode Should Work    debate    2

Mode Ensemble Asks Several Models
    [Tags]    requires-model    covers:service-modes    covers:service-metadata
    Mode Should Work    ensemble    2

Mode Pipeline Asks Several Models
    [Tags]    requires-model    covers:service-modes    covers:service-metadata
    Mode Should Work    pipeline    2

Critique Really Asks Two Models
    [Documentation]    The service itself says how many texts its models generated.
    [Tags]    simulator    covers:service-critique
    Skip Unless Server Supports    counters
    ${before} =    Get Generations
    ${reply} =    Chat    ${SHORT_PROMPT}    model=${MODEL}    extra={"orchestration_mode": "critique"}
    ${after} =    Get Generations
    Should Be Equal As Integers    ${{sum($after.values()) - sum($before.values())}}    2
    FOR    ${model}    IN    @{reply.json}[orchestration][models_used]
        Should Be True    $after['${model}'] == $before.get('${model}', 0) + 1
    END

Too Few Models For A Mode Are Named
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Start Server    service    loaded_models=phi-4
    ${reply} =    Chat    Hi    extra={"orchestration_mode": "critique"}    expected_status=400
    Get Answer Value    ${reply}    error.code    ==    VALIDATION_ERROR
    Get Answer Value    ${reply}    error.message    contains    needs 2 loaded models

A Code Task Is Taken
    [Tags]    requires-model    covers:service-task-types
    Request Should Be Answered    {"task_type": "code"}

A Reasoning Task Is Taken
    [Tags]    requires-model    covers:service-task-types
    Request Should Be Answered    {"task_type": "reasoning"}

The Lowest Priority Is Taken
    [Tags]    requires-model    covers:service-task-types
    Request Should Be Answered    {"priority": 1}

The Usual Priority Is Taken
    [Tags]    requires-model    covers:service-task-types
    Request Should Be Answered    {"priority": 2}

The Highest Priority Is Taken
    [Tags]    requires-model    covers:service-task-types
    Request Should Be Answered    {"priority": 3}

A Chat Without Messages Is Refused
    Request Should Get Status    {"messages": []}    422

A Temperature Above Two Is Refused
    Request Should Get Status    {"temperature": 9}    422

A Negative Number Of Tokens Is Refused
    Request Should Get Status    {"max_tokens": -1}    422

An Unknown Mode Does Not Fail
    Request Should Get Status    {"orchestration_mode": "chaos"}    200    400    422

An Unknown Task Type Does Not Fail
    Request Should Get Status    {"task_type": "cooking"}    200    400    422

A Model That Is Not Loaded Is 404
    Chat    Hi    model=${MODEL}    max_tokens=16
    ${reply} =    Chat    Hi    model=no-such-model    expected_status=404
    Get Answer Value    ${reply}    detail    contains    no-such-model

Models Are Loaded And Unloaded
    [Tags]    simulator    covers:service-load-model
    Skip Unless Server Supports    model loading
    Start Server    service
    ${full} =    Send Request    POST    /v1/models/qwen2.5-7b/load    expected_status=507
    Get Answer Value    ${full}    detail    contains    MB
    Send Request    POST    /v1/models/deepseek-r1-7b/unload    expected_status=200
    ${loaded} =    Send Request    POST    /v1/models/qwen2.5-7b/load    expected_status=200
    Get Answer Value    ${loaded}    status    ==    loaded
    Chat    Hi    model=qwen2.5-7b
    Chat    Hi    model=deepseek-r1-7b    expected_status=404
    Send Request    POST    /v1/models/no-such-model/load    expected_status=404

A Model's Context Is Configured
    [Tags]    simulator
    Skip Unless Server Supports    model loading
    ${changed} =    Send Request    PATCH    /v1/models/qwen2.5-7b/config    {"context_length": 64}
    Get Answer Value    ${changed}    updated_fields    ==    ["context_length"]
    Send Request    PATCH    /v1/models/no-such-model/config    {"context_length": 64}    expected_status=404

Five Requests At Once Are Answered
    [Tags]    requires-model
    ${replies} =    Call At Once    Chat    ${SHORT_PROMPT}    count=5    max_tokens=16
    Length Should Be    ${replies}    5

A Full Queue Says When To Come Again
    [Tags]    simulator    covers:service-flood
    Skip Unless Server Supports    fault injection
    Start Server    service    queue_max_size=1    time_to_first_token=200 ms
    ${results} =    Call At Once    Chat    ${SHORT_PROMPT}    count=5    allow_failures=True
    ${full} =    Evaluate    [result for result in $results if getattr(result, 'status', None) == 503]
    Length Should Be    ${full}    3
    FOR    ${error}    IN    @{full}
        Should Be Equal    ${error.headers}[retry-after]    5
        Should Contain    ${error.body}    "retry_after_seconds":5
    END

A Stream That Breaks Off Is Noticed
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Run Keyword And Expect Error    *expected a stream with a proper end*after 3 events*
    ...    Stream Chat    Hi    model=${MODEL}    headers={"X-Inference-Fault": "cut-after-events:events=3"}


*** Keywords ***
Prepare
    [Documentation]    Meets the service, and takes its first loaded model unless one is given.
    ${server} =    Use System    %{INFERENCE_SERVICE_URL=}    service    inference-service    control_port=0
    ...    scenario=capitals
    IF    not $MODEL
        ${reply} =    Send Request    GET    /v1/models    expected_status=200
        ${loaded} =    Evaluate    [model['id'] for model in $reply.json['data'] if model['status'] == 'loaded']
        Skip If    not $loaded    The service has no loaded model. POST /v1/models/NAME/load loads one.
        VAR    ${MODEL}    ${loaded}[0]    scope=SUITE
    END
    Evaluate    setattr($server.client, 'model', $MODEL)

Mode Should Work
    [Documentation]    Asks in a mode, and compares the metadata with what the mode means. They are checked where the
    ...    service gives them; a mode that it refuses with 400 is skipped.
    [Arguments]    ${mode}    ${at_least}
    VAR    ${extra}    {"orchestration_mode": "${mode}"}
    ${reply} =    Chat    Hi    model=${MODEL}    max_tokens=20    extra=${extra}    expected_status=200,400
    Skip If    ${reply.status} == 400    The service refuses mode ${mode}: ${reply}
    Get Answer Text    ${reply}    !=    ${EMPTY}
    TRY
        ${found} =    Get Answer Value    ${reply}    orchestration
    EXCEPT    Answer: expected 'orchestration'    type=START
        Skip    The service gives no orchestration metadata for mode ${mode}.
    END
    Metadata Should Fit    ${found}    ${mode}    ${at_least}

Metadata Should Fit
    [Documentation]    Checks the metadata of one answer.
    [Arguments]    ${found}    ${mode}    ${at_least}
    Should Be Equal    ${found}[mode]    ${mode}
    ${used} =    Get Length    ${found}[models_used]
    Should Be True    ${used} >= ${at_least}
    Should Be True    ($mode == 'single') == (${used} == 1)
    Should Be True    $found.get('rounds', 1) >= 1
    Should Be True    0 <= $found.get('confidence', 0) <= 1
    Should Be True    0 <= $found.get('agreement_score', 0) <= 1

Request Should Be Answered
    [Documentation]    Asks with further keys and expects a text.
    [Arguments]    ${extra}
    ${reply} =    Chat    ${SHORT_PROMPT}    model=${MODEL}    max_tokens=20    extra=${extra}
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

Request Should Get Status
    [Documentation]    Asks with odd keys and expects one of the statuses. Several are allowed where the documents of
    ...    inference-service leave it open.
    [Arguments]    ${extra}    @{statuses}
    Chat    Hi    model=${MODEL}    max_tokens=16
    Chat    Hi    model=${MODEL}    max_tokens=16    extra=${extra}    expected_status=${statuses}

Get Generations
    [Documentation]    Returns how many texts each model of the service has generated so far.
    ${counters} =    Get Server Counters
    RETURN    ${counters}[generations]
