*** Settings ***
Documentation    Values of a job beyond their limits: a worker refuses each, and says which limit holds.
...
...              Runs against the simulator in place of worker-orcd. WORKER_TARGET names the real one: a URL, or the
...              profile worker-orcd with TEST_MODEL_FILE.

Resource         ../../resources/systems.resource

Suite Setup      Use System    %{WORKER_TARGET=}    worker    worker-orcd
Test Template    Value Should Be Refused

Test Tags        worker    covers:worker-validation


*** Test Cases ***    FIELD    VALUE    LIMIT
An Empty Id    job_id    ""    non_empty
An Empty Prompt    prompt    ""    length(1..=32768)
No Tokens    max_tokens    0    range(1..=2048)
Too Many Tokens    max_tokens    2049    range(1..=2048)
A Temperature Below Zero    temperature    -0.1    range(0.0..=2.0)
A Temperature Above Two    temperature    2.1    range(0.0..=2.0)
A Top P Above One    top_p    1.1    range(0.0..=1.0)
A Repetition Penalty Above Two    repetition_penalty    2.1    range(0.0..=2.0)
A Min P Below Zero    min_p    -0.1    range(0.0..=1.0)


*** Keywords ***
Value Should Be Refused
    [Documentation]    Sends a job with one wrong value, given as JSON, and expects its limit in the answer.
    [Arguments]    ${field}    ${value}    ${limit}
    Execute Job    Hello    max_tokens=5
    VAR    ${wrong}    ${{{$field: json.loads($value)}}}
    VAR    ${body}    ${{{'job_id': 'job', 'prompt': 'Hello', 'max_tokens': 5, **$wrong}}}
    ${reply} =    Send Request    POST    /execute    ${body}    expected_status=400
    Length Should Be    ${reply.json}[errors]    1
    Get Answer Value    ${reply}    errors.0.field    ==    ${field}
    Get Answer Value    ${reply}    errors.0.constraint    ==    ${limit}
