*** Settings ***
Documentation    Vectors of texts: their form, both encodings, order, likeness, and what is refused.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target Started With    embeddings    embeddings=True    pooling=mean

Test Tags        embeddings


*** Test Cases ***
A Text Has A Vector
    [Tags]    rule:e6
    ${embeddings} =    Create Embeddings    A text about cats.
    Should Be True    ${embeddings.dimensions} > 1
    Get Answer Value    ${embeddings.reply}    object    ==    list
    Should Be True    ${embeddings.usage.prompt_tokens} > 0

Several Texts Keep Their Order
    [Tags]    rule:e1
    ${both} =    Create Embeddings    ["the first text", "another one"]
    ${first} =    Create Embeddings    the first text
    ${second} =    Create Embeddings    another one
    Embeddings Should Agree    ${both}    ${first}    first=0    second=0    tolerance=0.00001
    Embeddings Should Agree    ${both}    ${second}    first=1    second=0    tolerance=0.00001

Both Encodings Say The Same
    [Tags]    rule:e2    rule:e7
    Skip Unless Server Supports    base64 embeddings
    ${plain} =    Create Embeddings    ["one", "two", "three"]
    ${packed} =    Create Embeddings    ["one", "two", "three"]    encoding=base64
    Embeddings Should Agree    ${plain}    ${packed}

The Same Text Has The Same Vector
    ${embeddings} =    Create Embeddings    ["a cat on a mat", "stock exchange", "a cat on a mat"]
    Get Similarity    ${embeddings}    0    2    >=    0.9999

Another Text Has Another Vector
    Skip Unless Server Supports    distinct vectors
    ${embeddings} =    Create Embeddings    ["a cat on a mat", "stock exchange"]
    Get Similarity    ${embeddings}    0    1    <    0.999

Dimensions Are Kept
    [Tags]    rule:e3
    Skip Unless Server Supports    dimensions
    ${embeddings} =    Create Embeddings    a text    dimensions=64
    Should Be Equal As Integers    ${embeddings.dimensions}    64

An Empty List Is Refused
    VAR    @{nothing}    @{EMPTY}
    Input Should Be Refused    input=${nothing}

A Body Without Input Is Refused
    [Tags]    rule:e5
    Input Should Be Refused

An Unknown Encoding Is Refused
    Skip Unless Server Supports    unknown encodings are refused
    Input Should Be Refused    input=x    encoding_format=morse

A Number Is Not A Text
    Skip Unless Server Supports    odd inputs are a 4xx
    Input Should Be Refused    input=${7}

A Wrong Index Of A Vector Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=embedding-index-wrong
    Run Keyword And Expect Error
    ...    *E1: *Got index 1 of embedding 0*
    ...    Create Embeddings
    ...    ["a", "b"]
    ...    headers=${headers}


*** Keywords ***
Input Should Be Refused
    [Documentation]    A 4xx with an error object, where a text is taken. Without fields nothing but the model is sent.
    [Arguments]    &{fields}
    ${server} =    Get Server
    VAR    &{right}    model=${server.model}    input=x
    Send Request    POST    /v1/embeddings    ${right}    expected_status=200
    VAR    &{wrong}    model=${server.model}    &{fields}
    ${reply} =    Body Should Be Refused    POST    /v1/embeddings    ${wrong}
    Should Not Be Empty    ${reply.error.message}    Error: expected a message, got none: ${reply}.
