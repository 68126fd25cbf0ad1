*** Settings ***
Documentation    Counters of the server, held against what was sent and got.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target With Metrics

Test Tags        metrics


*** Test Cases ***
Metrics Can Be Read
    ${metrics} =    Get Metrics
    Should Not Be Empty    ${metrics.samples}

Counters Match A Reply
    ${before} =    Get Metrics
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=16
    Counters Should Match    ${before}    ${reply}

Counters Match A Stream
    ${before} =    Get Metrics
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=16    include_usage=True
    Counters Should Match    ${before}    ${stream}

Counters Match Many Answers
    Skip Unless Server Supports    completions
    ${before} =    Get Metrics
    ${replies} =    Call At Once    Chat    ${SHORT_PROMPT}    count=8    max_tokens=16
    ${completion} =    Complete    ${SHORT_PROMPT}    max_tokens=16
    Counters Should Match    ${before}    ${replies}    ${completion}

A Refused Request Is Not Counted As Served
    Skip Unless Server Supports    odd messages are a 4xx
    ${before} =    Get Metrics
    ${right} =    Get Right Chat
    ${accepted} =    Send Request    POST    /v1/chat/completions    ${right}    expected_status=200
    VAR    &{wrong}    &{right}    messages=${7}
    ${refused} =    Body Should Be Refused    POST    /v1/chat/completions    ${wrong}
    Counters Should Match    ${before}    ${accepted}    ${refused}

Running Requests Are Shown
    [Tags]    simulator
    Use Shared Simulator    time_to_first_token=20s
    Start Call    Stream Chat    ${SHORT_PROMPT}
    Wait Until Keyword Succeeds    2 s    20 ms    Get Metric    vllm:num_requests_running    ==    1
    Run Keyword And Expect Error    *is not idle*num_requests_running 1*    Server Should Be Idle    within=50 ms
    Cancel Call
    Server Should Be Idle    within=2 s

Frozen Counters Are Found Out
    [Tags]    simulator
    Use Shared Simulator    fault=metrics-frozen
    ${before} =    Get Metrics
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Run Keyword And Expect Error
    ...    *expected a rise*got 0*
    ...    Counters Should Match
    ...    ${before}
    ...    ${reply}
    ...    within=100 ms


*** Keywords ***
Use Target With Metrics
    [Documentation]    The target; skips the suite unless it counts what it does.
    Use Target And Shared Simulator
    Skip Unless Server Supports    metrics
