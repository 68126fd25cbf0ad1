*** Settings ***
Documentation    Calls, checks and screens that fail, to be looked at in the log. All must fail but those of the last tests.

Library          InferenceLibrary

Suite Setup      Start A Server With A Key


*** Variables ***
${KEY: Secret}    %{EVIDENCE_KEY}


*** Test Cases ***
A Refused Call
    Chat    Hello there    model=gpt-99    headers={"X-Asked": "yes"}

A Call That Is Tried Again
    Use Retry Policy    max_retries=2    initial_backoff=20 ms
    Chat    Hello there    headers={"X-Inference-Fault": "status:code=503"}

A Broken Stream
    Stream Chat    Hello there    headers={"X-Inference-Fault": "cut-after-events:events=3"}

No Answer
    Chat    Hello there    timeout=300 ms    headers={"X-Inference-Fault": "stall:before=headers,seconds=5"}

A Check That Fails
    ${reply} =    Chat    Hello there
    Answer Should Contain    ${reply}    something else

Calls At Once
    Call At Once    Chat    Hello there    count=2    headers={"X-Inference-Fault": "status:code=500"}

A Call That Should Fail
    Chat    Hello there    max_tokens=7    expected_status=failure

A Refusal Of Another Kind
    ${error} =    Chat    Hello there    model=gpt-99    expected_status=failure
    Error Should Be    ${error}    status=400

A Screen That Another Library Judges
    Start Terminal    python3    -q
    Wait Until Terminal Contains    >>>
    Type In Terminal    print(6 * 7)
    Press Terminal Keys    Enter
    Wait Until Terminal Contains    42
    Fail    The screen is judged elsewhere.

No Prompt
    Start Chat Terminal    python3    -q    prompt=you>    timeout=1 s

A Call Of A Test That Passes
    Chat    Hello there

An Expected Failure
    Run Keyword And Expect Error    *404*    Chat    Hello there    model=gpt-99


*** Keywords ***
Start A Server With A Key
    VAR    @{arguments}    --api-key    ${KEY}
    Start Server    simulator    api_key=${KEY}    arguments=${arguments}
