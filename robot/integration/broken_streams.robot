*** Settings ***
Documentation    Streams that break the rules of the wire: each is noticed, and the error says how.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    fault injection
Test Template    Break Should Be Noticed

Test Tags        streaming    simulator


*** Test Cases ***    FAULT    ERROR
A Cut Inside JSON    cut-in-json:event=3    broke off
A Missing Last Chunk    missing-last-chunk    broke off
A Broken Chunk    bad-chunk    broke off
An Event That Is Not JSON    malformed-json:event=3    event 3, which is not JSON
Bytes That Are Not UTF-8    invalid-utf8:event=3    not UTF-8
An Unfinished Event    unfinished-event    inside an event
A Wrong Content Type    wrong-content-type    an event stream (text/event-stream)
An Error In The Middle    error-mid-stream:events=2    an error event


*** Keywords ***
Break Should Be Noticed
    [Documentation]    The call fails, and its error says so.
    [Arguments]    ${fault}    ${told}
    VAR    &{headers}    X-Inference-Fault=${fault}
    ${error} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers=${headers}    expected_status=failure
    Error Should Be    ${error}    error_message=${told}
