*** Settings ***
Documentation    What a test starts ends with the test, what a suite setup starts with the suite.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    alias=suite


*** Test Cases ***
Test Owned
    ${server} =    Start Server    simulator    alias=test
    Log    pid ${server.pid}
    Length Should Be    ${{list($server.name)}}    4

Gone With Its Test
    Run Keyword And Expect Error    No server 'test' is open*    Get Server    server=test
    ${server} =    Get Server
    Should Be Equal    ${server.name}    suite
    Server Should Be Healthy

Gone Although Failed
    ${server} =    Start Server    simulator    alias=failed
    Log    pid ${server.pid}
    Fail    on purpose

Gone Although Timed Out In A Call
    [Timeout]    500 ms
    ${server} =    Start Server    simulator    alias=slow    time_to_first_token=60 s
    Log    pid ${server.pid}
    Chat    Hello

Gone Although Timed Out In A Start
    [Timeout]    500 ms
    Start Server    simulator    fault=never-ready    timeout=60 s

Gone Although Timed Out In At Once
    [Timeout]    500 ms
    ${server} =    Start Server    simulator    time_to_first_token=60 s
    Log    pid ${server.pid}
    Call At Once    Chat    Hello    count=3

Gone Although Timed Out In A Wait
    [Timeout]    300 ms
    Connect To Server    http://127.0.0.1:9    check=False
    Wait Until Server Is Ready    within=60 s

Suite Owned Lives On
    Length Should Be    ${{[1]}}    1
    ${server} =    Get Server
    Should Be Equal    ${server.name}    suite
    Server Should Be Healthy
