*** Settings ***
Documentation    What a server uses under load: memory that does not grow, threads and handles that stay few.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    inter_token_latency=1 ms

Test Tags        slow    performance    pabot:exclusive


*** Test Cases ***
Memory Does Not Grow Under Load
    Run Load    users=8    requests=200    max_tokens=16
    Start Memory Monitor    interval=50 ms
    Run Load    users=8    duration=5 s    max_tokens=16
    Stop Memory Monitor
    Memory Should Not Grow By More Than    10 MB
    Get Measured Resource    threads    <    50
    Get Measured Resource    handles    <    200
    Get Measured Resource    cpu    >    0
    Save Monitor Record    ${OUTPUT_DIR}/inference/memory-under-load.csv

Metrics Agree With The Load
    Start Metrics Monitor    vllm:num_requests_running    vllm:request_success_total    interval=100 ms
    Run Load    users=8    requests=200    max_tokens=16
    Stop Metrics Monitor    save_as=${OUTPUT_DIR}/inference/metrics-under-load.csv
    Get Measured Metric    vllm:num_requests_running    <=    8
    Get Measured Metric    vllm:request_success_total    ==    200    statistic=rise
