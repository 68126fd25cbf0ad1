*** Settings ***
Documentation    The Messages API of Anthropic: whole and streamed, blocks in order, counted tokens, tools, errors.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    messages

Test Tags        messages


*** Variables ***
${CLOCK}    {"name": "get_time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


*** Test Cases ***
A Message Is Answered
    [Tags]    rule:a10    rule:a13    rule:a17
    ${reply} =    Send Message    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Get Answer Value    ${reply}    type    ==    message
    Should Be Equal    ${reply.role}    assistant
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Usage Should Add Up    ${reply}
    Answer Should End By Itself    ${reply}    end_turn    max_tokens    64

A Streamed Message Comes In Order
    [Tags]    rule:a1    rule:a2    rule:a3    rule:a4    rule:a9
    ${stream} =    Stream Message    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Stream Should Be In Order    ${stream}
    Stream Should Come In Pieces    ${stream}
    Answer Should End By Itself    ${stream}    end_turn    max_tokens    64

Streamed And Whole Messages Agree
    ${reply} =    Send Message    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${stream} =    Stream Message    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

A Message Agrees With A Chat
    Skip Unless Server Supports    chat
    ${message} =    Send Message    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${chat} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree Where They Repeat    ${message}    ${chat}

Tokens Are Counted Without Generating
    [Tags]    rule:a15
    Skip Unless Server Supports    count tokens
    ${count} =    Count Message Tokens    ${CAPITAL_OF_FRANCE}
    Should Be True    ${count} > 0
    ${longer} =    Count Message Tokens    ${LONG_PROMPT}
    Should Be True    ${longer} > ${count}

The Token Limit Is Told
    [Tags]    rule:a11
    Skip Unless Server Supports    message limits
    ${reply} =    Send Message    ${STORY_PROMPT}    max_tokens=16    temperature=0
    Skip If Answer Was Shorter    ${reply}    16
    Finish Reason Should Be    ${reply}    max_tokens

A Stop Sequence Ends A Message
    [Tags]    rule:a12
    Skip Unless Server Supports    stop sequences in messages
    ${reply} =    Send Message    ${CAPITAL_OF_FRANCE}    stop=is    max_tokens=64    temperature=0
    Should Not Contain    ${reply.text}    is

A Message Uses A Tool
    [Tags]    rule:a14
    Skip Unless Server Supports    tool calls
    ${reply} =    Send Message    What time is it?    tools=${CLOCK}    tool_choice=required
    Tool Should Be Called    ${reply}    get_time
    Finish Reason Should Be    ${reply}    tool_use

A Streamed Message Uses A Tool
    [Tags]    rule:a5
    Skip Unless Server Supports    tool calls
    ${stream} =    Stream Message    What time is it?    tools=${CLOCK}    tool_choice=required
    Tool Should Be Called    ${stream}    get_time
    Stream Should Be In Order    ${stream}

A Tool Without Parameters Is Taken
    Skip Unless Server Supports    tool calls
    Skip Unless Server Supports    tools without parameters
    ${reply} =    Send Message    What time is it?    tools={"name": "get_time"}    tool_choice=required
    Tool Should Be Called    ${reply}    get_time

A Message Without Messages Is Refused
    [Tags]    rule:a7
    Skip Unless Server Supports    empty messages are refused
    ${right} =    Get Right Chat
    ${reply} =    Body Change Should Be Refused
    ...    POST    /v1/messages    ${right}    messages    []    status=400,422
    Should Not Be Empty    ${reply.error.message}    Error: expected a message, got none: ${reply}.

A Wrong Index Of A Block Is Found Out
    [Tags]    simulator
    Disorder In A Message Should Be Found    block-index-wrong    A3

A Block Without An End Is Found Out
    [Tags]    simulator
    Disorder In A Message Should Be Found    block-stop-missing    A1    A3


*** Keywords ***
Disorder In A Message Should Be Found
    [Documentation]    A stream with this fault is called out of order, by the first of the rules
    ...    that the fault breaks.
    [Arguments]    ${fault}    @{rules}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    Use Rules    fail    leave_out=${rules}
    ${stream} =    Stream Message    ${CAPITAL_OF_FRANCE}    headers=${headers}
    Run Keyword And Expect Error    *${rules}[0]: *    Stream Should Be In Order    ${stream}
