*** Settings ***
Documentation    What is not there is skipped, with what to do.

Library          InferenceLibrary


*** Test Cases ***
Nobody There
    Skip Unless Server Is Available    http://127.0.0.1:9    hint=start it.

Only Errors There
    ${server} =    Start Server    simulator    fault=status:code=503,path=/health,after=1
    Skip Unless Server Is Available    ${server.base_url}

Somebody There
    Start Server    simulator
    Skip Unless Server Is Available

No Gateway Known
    Skip Unless The Gateway Is Available

Gateway Not There
    Skip Unless The Gateway Is Available    http://127.0.0.1:9

No Model
    Start Server    simulator    fault=no-models:path=/v1/models
    Skip Unless A Model Is Loaded

A Model
    Start Server    simulator
    Skip Unless A Model Is Loaded
