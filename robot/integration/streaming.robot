*** Settings ***
Documentation    Streamed answers: order, identity, text, end, usage and time, and streams that are cut.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        streaming


*** Test Cases ***
A Stream Comes In Order
    [Tags]    smoke
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    include_usage=True
    Stream Should Be In Order    ${stream}
    Stream Should Have At Least 3 Chunks    ${stream}

A Stream Has One Id
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16
    Stream Should Have One Id    ${stream}

A Stream Says What A Reply Says
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0    seed=1
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0    seed=1
    Should Not Be Empty    ${reply.text}
    Should Be Equal    ${stream.text}    ${reply.text}
    Finish Reason Should Be    ${stream}    ${reply.finish_reason}

A Stream Ends With Its Finish Reason And Done
    [Tags]    smoke
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=200    temperature=0
    Finish Reason Should Be    ${stream}    stop
    Stream Should End With Done    ${stream}
    ${cut} =    Stream Completion    ${LONG_PROMPT}    max_tokens=3    extra={"ignore_eos": true}
    Finish Reason Should Be    ${cut}    length
    Stream Should End With Done    ${cut}

Usage Comes When It Is Asked For
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16    include_usage=True
    Usage Should Add Up    ${stream}
    ${without} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Be Equal    ${without.usage}    ${None}

The First Token Comes Before The Last
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32
    ${first} =    Get Time To First Token    ${stream}    >    0 s
    Get Elapsed Time    ${stream}    >=    ${first}
    Should Be Equal As Integers    ${{len($stream.gaps)}}    ${{len($stream.tokens) - 1}}

The Simulator Keeps Its Latencies
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    Start Server    simulator    time_to_first_token=80 ms    inter_token_latency=10 ms
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}
    Get Time To First Token    ${stream}    >=    80 ms
    Should Be True    sum($stream.gaps) >= 0.009 * len($stream.gaps) > 0

A Stream That Is Closed In The Middle Is Noticed
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    Cut Should Be Noticed    close

A Stream That Is Reset In The Middle Is Noticed
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    Cut Should Be Noticed    reset

A Stream Without Done Is Noticed
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    headers={"X-Inference-Fault": "missing-done"}
    Run Keyword And Expect Error    *exactly one ?DONE?*got 0*    Stream Should End With Done    ${stream}


*** Keywords ***
Cut Should Be Noticed
    [Documentation]    Has a stream cut after three events and expects the error, and the record of what had arrived.
    [Arguments]    ${how}
    VAR    ${fault}    cut-after-events:events=3,how=${how}
    TRY
        Stream Chat    ${CAPITAL_OF_FRANCE}    headers={"X-Inference-Fault": "${fault}"}
    EXCEPT    *expected a stream with a proper end, got*after 3 events*    type=GLOB    AS    ${error}
        Log    ${error}
    ELSE
        Fail    The cut (${how}) was not noticed.
    END
    ${stream} =    Stream Chat
    ...    ${CAPITAL_OF_FRANCE}
    ...    headers={"X-Inference-Fault": "${fault}"}
    ...    allow_broken=True
    Length Should Be    ${stream.chunks}    3
    Run Keyword And Expect Error    *broke off*    Stream Should End With Done    ${stream}
