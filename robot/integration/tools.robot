*** Settings ***
Documentation    Calls of tools: chosen, forced and forbidden, in one piece and streamed, and what follows them.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    tool calls

Test Tags        tools


*** Variables ***
&{CITY}          type=string
&{PROPERTIES}    city=${CITY}
@{REQUIRED}      city
&{PARAMETERS}    type=object    properties=${PROPERTIES}    required=${REQUIRED}
&{WEATHER}       name=get_weather    description=Weather of a city    parameters=${PARAMETERS}
&{CLOCK}         name=get_time    description=Time in a city    parameters=${PARAMETERS}
@{TOOLS}         ${WEATHER}    ${CLOCK}


*** Test Cases ***
A Required Tool Is Called
    [Tags]    rule:n6    rule:t5    rule:t6
    ${reply} =    Chat    How is the weather in Paris?    tools=${TOOLS}    tool_choice=required
    Finish Reason Should Be    ${reply}    tool_calls
    Tool Calls Should Be Sound    ${reply}    ${TOOLS}

A Named Tool Is Called
    [Tags]    rule:t7
    Skip Unless Server Supports    named tools
    ${reply} =    Chat    How late is it in Paris?    tools=${TOOLS}    tool_choice=get_time
    ${call} =    Tool Should Be Called    ${reply}    get_time
    Should Not Be Empty    ${call.id}
    Should Contain    ${call.input}    city

A Tool Without Parameters Is Called
    Skip Unless Server Supports    tools without parameters
    ${reply} =    Chat    What time is it?    tools={"name": "get_time"}    tool_choice=required
    Tool Should Be Called    ${reply}    get_time

A Forbidden Tool Is Not Called
    [Tags]    rule:t8
    Skip Unless Server Supports    forbidden tools
    ${reply} =    Chat    How is the weather in Paris?    tools=${TOOLS}    tool_choice=none
    No Tool Should Be Called    ${reply}

A Streamed Call Comes In Order
    [Tags]    rule:t1    rule:t2    rule:t4
    Skip Unless Server Supports    tool calls in streams
    ${stream} =    Stream Chat    How is the weather in Paris?    tools=${TOOLS}    tool_choice=required
    Tool Calls Should Be Sound    ${stream}    ${TOOLS}
    Finish Reason Should Be    ${stream}    tool_calls
    Stream Should End With Done    ${stream}

Streamed And Whole Calls Are The Same
    Skip Unless Server Supports    scripted answers
    Skip Unless Server Supports    tool calls in streams
    ${reply} =    Chat    How is the weather?    tools=${TOOLS}    tool_choice=required    seed=3
    ${stream} =    Stream Chat    How is the weather?    tools=${TOOLS}    tool_choice=required    seed=3
    Answers Should Agree    ${reply}    ${stream}

The Result Of A Tool Is Taken
    Skip Unless Server Supports    named tools
    VAR    ${question}    How warm is it in Paris?
    ${reply} =    Chat    ${question}    tools=${TOOLS}    tool_choice=get_weather
    ${messages} =    Add Tool Results    ${question}    ${reply}    {"get_weather": {"celsius": 21}}
    Length Should Be    ${messages}    3
    ${answer} =    Chat    ${messages}    max_tokens=32
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.

A Tool Without A Name Is Refused
    Skip Unless Server Supports    tools without a name are refused
    ${right} =    Get Right Chat
    Chat    ${SHORT_PROMPT}    tools=${TOOLS}    max_tokens=64
    ${error} =    Body Change Should Be Refused    POST    /v1/chat/completions    ${right}
    ...    tools    [{"type": "function", "function": {"description": "none"}}]    status=400,422
    Error Should Be    ${error}    error_category=INVALID_REQ

A Call Without An Index Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-index-missing    T1

A Gap In The Indices Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-index-wrong    T4

A Call Without A Name Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-name-missing    T2    T7

A Call Without An Id Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-id-missing    T2

An Id That Comes Again Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-id-repeated    T3

Arguments That Are Not JSON Are Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-arguments-broken    T5

Arguments That Do Not Fit Are Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-arguments-misfit    T5

A Tool That Was Not Offered Is Found Out
    [Tags]    simulator
    Fault In Tool Calls Should Be Found    tool-name-unknown    T8    T7


*** Keywords ***
Fault In Tool Calls Should Be Found
    [Documentation]    A stream of tool calls with this fault is called unsound, by the first of the rules
    ...    that the fault breaks.
    [Arguments]    ${fault}    @{rules}
    Skip Unless Server Supports    fault injection
    Skip Unless Server Supports    tool calls in streams
    VAR    &{headers}    X-Inference-Fault=${fault}
    Use Rules    fail    leave_out=${rules}
    ${stream} =    Stream Chat
    ...    How is the weather in Paris?
    ...    tools=${TOOLS}
    ...    tool_choice=get_weather
    ...    headers=${headers}
    Run Keyword And Expect Error    *${rules}[0]: *    Tool Calls Should Be Sound    ${stream}    ${TOOLS}
