*** Settings ***
Documentation    Servers that say again what they are told: no character of any script is lost on the way.

Resource         ../../resources/target.resource

Suite Setup      Use Echoing Target
Test Template    Text Should Come Back

Test Tags        api


*** Test Cases ***    TEXT
Letters With Accents Come Back    héllo señor Grüße
Letters Of Other Alphabets Come Back    привет мир ελληνικά
Characters Without Spaces Between Them Come Back    世界 東京は日本
Emoji Come Back    ok 🙂 llama 🦙
Lost Characters Are Found Out
    [Tags]    simulator
    [Template]    None
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=lost-characters
    Run Keyword And Expect Error    *hllo*    Text Should Come Back    héllo    ${fault}


*** Keywords ***
Use Echoing Target
    [Documentation]    The target, told at its start to echo where it knows how; skips the suite where it does not.
    ${server} =    Use Target That Supports    chat
    Skip Unless Server Supports    all scripts
    IF    $server.process is not None and 'mode' in $server.profile.start.options
        Stop Server
        Start Server    ${server}    mode=echo
    END
    ${reply} =    Chat    one two three    max_tokens=16
    Skip If    $reply.text.strip() != 'one two three'    The server does not say again what it is told: ${reply.text}

Text Should Come Back
    [Documentation]    Whole and streamed.
    [Arguments]    ${text}    ${headers}=&{EMPTY}
    ${reply} =    Chat    ${text}    max_tokens=64    headers=${headers}
    Should Be Equal    ${reply.text.strip()}    ${text}
    ${stream} =    Stream Chat    ${text}    max_tokens=64    headers=${headers}
    Should Be Equal    ${stream.text.strip()}    ${text}
