*** Settings ***
Documentation    Did it get slower? Against a baseline, and beside another server in turns.

Library          InferenceLibrary

Test Tags        slow    performance    pabot:exclusive


*** Test Cases ***
A Server Is As Fast As Itself
    Start Server    simulator    time_to_first_token=100 ms
    Run Load    users=2    requests=30    max_tokens=4    save_as=${OUTPUT_DIR}/inference/baseline
    Run Load    users=2    requests=30    max_tokens=4
    Compare With Baseline    ${OUTPUT_DIR}/inference/baseline    tolerance=0.5    figures=ttft

A Slower Server Is Found To Be Slower
    Start Server    simulator    time_to_first_token=20 ms    alias=before
    Start Server    simulator    time_to_first_token=200 ms    alias=now
    Run Load    users=2    requests=20    max_tokens=4    server=before    save_as=${OUTPUT_DIR}/inference/faster
    Run Load    users=2    requests=20    max_tokens=4    server=now
    Run Keyword And Expect Error
    ...    *ttft worse*
    ...    Compare With Baseline
    ...    ${OUTPUT_DIR}/inference/faster
    ...    figures=ttft

Two Servers Are Compared In Turns
    Start Server    simulator    time_to_first_token=20 ms    alias=one
    Start Server    simulator    time_to_first_token=200 ms    alias=other
    ${compared} =    Compare Servers    one    other    users=1    requests=4    max_tokens=4    figures=ttft
    Should Be Equal    ${compared[0].verdict}    worse
    ${compared} =    Compare Servers    other    one    users=1    requests=4    max_tokens=4    figures=ttft
    Should Be Equal    ${compared[0].verdict}    better
