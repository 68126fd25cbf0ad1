*** Settings ***
Documentation    Many requests at a time: right answers, steady times, a rate that is held.

Library          InferenceLibrary    rules=fail-tagged

Suite Setup      Start Paced Simulator

Test Tags        slow    performance    pabot:exclusive


*** Test Cases ***
Fifty Users Are Served
    Run Load    users=50    requests=200    warmup=50    max_tokens=16
    Load Should Meet
    ...    failures == 0
    ...    repeated_ids == 0
    ...    held_back == 0
    ...    ttft_p50 < 150 ms
    ...    rate_p50 >= 50

A Rate Is Held
    Run Load    rate=40/s    poisson=${True}    duration=3 s    max_tokens=8
    Load Should Meet    failures == 0    delivered >= 0.98
    Get Load Figure    concurrency    <    20

Times Are Those That Were Set
    Run Load    users=4    requests=20    max_tokens=16
    Get Load Figure    ttft_min    >=    49 ms
    Get Load Figure    itl_p50    >=    9 ms
    Get Load Figure    itl_p50    <=    12 ms


*** Keywords ***
Start Paced Simulator
    [Documentation]    One that answers 200 requests at the same time.
    ${room} =    Evaluate    ["--max-num-seqs", "200"]
    Start Server    simulator    time_to_first_token=50 ms    inter_token_latency=10 ms    arguments=${room}
