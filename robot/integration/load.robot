*** Settings ***
Documentation    Many requests at once, for their function: all are answered, none is mixed up, too many are told so.

Library          Collections
Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target And Shared Simulator

Test Tags        load


*** Test Cases ***
Ten Requests At Once Are Answered In Time
    [Tags]    smoke    covers:service-ten-concurrent    covers:batch-concurrent
    ${results} =    Call At Once
    ...    Chat
    ...    ${SHORT_PROMPT}
    ...    count=10
    ...    max_tokens=16
    ...    timeout=30 s
    ...    allow_failures=True
    All Requests Should Succeed    ${results}    within=30 s

Ten Streams At Once Are Whole
    ${streams} =    Call At Once    Stream Chat    ${SHORT_PROMPT}    count=10    max_tokens=16    timeout=30 s
    FOR    ${stream}    IN    @{streams}
        Stream Should End With Done    ${stream}
        Stream Should Have One Id    ${stream}
    END

Answers Are Not Mixed Up
    [Tags]    simulator    covers:worker-concurrent
    Use Shared Simulator    mode=echo    inter_token_latency=2ms
    VAR    @{prompts}    @{EMPTY}
    FOR    ${number}    IN RANGE    20
        VAR    @{prompts}    @{prompts}    request number ${number}, and no other.
    END
    ${replies} =    Call At Once    Chat    ${prompts}
    Each Answer Should Belong To Its Request    ${replies}

Streams Are Not Mixed Up
    [Tags]    simulator    covers:worker-concurrent
    Use Shared Simulator    mode=echo    inter_token_latency=2ms
    VAR    @{prompts}    @{EMPTY}
    FOR    ${number}    IN RANGE    20
        VAR    @{prompts}    @{prompts}    request number ${number}, and no other.
    END
    ${streams} =    Call At Once    Stream Chat    ${prompts}
    Each Answer Should Belong To Its Request    ${streams}

Short And Long Requests Share The Server
    VAR    @{prompts}    ${SHORT_PROMPT}    ${LONG_PROMPT}    ${CAPITAL_OF_FRANCE}
    ${results} =    Call At Once    Chat    ${prompts}    count=3    max_tokens=16    allow_failures=True
    All Requests Should Succeed    ${results}

Some Failures Are Tolerated
    [Tags]    simulator    covers:service-pass-rate
    Use Shared Simulator    fault=status:code=503,first=2
    ${results} =    Call At Once    Chat    ${SHORT_PROMPT}    count=10    allow_failures=True
    Success Rate Should Be At Least    ${results}    80 %
    Run Keyword And Expect Error    *got 80 % (8 of 10)*    Success Rate Should Be At Least    ${results}    81 %
    Run Keyword And Expect Error    *got 80 %*got 503*    All Requests Should Succeed    ${results}

A Flood Is Answered Or Refused, Nothing Else
    [Tags]    simulator    covers:service-flood
    Use Shared Simulator    time_to_first_token=50ms    max_num_seqs=${2}    max_waiting_queue_length=${3}
    ${results} =    Call At Once    Chat    ${SHORT_PROMPT}    count=25    timeout=20 s    allow_failures=True
    Only These Statuses Should Occur    ${results}    200    429
    ${refused} =    Evaluate    [r for r in $results if r.status == 429]
    Should Not Be Empty    ${refused}
    ${next} =    Chat    ${SHORT_PROMPT}
    Should Not Be Empty    ${next.text}    Answer: expected a text, got none: ${next}.

An Unexpected Status Is Found Out
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=500,first=1
    ${results} =    Call At Once    Chat    ${SHORT_PROMPT}    count=5    allow_failures=True
    Run Keyword And Expect Error
    ...    *expected only 200, 503, got*1 x 500*
    ...    Only These Statuses Should Occur
    ...    ${results}
    ...    200
    ...    503

Answers Pass At A Rate
    [Tags]    covers:router-capital-rate
    Skip Unless Server Supports    known answers
    Pass Rate Should Be At Least    0.8    of 5    The Capital Should Be Known

A Server Goes On After A Storm Of Cancelled Calls
    [Tags]    simulator
    Use Shared Simulator    time_to_first_token=300ms
    ${results} =    Call At Once    Chat    ${SHORT_PROMPT}    count=20    timeout=100 ms    allow_failures=True
    Length Should Be    ${results.failures}    20
    Server Should Be Idle    within=2 s


*** Keywords ***
The Capital Should Be Known
    [Documentation]    Asks for the capital of France and expects it in the answer, spelt in any way.
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0
    Answer Should Contain Any    ${reply}    Paris    Lutetia
