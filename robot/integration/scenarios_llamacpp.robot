*** Settings ***
Documentation    Scenarios of llama.cpp's own tests of its server, on the target.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        scenarios


*** Variables ***
${KEY: Secret}    %{SCENARIO_KEY=key-of-a-test}


*** Test Cases ***
A Server Tells Its Health And Its Models
    Server Should Be Healthy
    Skip Unless Server Supports    listed models
    ${models} =    List Models
    Should Not Be Empty    ${models}

A Stream Says What The Whole Answer Says
    Skip Unless Server Supports    completions
    ${reply} =    Complete    ${CAPITAL_OF_FRANCE}    max_tokens=16    temperature=0    seed=42
    ${stream} =    Stream Completion    ${CAPITAL_OF_FRANCE}    max_tokens=16    temperature=0    seed=42
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

The Same Seed Gives The Same Answer
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    seed
    ${one} =    Complete    ${SHORT_PROMPT}    max_tokens=16    seed=42
    ${two} =    Complete    ${SHORT_PROMPT}    max_tokens=16    seed=42
    Answers Should Agree    ${one}    ${two}

Each Choice Has Its Number And Its End
    Skip Unless Server Supports    several choices
    ${reply} =    Chat    ${STORY_PROMPT}    n=2    max_tokens=16
    Choices Should Be    ${reply}    2
    # The tokens of both are counted together.
    Skip If Answer Was Shorter    ${reply}    32
    Finish Reason Should Be    ${reply}    length    choice=0
    Finish Reason Should Be    ${reply}    length    choice=1

A Prompt Is Taken As Text Or As Tokens
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    tokenize
    Skip Unless Server Supports    ignore_eos
    ${ids} =    Tokenize    ${CAPITAL_OF_FRANCE}
    ${reply} =    Complete    tokens=${ids}    max_tokens=16
    Get Completion Tokens    ${reply}    <=    16
    ${stream} =    Stream Completion    tokens=${ids}    max_tokens=16    extra={"ignore_eos": true}
    Finish Reason Should Be    ${stream}    length

Embeddings Have Unit Length
    Skip Unless Server Supports    embeddings
    ${embeddings} =    Create Embeddings
    ...    ["I believe the meaning of life is", "Write a joke about AI", "This is a test"]
    Embeddings Should Have Unit Length    ${embeddings}

A Text Has One Vector Alone And In A Batch
    Skip Unless Server Supports    embeddings
    ${alone} =    Create Embeddings    This is a test
    ${batch} =    Create Embeddings    ["This is a joke", "This is a test"]
    Embeddings Should Agree    ${batch}    ${alone}    first=1    second=0    tolerance=0.001

Embeddings Are The Same In Base64
    Skip Unless Server Supports    embeddings
    Skip Unless Server Supports    base64 embeddings
    ${plain} =    Create Embeddings    This is a test
    ${packed} =    Create Embeddings    This is a test    encoding=base64
    Embeddings Should Agree    ${plain}    ${packed}

A Body That Is Wrong Is Refused
    Skip Unless Server Supports    odd messages are a 4xx
    ${right} =    Get Right Chat
    FOR    ${wrong}    IN    7    {"role": "user"}
        Body Change Should Be Refused
        ...    POST    /v1/chat/completions    ${right}    messages    ${wrong}    status=400,422
    END

An Input Of Embeddings That Is Wrong Is Refused
    Skip Unless Server Supports    embeddings
    Skip Unless Server Supports    odd inputs are a 4xx
    ${server} =    Get Server
    VAR    &{right}    model=${server.model}    input=a text
    Body Change Should Be Refused    POST    /v1/embeddings    ${right}    input    {"a": 1}    status=400,422

A Key Opens What Is Locked
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    ${server} =    Start Server    simulator    arguments=--api-key=key-of-a-test
    Connect To Server    ${server.base_url}    api_key=${KEY}
    Route Should Need A Key    GET    /v1/models
    Route Should Need A Key
    ...    POST
    ...    /v1/chat/completions
    ...    {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]}
    Send Request    GET    /health    api_key=none    expected_status=200
