*** Settings ***
Documentation    Retries, and what a server does wrong on purpose.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    scenario=capitals
Test Teardown    Clear Faults


*** Test Cases ***
Two Failures Are Retried
    Use Retry Policy    max_retries=2    initial_backoff=10 ms
    Inject Fault    status:code=503,first=2
    ${reply} =    Chat    What is the capital of France?
    Attempts Should Be    ${reply}    3

More Failures Are Told
    Use Retry Policy    max_retries=2    initial_backoff=10 ms
    Inject Fault    status:code=503
    ${error} =    Chat    Hello    expected_status=failure
    Error Should Be    ${error}    status=503
    Attempts Should Be    ${error}    3
