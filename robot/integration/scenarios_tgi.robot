*** Settings ***
Documentation    Scenarios of Text Generation Inference's own tests, on the target.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        scenarios


*** Variables ***
${WEATHER}    {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
${PERSON}
...           {"type": "object", "properties": {"name": {"type": "object", "properties": {"first": {"type": "string"}},
...           "required": ["first"]}, "age": {"type": "integer"}}, "required": ["name", "age"]}


*** Test Cases ***
A List Of Prompts Has A Choice Each
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    several prompts
    ${reply} =    Complete    ["Say this is a test", "Say this is a joke"]    max_tokens=16
    Choices Should Be    ${reply}    2

A Stream Of Several Prompts Has Each Of Them
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    several prompts
    Skip Unless Server Supports    several prompts in streams
    ${stream} =    Stream Completion    ["Say", "this", "is", "a test"]    max_tokens=16
    Choices Should Be    ${stream}    4

Answers That Run Together Are Equal
    Skip Unless Server Supports    repeatable answers
    ${replies} =    Call At Once    Chat    ${CAPITAL_OF_FRANCE}    count=4    temperature=0    seed=0    max_tokens=16
    FOR    ${reply}    IN    @{replies}
        Answers Should Agree    ${replies}[0]    ${reply}
    END

An Answer Fits A Nested Schema
    Skip Unless Server Supports    json schema
    ${reply} =    Chat    Who are you?    response_format=${PERSON}    max_tokens=200
    Answer Should Fit Schema    ${reply}    ${PERSON}

A Tool Is Called By Name
    Skip Unless Server Supports    named tools
    ${reply} =    Chat    How warm is it in Paris?    tools=${WEATHER}    tool_choice=weather
    Tool Should Be Called    ${reply}    weather
    Tool Calls Should Be Sound    ${reply}

A Tool Is Called In A Stream
    Skip Unless Server Supports    named tools
    Skip Unless Server Supports    tool calls in streams
    ${stream} =    Stream Chat    How warm is it in Paris?    tools=${WEATHER}    tool_choice=weather
    Tool Should Be Called    ${stream}    weather
    Finish Reason Should Be    ${stream}    tool_calls

The Result Of A Tool Is Taken In Each API
    [Template]    Take The Result Of A Tool
    Chat    chat
    Respond    responses    tool calls in responses    tool results in responses
    Send Message    messages

No Tool Is Called When None May Be
    Skip Unless Server Supports    forbidden tools
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    tools=${WEATHER}    tool_choice=none
    No Tool Should Be Called    ${reply}

An Answer Ends At Its Limit And At A Stop Word
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    ignore_eos
    Skip Unless Server Supports    stop texts
    Skip Unless Server Supports    known answers
    ${reply} =    Complete    ${LONG_PROMPT}    max_tokens=16    extra={"ignore_eos": true}
    Usage Should Be    ${reply}    completion=16
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=64    stop=France
    Finish Reason Should Be    ${reply}    stop

An Error Says Its Kind
    Skip Unless Server Supports    unknown model is refused
    Chat    ${SHORT_PROMPT}    max_tokens=16
    ${reply} =    Chat    ${SHORT_PROMPT}    model=no-such-model    expected_status=[400, 404]
    Error Should Be    ${reply}    error_message=no-such-model


*** Keywords ***
Take The Result Of A Tool
    [Documentation]    Calls a tool by a keyword, and continues with what the tool gave.
    [Arguments]    ${ask}    ${route}    @{needs}
    FOR    ${need}    IN    named tools    tool results    ${route}    @{needs}
        Skip Unless Server Supports    ${need}
    END
    ${reply} =    Run Keyword    ${ask}    How warm is it?    tools=${WEATHER}    tool_choice=weather    max_tokens=64
    ${messages} =    Add Tool Results    How warm is it?    ${reply}    {"weather": {"celsius": 21}}
    ${reply} =    Run Keyword    ${ask}    ${messages}    max_tokens=64
    Get Answer Text    ${reply}    !=    ${EMPTY}
