*** Settings ***
Documentation    The Responses API: whole and streamed, the order of its typed events, tools and limits.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        responses


*** Test Cases ***
A Response Is Complete
    Skip Unless Server Supports    responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Should Be Equal    ${reply.json}[object]    response
    Finish Reason Should Be    ${reply}    completed
    Get Text    ${reply}    matches    ${PATTERN_CAPITAL_OF_FRANCE}
    Usage Should Add Up    ${reply}

A Streamed Response Comes In Order
    Skip Unless Server Supports    responses
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Skip Unless Server Supports    sequence numbers in responses
    Typed Events Should Be In Order    ${stream}
    Stream Should Have At Least 3 Chunks    ${stream}

Streamed And Whole Responses Agree
    Skip Unless Server Supports    responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree    ${reply}    ${stream}

A Response Agrees With A Chat
    Skip Unless Server Supports    responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${chat} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree    ${reply}    ${chat}

Instructions Are Taken
    Skip Unless Server Supports    responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    instructions=You are terse.    max_tokens=64
    Should Not Be Empty    ${reply.text}

The Token Limit Makes A Response Incomplete
    Skip Unless Server Supports    incomplete responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=3    temperature=0
    Finish Reason Should Be    ${reply}    max_output_tokens

A Response Calls A Tool
    Skip Unless Server Supports    tool calls
    ${reply} =    Respond    ${SHORT_PROMPT}    tools={"name": "get_time"}    tool_choice=required
    Tool Should Be Called    ${reply}    get_time
    ${stream} =    Stream Response    ${SHORT_PROMPT}    tools={"name": "get_time"}    tool_choice=required
    Tool Should Be Called    ${stream}    get_time
    Typed Events Should Be In Order    ${stream}

A Response Without Input Is Refused
    Skip Unless Server Supports    responses
    ${reply} =    Send Request    POST    /v1/responses    {"model": "x"}
    Should Be True    400 <= ${reply.status} < 500

Disorder Is Found Out
    [Tags]    mock
    [Setup]    Skip Unless Server Supports    fault injection
    [Template]    Disorder In A Response Should Be Found
    sequence-gap    sequence_number


*** Keywords ***
Disorder In A Response Should Be Found
    [Documentation]    A stream with this fault is called out of order, in these words.
    [Arguments]    ${fault}    ${told}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    headers=${headers}
    Run Keyword And Expect Error    *${told}*    Typed Events Should Be In Order    ${stream}
