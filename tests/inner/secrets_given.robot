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
    FOR    ${said}    IN    ${reply.text}    ${refusal.body}
        No Operation
    END
    Set Tags    ${reply.text}
    Set Test Documentation    ${reply.text}
    Set Suite Metadata    ${reply.text}    ${reply.text}
    # Robot Framework cuts the value in its message within the key.
    VAR    ${cut}    ${{'x' * 185 + $KEY.value}}
    ${cut} =    Set Variable    ${{'x' * 185 + $KEY.value}}

A Server That Spells The Key
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    VAR    &{extra}    told=${KEY}
    ${refusal} =    Chat    spell    extra=${extra}    expected_status=401
    Should Be True    'sid=' in $refusal.headers['set-cookie']
    Should Contain    ${refusal.error.message}    %
    Log Many    ${refusal}    ${refusal.error}    ${refusal.body}    ${refusal.headers}
    Run Keyword And Expect Error    *got 401*    Chat    spell
    ${stream} =    Stream Chat    spell    extra=${extra}
    Should Start With    ${stream.text}    ${KEY.value}
    Log    ${stream}
    FOR    ${chunk}    IN    @{stream.chunks}
        Log    ${chunk}
    END
    ${log} =    Get Server Log
    Should Contain    ${log}    spelled
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
    Answer Should Contain    ${reply}    something else

A Check Of Another Library That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    ${stream} =    Stream Chat    Hello
    Should Be Equal    ${stream.text}    something else

A Start That Fails
    Start Server    %{OWN_PROFILE}    api_key=${KEY}    words=${{['die', $KEY]}}

A Stream That Stops
    Start Server    simulator    api_key=${KEY}
    Stream Chat    ${KEY.value}    headers={"X-Inference-Fault": "cut-after-events:events=3"}

An Embedded Key In An Argument
    Start Server    %{OWN_PROFILE}    arguments=--api-key=${KEY}

An Embedded Key In A Header
    Start Server    %{OWN_PROFILE}
    Chat    Hello    headers={"Authorization": "Bearer ${KEY}"}

An Embedded Key In A Header Of A Connection
    Connect To Server    http://127.0.0.1:9    check=False    headers={"Authorization": "Bearer ${KEY}"}

An Embedded Key In A Prompt
    Start Server    %{OWN_PROFILE}
    Chat    The key is ${KEY}

An Embedded Key In A Body
    Start Server    %{OWN_PROFILE}
    Send Request    POST    /v1/chat/completions    {"key": "${KEY}"}

An Embedded Key In Extra
    Start Server    %{OWN_PROFILE}
    Stream Chat    Hello    extra={"key": "${KEY}"}

An Embedded Key In The Environment
    Start Server    %{OWN_PROFILE}    environment={"KEY": "Bearer ${KEY}"}

An Embedded Key In A Command Line
    Run Program    python    --version    --key=${KEY}

An Embedded Key In One Of Several Prompts
    Start Server    %{OWN_PROFILE}
    VAR    @{prompts}    Hello    The key is ${KEY}
    Call At Once    Chat    ${prompts}

An Embedded Key In The Login Of An Address
    Connect To Server    http://me:${KEY}@127.0.0.1:9    check=False

An Embedded Key In A Path
    Start Server    %{OWN_PROFILE}
    Send Request    GET    /v1/files?key=${KEY}

An Embedded Key In What A Program Reads
    Run Program    cat    stdin=pw=${KEY}

An Embedded Key In The Words Of A Terminal
    Start Chat Terminal    echo    arguments=["--k=${KEY}"]

An Embedded Key In An Option Of The Start
    Start Server    simulator    model=x${KEY}

An Embedded Key In An Identifier
    Start Server    %{OWN_PROFILE}
    Get Response    id${KEY}

An Embedded Key In What Must Not Be Said
    Start Server    %{OWN_PROFILE}    api_key=${KEY}
    ${reply} =    Chat    Hello
    Answer Should Not Contain    ${reply}    key Bearer ${KEY}

An Embedded Key Deep In A Variable
    VAR    @{inner}    x${KEY}
    VAR    &{outer}    words=${inner}
    Start Server    %{OWN_PROFILE}    words=${{[$outer]}}
