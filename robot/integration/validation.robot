*** Settings ***
Documentation    Wrong chats: each is refused with what is wrong with it, and the next good one is served.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target
Test Template    Body Should Be Refused

Test Tags        api    covers:router-validation


*** Test Cases ***    BODY    NEEDS
Messages That Are No List    {"messages": "not a list"}
A Temperature That Is A Word    {"messages": [{"role": "user", "content": "Hi"}], "temperature": "hot"}
A Token Limit That Is A Word    {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": "many"}
A Body That Is Not JSON
    [Tags]    rule:r5    rule:r8
    {"messages":    unparsable JSON is a 400
A Body That Is A List    \[]    odd bodies are a 4xx
A Body That Is A Text    "text"    odd bodies are a 4xx
A Body That Is A Number    7    odd bodies are a 4xx
A Message Without A Role    {"messages": [{"content": "no role"}]}    odd bodies are a 4xx
A Negative Token Limit    {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": -5}    odd bodies are a 4xx


*** Keywords ***
Body Should Be Refused
    [Documentation]    With 400 or 422 and an error object.
    [Arguments]    ${body}    ${needs}=${EMPTY}
    IF    $needs    Skip Unless Server Supports    ${needs}
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}
    Error Should Be    ${reply}    error_category=INVALID_REQ
    Should Not Be Empty    ${reply.error.message}
    Chat    ${SHORT_PROMPT}    max_tokens=4
