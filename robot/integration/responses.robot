*** Settings ***
Documentation    The Responses API: whole and streamed, the order of its typed events, tools and limits.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    responses

Test Tags        responses


*** Variables ***
&{ANY_OBJECT}    type=object
${CLOCK}
...              {"name": "get_time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


*** Test Cases ***
A Response Is Complete
    [Tags]    rule:rs1    rule:rs2    rule:rs14
    Skip Unless Server Supports    whole responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Get Answer Value    ${reply}    object    ==    response
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Usage Should Add Up    ${reply}
    Answer Should End By Itself    ${reply}    completed    max_output_tokens    64

A Streamed Response Comes In Order
    [Tags]    rule:rs3    rule:rs4    rule:rs5    rule:rs6    rule:rs7    rule:rs20    rule:rs21    rule:rs23
    Skip Unless Server Supports    sequence numbers in responses
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Stream Should Be In Order    ${stream}
    Stream Should Come In Pieces    ${stream}

Streamed And Whole Responses Agree
    [Tags]    rule:rs8
    Skip Unless Server Supports    whole responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

A Response Agrees With A Chat
    Skip Unless Server Supports    whole responses
    Skip Unless Server Supports    chat
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    ${chat} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=64    temperature=0
    Answers Should Agree Where They Repeat    ${reply}    ${chat}

A Response Fits Its Schema
    [Tags]    rule:rs17
    Skip Unless Server Supports    whole responses
    Skip Unless Server Supports    json schema in responses
    ${reply} =    Respond    ${JSON_PROMPT}    response_format=${ANY_OBJECT}    max_tokens=200
    Answer Should Fit Schema    ${reply}    ${ANY_OBJECT}

Instructions Are Taken
    Skip Unless Server Supports    whole responses
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    system=You are terse.    max_tokens=64
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

The Token Limit Makes A Response Incomplete
    [Tags]    rule:rs11
    Skip Unless Server Supports    whole responses
    Skip Unless Server Supports    incomplete responses
    ${reply} =    Respond    ${STORY_PROMPT}    max_tokens=16    temperature=0
    Skip If Answer Was Shorter    ${reply}    16
    Finish Reason Should Be    ${reply}    max_output_tokens

A Response Calls A Tool
    [Tags]    rule:rs16    rule:rs18
    Skip Unless Server Supports    tool calls
    Skip Unless Server Supports    whole responses
    Skip Unless Server Supports    tool calls in responses
    ${reply} =    Respond    What time is it?    tools=${CLOCK}    tool_choice=required
    Tool Should Be Called    ${reply}    get_time

A Streamed Response Calls A Tool
    [Tags]    rule:rs9
    Skip Unless Server Supports    tool calls
    Skip Unless Server Supports    tool calls in responses
    ${stream} =    Stream Response    What time is it?    tools=${CLOCK}    tool_choice=required
    Tool Should Be Called    ${stream}    get_time
    Stream Should Be In Order    ${stream}

A Response Without Input Is Refused
    Skip Unless Server Supports    responses without input are refused
    ${server} =    Get Server
    VAR    &{right}    model=${server.model}    input=Say one word.    max_output_tokens=${64}
    Body Change Should Be Refused    POST    /v1/responses    ${right}    input    status=400,422

A Gap In The Sequence Numbers Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=RS4
    ${stream} =    Stream Response    ${CAPITAL_OF_FRANCE}    headers={"X-Inference-Fault": "sequence-gap"}
    Run Keyword And Expect Error    *RS4:*    Stream Should Be In Order    ${stream}
