*** Settings ***
Documentation    Into which category a failure is put, which says whether to try again: by its status, or by an answer
...              that cannot be read; for a whole answer and a stream alike.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    fault injection
Test Template    Failure Should Have Category

Test Tags        errors    simulator    covers:batch-categories


*** Test Cases ***    CALL    FAULT    CATEGORY
Status 400    Chat    status:code=400    INVALID_REQ
Status 400, Streamed    Stream Chat    status:code=400    INVALID_REQ
Status 401    Chat    status:code=401    AUTH_ERROR
Status 401, Streamed    Stream Chat    status:code=401    AUTH_ERROR
Status 403    Chat    status:code=403    AUTH_ERROR
Status 403, Streamed    Stream Chat    status:code=403    AUTH_ERROR
Status 404    Chat    status:code=404    UNKNOWN
Status 404, Streamed    Stream Chat    status:code=404    UNKNOWN
Status 409    Chat    status:code=409    UNKNOWN
Status 409, Streamed    Stream Chat    status:code=409    UNKNOWN
Status 429    Chat    status:code=429    RATE_LIMIT
Status 429, Streamed    Stream Chat    status:code=429    RATE_LIMIT
Status 500    Chat    status:code=500    SERVER_ERROR
Status 500, Streamed    Stream Chat    status:code=500    SERVER_ERROR
Status 502    Chat    status:code=502    SERVER_ERROR
Status 502, Streamed    Stream Chat    status:code=502    SERVER_ERROR
Status 503    Chat    status:code=503    SERVER_ERROR
Status 503, Streamed    Stream Chat    status:code=503    SERVER_ERROR
HTML In Place Of JSON    Chat    not-json    PARSE_ERROR
HTML In Place Of JSON, Streamed    Stream Chat    not-json    PARSE_ERROR
No Body    Chat    empty-body    PARSE_ERROR
No Body, Streamed    Stream Chat    empty-body    PARSE_ERROR
An Error As Success    Chat    error-as-200    PARSE_ERROR
An Error As Success, Streamed    Stream Chat    error-as-200    PARSE_ERROR
Broken JSON    Chat    malformed-json    PARSE_ERROR
Broken JSON, Streamed    Stream Chat    malformed-json    PARSE_ERROR


*** Keywords ***
Failure Should Have Category
    [Documentation]    A call that meets this fault fails in this category.
    [Arguments]    ${call}    ${fault}    ${category}
    VAR    &{headers}    X-Inference-Fault=${fault}
    # The category is asked for here, whatever rules the answer breaks.
    Use Rules    off
    ${error} =    Run Keyword    ${call}    ${SHORT_PROMPT}    headers=${headers}    expected_status=failure
    Error Should Be    ${error}    error_category=${category}
