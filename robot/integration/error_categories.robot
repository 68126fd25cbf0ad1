*** Settings ***
Documentation    Into which category a failure is put, which says whether to try again: by its status, or by an answer
...              that cannot be read; for a whole answer and a stream alike.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    fault injection
Test Template    Failure Should Have Category

Test Tags        errors    mock    covers:batch-categories


*** Test Cases ***    FAULT    CATEGORY
Status 400    status:code=400    INVALID_REQ
Status 401    status:code=401    AUTH_ERROR
Status 403    status:code=403    AUTH_ERROR
Status 404    status:code=404    UNKNOWN
Status 409    status:code=409    UNKNOWN
Status 429    status:code=429    RATE_LIMIT
Status 500    status:code=500    SERVER_ERROR
Status 502    status:code=502    SERVER_ERROR
Status 503    status:code=503    SERVER_ERROR
HTML In Place Of JSON    not-json    PARSE_ERROR
No Body    empty-body    PARSE_ERROR
An Error As Success    error-as-200    PARSE_ERROR
Broken JSON    malformed-json    PARSE_ERROR


*** Keywords ***
Failure Should Have Category
    [Documentation]    A call with this fault fails in this category, streamed or not.
    [Arguments]    ${fault}    ${category}
    VAR    &{headers}    X-Inference-Fault=${fault}
    Request Should Fail    Chat    ${SHORT_PROMPT}    headers=${headers}    category=${category}
    Request Should Fail    Stream Chat    ${SHORT_PROMPT}    headers=${headers}    category=${category}
