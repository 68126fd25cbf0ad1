*** Settings ***
Documentation    Servers that are kept, servers that end by themselves, and logs of failed tests.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    alias=suite


*** Test Cases ***
Keep One
    ${server} =    Start Server    simulator    alias=kept    keep=True
    Log    kept pid ${server.pid}

It Outlives Its Test
    Server Should Be Healthy    server=kept
    Length Should Be    ${{[1]}}    1

It Ends By Itself With Zero
    Start Server    simulator    alias=quitter    fault=crash-after:code=0
    Run Keyword And Ignore Error    Chat    Hello
    Run Keyword And Ignore Error    Wait Until Server Is Ready    within=2 s

Fails While The Suite's Server Talks
    Chat    Hello    server=suite
    Fail    on purpose

Passes Without Attachments
    Chat    Hello    server=suite
