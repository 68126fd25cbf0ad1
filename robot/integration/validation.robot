*** Settings ***
Documentation    Wrong chats: each differs from a right one, which is answered first, in one thing; it is refused with
...              what is wrong with it, and the next good one is served.

Resource         ../../resources/target.resource

Suite Setup      Use Target That Supports    chat
Test Template    Difference Should Be Refused

Test Tags        api    covers:router-validation


*** Variables ***
@{NO_MESSAGES}     @{EMPTY}
# What is not said to be JSON may be taken all the same: a rule that should be kept tells of it.
@{TAKEN_OR_NOT}    200    400    415    422


*** Test Cases ***    FIELD    VALUE    NEEDS
Messages That Are A Number    messages    ${7}    odd messages are a 4xx
A Temperature That Is A Word    temperature    hot    odd temperatures are a 4xx
A Token Limit That Is A Word    max_tokens    many    odd values are a 4xx
A Message Without A Role    messages    ${{[{'content': 'no role'}]}}    messages without a role are refused
No Messages    messages    ${NO_MESSAGES}    empty chats are refused
A Negative Token Limit    max_tokens    ${-5}    limits below zero are refused
A Body That Is Not JSON
    [Tags]    rule:r5    rule:r8
    [Template]    Chat Should Be Refused
    {"messages":    unparsable JSON is a 400
A Body That Is A List
    [Template]    Chat Should Be Refused
    \[]    odd bodies are a 4xx
A Body That Is A Text
    [Template]    Chat Should Be Refused
    "text"    odd bodies are a 4xx
A Body That Is A Number
    [Template]    Chat Should Be Refused
    7    odd bodies are a 4xx
A Body That Is Not Said To Be JSON
    [Template]    None
    Skip Unless Server Supports    odd values are a 4xx
    ${right} =    Get Right Chat
    Send Request    POST    /v1/chat/completions    ${right}    expected_status=200
    ${reply} =    Send Request
    ...    POST    /v1/chat/completions    ${right}    headers={"Content-Type": "text/plain"}
    ...    expected_status=${TAKEN_OR_NOT}
    IF    ${reply.status} > 200
        Error Should Be    ${reply}    status=400,415,422
    END


*** Keywords ***
Difference Should Be Refused
    [Documentation]    A chat that differs from a right one in this field.
    [Arguments]    ${field}    ${value}    ${needs}=${EMPTY}
    IF    $needs    Skip Unless Server Supports    ${needs}
    ${right} =    Get Right Chat
    Chat Should Be Refused    ${{{**$right, $field: $value}}}

Chat Should Be Refused
    [Documentation]    With 400 or 422 and an error object, where a right body is answered before and after it.
    [Arguments]    ${body}    ${needs}=${EMPTY}
    IF    $needs    Skip Unless Server Supports    ${needs}
    ${right} =    Get Right Chat
    Send Request    POST    /v1/chat/completions    ${right}    expected_status=200
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}
    Error Should Be    ${reply}    error_category=INVALID_REQ
    Should Be True    ${reply.status} in (400, 422)    Status: expected 400 or 422, got ${reply.status}.
    Should Not Be Empty    ${reply.error.message}    Error: expected a message, got none: ${reply}.
    Send Request    POST    /v1/chat/completions    ${right}    expected_status=200
