*** Settings ***
Documentation    Whom a router refuses, and what: keys that are missing or unknown, exhausted budgets, wrong requests.
...
...              Runs against the simulator in place of the API router, with a simulator as its backend. ROUTER_URL
...              names the real one, ROUTER_API_KEY a key for it, ROUTER_MODEL a model that it routes.

Resource         ../../resources/systems.resource

Suite Setup      Meet The Router As A Stranger

Test Tags        router


*** Variables ***
${KEY: Secret}    %{ROUTER_API_KEY=dev-test-key}
${MODEL}          %{ROUTER_MODEL=gpt-4o}
&{GOOD_KEY}       X-API-Key=${KEY}
${GOOD_BODY}      {"model": "${MODEL}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


*** Test Cases ***
A Request Without A Key Is Refused
    [Tags]    covers:router-auth
    Request Should Be Refused    401    AUTH_INVALID    headers={}

A Bearer Without A Key Is Refused
    [Tags]    covers:router-auth
    Request Should Be Refused    401    AUTH_INVALID    headers={"Authorization": "Bearer"}

An Unknown Key In Its Header Is Refused
    [Tags]    covers:router-auth
    Request Should Be Refused    401    AUTH_INVALID    headers={"X-API-Key": "no-such-key"}

An Unknown Key As Bearer Is Refused
    [Tags]    covers:router-auth
    Request Should Be Refused    401    AUTH_INVALID    headers={"Authorization": "Bearer no-such-key"}

A Request Without A Model Is Refused
    [Tags]    covers:router-validation
    Request Should Be Refused    400    VALIDATION_ERROR    body={"messages": [{"role": "user", "content": "Hi"}]}

A Request Without Messages Is Refused
    [Tags]    covers:router-validation
    Request Should Be Refused    400    VALIDATION_ERROR    body={"model": "${MODEL}", "messages": []}

A Body That Is Not JSON Is Refused
    [Tags]    covers:router-validation
    Request Should Be Refused    400    INVALID_REQUEST    body={"model": "${MODEL}"

An Exhausted Budget Is Refused
    [Tags]    simulator
    Key Should Be Exhausted    dev-exhausted-budget-key    BUDGET_EXCEEDED    budget

An Exhausted Quota Is Refused
    [Tags]    simulator
    Key Should Be Exhausted    dev-exhausted-quota-key    QUOTA_EXCEEDED    daily_quota


*** Keywords ***
Meet The Router As A Stranger
    [Documentation]    Requests send the keys that the tests give them, and no other.
    VAR    ${backend}    ${None}
    IF    not '%{ROUTER_URL=}'
        Skip Unless Target Is A Simulator
        ${one} =    Start Server    simulator    model=${MODEL}
        VAR    ${backend}    one=${one.base_url}
    END
    ${router} =    Use System    %{ROUTER_URL=}    router    api-router
    ...    model=${MODEL}    api_key=${KEY}    backend=${backend}
    Connect To Server    ${router.base_url}    alias=stranger    profile=${router.profile.name}    model=${MODEL}

Request Should Be Refused
    [Documentation]    The answer has this status, this code, and a text.
    [Arguments]    ${status}    ${code}    ${headers}=${GOOD_KEY}    ${body}=${GOOD_BODY}
    Send Request    POST    /v1/chat/completions    ${GOOD_BODY}    headers=${GOOD_KEY}    expected_status=200
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}    headers=${headers}
    ...    expected_status=${status}
    Get Answer Value    ${reply}    code    ==    ${code}
    Get Answer Value    ${reply}    error    !=    ${EMPTY}

Key Should Be Exhausted
    [Documentation]    Asks with a key whose budget is used up.
    [Arguments]    ${key}    ${code}    ${quota}
    Skip Unless Server Supports    backends of our own
    ${reply} =    Chat    Hi    headers={"X-API-Key": "${key}"}    expected_status=402
    Get Answer Value    ${reply}    code    ==    ${code}
    Get Answer Value    ${reply}    limit_context.quota_type    ==    ${quota}
