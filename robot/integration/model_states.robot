*** Settings ***
Documentation    A server of mistral.rs unloads its model and loads it again: the target where it is one, else the
...              stand-in. What it answers is what version 0.9.2 does, which never refuses.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target And A Model
Test Setup       Start A Server Of Mistral

Test Tags        models


*** Test Cases ***
Mistral Unloads A Model And Loads It Again
    [Documentation]    Its routes carry the model in the body: the profile says so. A second unloading is taken, too.
    Unload Should Tell    ${NAME}    unloaded
    Unload Should Tell    ${NAME}    unloaded
    Status Should Be    unloaded
    ${reply} =    Load Served Model    ${NAME}
    Get Answer Value    ${reply}    status    ==    loaded
    Status Should Be    loaded
    Chat    ${SHORT_PROMPT}    model=${NAME}    max_tokens=16

A Chat Loads The Model That Was Unloaded
    Unload Should Tell    ${NAME}    unloaded
    ${reply} =    Chat    ${SHORT_PROMPT}    model=${NAME}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Status Should Be    loaded

What Is Not A Model Cannot Be Unloaded
    [Documentation]    The name of the default model is not an id, either.
    Unload Should Tell    nobody    not_found
    Unload Should Tell    default    not_found
    Status Should Be    loaded

A Model Comes Back By Each Of Its Names
    [Setup]    Start A Real Server Of Mistral
    Default Model Should Come Back
    [Teardown]    NONE

A Lost Name Is Found Out
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Run Keyword And Expect Error    *got 500*poisoned*    Default Model Should Come Back

A Reloading Comes To Its End
    [Setup]    Start A Real Server Of Mistral
    Reloading Should End
    [Teardown]    NONE

A Reloading For Ever Is Found Out
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Run Keyword And Expect Error    *got 500*is being reloaded*    Reloading Should End

Each Route Answers While No Model Is Loaded
    [Setup]    Start A Real Server Of Mistral
    Routes Should Answer
    [Teardown]    NONE

A Route That Says Nothing Is Found Out
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Run Keyword And Expect Error    *closed without an answer*    Routes Should Answer


*** Keywords ***
Default Model Should Come Back
    [Documentation]    Its other name is asked for once it was unloaded.
    Unload Should Tell    ${NAME}    unloaded
    Chat    ${SHORT_PROMPT}    model=default    max_tokens=16

Reloading Should End
    [Documentation]    What is loaded is loaded again, then unloaded; a chat brings it back.
    Load Served Model    ${NAME}
    Unload Should Tell    ${NAME}    unloaded
    Chat    ${SHORT_PROMPT}    model=${NAME}    max_tokens=16

Routes Should Answer
    [Documentation]    With whatever status, for there is nothing to tell of.
    Unload Should Tell    ${NAME}    unloaded
    Send Request    GET    /calibration/status    expected_status=any

Use Target And A Model
    [Documentation]    The target, and one model for all servers of this suite; skips it for other servers.
    ${target} =    Use Target
    IF    $target.process is None or $target.profile.model_routes.unload != '/v1/models/unload'
        Skip Unless Server Supports    fault injection
    END
    ${file} =    Create Tiny Model
    VAR    ${FILE}    ${file}    scope=SUITE

Start A Server Of Mistral
    [Documentation]    A server of its own, for what is done to it lasts; it ends with the test. The target stays.
    ${target} =    Get Server
    IF    $target.process is not None and $target.profile.model_routes.unload == '/v1/models/unload'
        Start Server    ${target}
    ELSE
        Start Server
        ...    simulator-mistralrs
        ...    model_folder=${FILE.path.parent}
        ...    model_filename=${FILE.path.name}
    END
    ${models} =    List Models
    VAR    ${NAME}    ${models}[-1]    scope=SUITE

Start A Real Server Of Mistral
    [Documentation]    The stand-in is one whose states do not end.
    ${target} =    Get Server
    Skip If    $target.process is None or $target.profile.model_routes.unload != '/v1/models/unload'
    ...    The target is not a server of mistral.rs, and its stand-in loses the states of its models, as it does.
    Skip Unless Server Supports    model states end
    Start A Server Of Mistral

Unload Should Tell
    [Documentation]    What the answer to an unloading says.
    [Arguments]    ${name}    ${status}
    ${reply} =    Unload Served Model    ${name}
    Get Answer Value    ${reply}    status    ==    ${status}
    Get Answer Value    ${reply}    model_id    ==    ${name}

Status Should Be
    [Documentation]    As its own route tells it.
    [Arguments]    ${status}
    VAR    &{asked}    model_id=${NAME}
    ${reply} =    Send Request    POST    /v1/models/status    ${asked}    expected_status=200
    Get Answer Value    ${reply}    status    ==    ${status}
