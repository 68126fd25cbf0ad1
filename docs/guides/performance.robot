*** Settings ***
Documentation    Figures: the times of single answers, and a load.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    time_to_first_token=100 ms    inter_token_latency=10 ms

Test Tags        performance    pabot:exclusive


*** Test Cases ***
Times Of One User
    Measure Generation    What is the capital of France?    iterations=3
    Measured Time To First Token Should Be At Most    2 s
    Get Measured Tokens Per Second    >    1

Many Users At Once
    Run Load    prompt=What is the capital of France?    users=2    requests=8
    Load Should Meet    ttft_p95 < 2 s    failures == 0
