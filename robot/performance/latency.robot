*** Settings ***
Documentation    What one user waits for: times to the first token and between tokens, goodput, cancelled requests.
...
...              The simulator's own times are configured, so lower ends are exact; a busy machine can only be slower.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    time_to_first_token=40 ms    inter_token_latency=10 ms

Test Tags        slow    performance    pabot:exclusive


*** Variables ***
&{ALL_TOKENS}    ignore_eos=${True}


*** Test Cases ***
Times Are Those That Were Set
    Run Load    users=1    requests=10    warmup=2    max_tokens=16    extra=${ALL_TOKENS}
    Load Should Meet    failures == 0    held_back == 0    ttft_min >= 39 ms    ttft_p50 < 200 ms    itl_p50 >= 9 ms
    Get Load Figure    output_length_min    ==    16

Goodput Counts The Requests That Keep All Limits
    Run Load    users=2    requests=10    max_tokens=16    extra=${ALL_TOKENS}
    ${none} =    Get Load Goodput    ttft < 20 ms
    ${all} =    Get Load Goodput    ttft < 10 s    latency < 30 s
    Should Be Equal As Numbers    ${none}    0
    Should Be True    ${all} > 1

A Cancelled Share Does Not Count As Failed
    ${result} =    Run Load    users=4    requests=40    cancel=0.3    max_tokens=16    extra=${ALL_TOKENS}
    Load Should Meet    failures == 0
    ${cancelled} =    Evaluate    sum(one.cancelled for one in $result.records)
    Should Be True    3 <= ${cancelled} <= 25
