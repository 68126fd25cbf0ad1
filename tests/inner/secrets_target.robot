*** Settings ***
Documentation    A key that Use Target reads, to a server that says it wherever it can. It must show up nowhere.

Library          InferenceLibrary

Suite Setup      Use Target


*** Test Cases ***
It Does Arrive
    ${reply} =    Chat    Hello
    Should Be True    $reply.text == 'key Bearer %{PLANTED}'

A Call That Fails
    Chat    wrong

A Stream Is Shown
    ${stream} =    Stream Chat    Hello
    Log    ${stream.text}
