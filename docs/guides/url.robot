*** Settings ***
Documentation    A server that runs already. Give its address: robot --variable URL:http://127.0.0.1:8000 url.robot

Library          InferenceLibrary

Suite Setup      Connect


*** Variables ***
${URL}    ${EMPTY}


*** Test Cases ***
It Lists Its Models
    ${models} =    List Models
    Should Not Be Empty    ${models}

It Answers
    ${reply} =    Chat    In one word: what is the capital of France?    temperature=0    max_tokens=32
    Answer Should Contain    ${reply}    Paris
    Usage Should Add Up    ${reply}

It Refuses What Is Wrong
    ${error} =    Chat    Hello    max_tokens=-1    expected_status=failure
    Error Should Be    ${error}    status=400


*** Keywords ***
Connect
    [Documentation]    Without an address there is the simulator to look at.
    IF    $URL
        Connect To Server    ${URL}
    ELSE
        Start Server    simulator    scenario=capitals
    END
