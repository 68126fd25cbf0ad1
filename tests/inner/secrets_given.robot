*** Settings ***
Documentation    A key given as a Robot secret, to a server that says it wherever it can. It must show up nowhere.

Library          Collections
Library          InferenceLibrary


*** Variables ***
${KEY: Secret}     %{PLANTED}
${LINE: Secret}    Bearer ${KEY}


*** Test Cases ***
A Server That Demands The Key
    VAR    @{arguments}    --api-key    ${KEY}
    Start Server    simulator    api_key=${KEY}    arguments=${arguments}
    Chat    Hello
    VAR    &{headers}    Authorization=${LINE}
    ${server} =    Get Server
    Connect To Server    ${server.base_url}    headers=${headers}
    Chat    Hello

A Server That Says The Key
    Start Server    %{OWN_PROFILE}    api_key=${KEY}    environment=${{{'OWN_KEY': $KEY}}}    words=${{[$KEY]}}
    ${reply} =    Chat    Hello
    Should Not Be Empty    ${reply.text}
    ${refusal} =    Chat    wrong    expected_status=401
    Log    ${refusal}
    Log    ${refusal.error}
    Log Many    ${refusal.body}    ${refusal.headers}
    Run Keyword And Expect Error    *Incorrect key*    Chat    wrong
    ${stream} =    Stream Chat    Hello
    FOR    ${chunk}    IN    @{stream.chunks}
        Log    ${chunk}
    END
    ${log} =    Get Server Log
    Log    ${log}

It Does Arrive
    [Documentation]    Else nothing would be proven.
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    ${reply} =    Chat    Hello
    Should Be True    $reply.text == 'key Bearer ' + $KEY.value
    Should Be True    $reply.headers['x-your-key'] == 'Bearer ' + $KEY.value

A Call That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    Chat    wrong

A Check That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    ${reply} =    Chat    Hello
    Reply Should Contain    ${reply}    something else

A Check Of Another Library That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    ${stream} =    Stream Chat    Hello
    Should Be Equal    ${stream.text}    something else

A Start That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}    words=${{['die', $KEY]}}

A Stream That Stops
    Start Server    simulator    api_key=${KEY}
    Stream Chat    ${KEY.value}    headers={"X-Inference-Fault": "cut-after-events:events=3"}
