*** Settings ***
Documentation    Mistakes of testers, each in a test of its own. All must fail but one.

Library          Collections
Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Test Cases ***
Headers That Are No Object
    Chat    Hi    headers=Authorization: Bearer x

Extra That Is No Object
    Chat    Hi    extra=temperature=1

Arguments Of A Tool
    ${reply} =    Chat    Hi
    Tool Should Be Called    ${reply}    weather    city=Paris

A Key In Plain Text
    Connect To Server    http://127.0.0.1:1    api_key=sk-12345678

A Number
    Chat    Hi    temperature=hot

A Fraction Of A Count
    Call At Once    Chat    Hi    count=1.5

Neither True Nor False
    Start Server    simulator    keep=flase

A Time
    Chat    Hi    timeout=soon

An Answer
    Answer Should Contain    text    a

A Stream
    Get Time To First Token    ${None}

Prompts
    Call At Once    Chat    ${5}

Results
    All Requests Should Succeed    abc

Results With A Gap
    ${reply} =    Chat    Hi
    VAR    @{results}    ${reply}    ${None}
    All Requests Should Succeed    ${results}

Statuses
    Only These Statuses Should Occur    ${5}    200

Lengths Of A Text
    Embeddings Should Have Unit Length    abc

Embeddings That Agree With A Number
    ${embeddings} =    Create Embeddings    a text
    Embeddings Should Agree    ${embeddings}    ${5}

Metrics From Before
    Metric Should Have Risen    abc    vllm:num_requests_running    by=1

Counters From Before
    Counters Should Match    ${None}

Labels That Are Not There
    Get Metric    vllm:num_requests_running    labels={"model_name": "no"}

The Name Of A Metric
    Get Metric    vllm:num_requests_running    >    0

A Number For A Metric
    Get Metric    vllm:num_requests_running    >    many

Text With An Equals Sign
    Chat    model=gpt is what?

A Misspelt Argument
    Switch Server    exit_code=3

A Call In Place Of A Stage
    Start Server    simulator    wait_for=chat

A Route In Place Of A Stage
    Start Server    simulator    wait_for=health

A Stage Before The Checks
    Start Server    simulator    wait_for=healthy    checks={"tcp": "{port}"}

In A User Keyword
    Ask With A Temperature    hot

Another Library
    Set To Number    x

An Expected Failure
    Run Keyword And Expect Error    Argument 'temperature': expected a number, got 'hot'.
    ...    Chat    Hi    temperature=hot


*** Keywords ***
Ask With A Temperature
    [Arguments]    ${temperature}
    Chat    Hi    temperature=${temperature}

Set To Number
    [Documentation]    A keyword of another library fails as it always did.
    [Arguments]    ${count: int}
    Log    ${count}
