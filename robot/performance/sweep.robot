*** Settings ***
Documentation    How much a server holds: the largest load within limits, and where throughput stops to rise.

Library          InferenceLibrary

Test Tags        slow    performance    pabot:exclusive


*** Variables ***
&{ALL_TOKENS}    ignore_eos=${True}


*** Test Cases ***
The Largest Number Of Users Is That Of The Places
    [Documentation]    Four are served at a time, so a fifth waits for a whole answer: 50 ms and 19 gaps of 10 ms.
    VAR    @{four}    --max-num-seqs    4
    Start Server
    ...    simulator
    ...    time_to_first_token=50 ms
    ...    inter_token_latency=10 ms
    ...    arguments=${four}
    ${found} =    Find Max Load
    ...    ttft_max < 200 ms
    ...    requests=24
    ...    max_tokens=20
    ...    extra=${ALL_TOKENS}
    ...    most=16
    ...    at_least=2
    Should Be Equal    ${found.unit}    users
    Should Be True    2 <= ${found.level} <= 4
    Should Not Be Equal    ${found.broken}    ${None}
