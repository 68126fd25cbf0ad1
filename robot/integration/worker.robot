*** Settings ***
Documentation    Jobs of a worker: POST /execute, its typed events, stop sequences, cancellation.
...
...              Runs against the simulator in place of worker-orcd. WORKER_TARGET names the real one: a URL, or the
...              profile worker-orcd with TEST_MODEL_FILE.

Resource         ../../resources/systems.resource
Library          Collections
Variables        ../../resources/prompts.yaml

Suite Setup      Use System    %{WORKER_TARGET=}    worker    worker-orcd    inter_token_latency=1 ms    control_port=0

Test Tags        worker


*** Test Cases ***
The Worker Is Healthy
    [Tags]    smoke    covers:worker-harness    covers:worker-health
    ${reply} =    Send Request    GET    /health    expected_status=200
    Get Answer Value    ${reply}    status    ==    healthy
    IF    'vram_bytes' in $reply.json
        Should Be True    ${reply.json}[vram_bytes] > 0
    END

The Worker Tells Its Id
    [Tags]    simulator    covers:worker-id
    Skip Unless Server Supports    worker id
    ${reply} =    Send Request    GET    /health    expected_status=200
    Get Answer Value    ${reply}    worker_id    ==    worker-0

A Job Brings Its Tokens In Order
    [Tags]    smoke
    ...       covers:worker-event-order
    ...       covers:worker-completion
    ...       covers:worker-tokens
    ...       rule:w1
    ...       rule:w2
    ...       rule:w3
    ...       rule:w4
    ${job} =    Execute Job    Hello    max_tokens=5
    Job Events Should Be In Order    ${job}
    Job Should Have Completed    ${job}
    Should Not Be Empty    ${job.text}    Answer: expected a text, got none: ${job}.
    Should Be True    0 < len($job.tokens) <= 5

A Worker In The Place Of The Real One Brings Exactly As Many Tokens As Asked
    [Tags]    simulator    covers:worker-token-count
    Skip Unless Server Supports    exact token counts
    ${job} =    Execute Job    Hello    max_tokens=50
    Token Count Should Be    ${job}    50
    Job Should Have Completed    ${job}    stop_reason=max_tokens

A Job Of One Token Brings One
    [Tags]    simulator    covers:worker-token-count
    Skip Unless Server Supports    exact token counts
    ${job} =    Execute Job    Hello    max_tokens=1
    Token Count Should Be    ${job}    1
    Job Should Have Completed    ${job}    stop_reason=max_tokens

The First Event Names The Job
    ${job} =    Execute Job    Hello    job_id=the-job    max_tokens=2
    Should Be Equal    ${job.started}[job_id]    the-job
    Should Not Be Empty    ${job.started}[model]
    Should Match Regexp    ${job.started}[started_at]    ^\\d{4}-\\d\\d-\\d\\dT

Tokens Arrive One After Another
    ${job} =    Execute Job    ${LONG_PROMPT}    max_tokens=20    seed=42    temperature=0.7
    Should Be True    0 < $job.time_to_first_token <= $job.elapsed
    ${tokens} =    Get Length    ${job.tokens}
    Length Should Be    ${job.gaps}    ${tokens - 1}
    FOR    ${before}    ${after}    IN ZIP    ${job.events}[:-1]    ${job.events}[1:]
        Should Be True    ${before.arrival} <= ${after.arrival}
    END

A Stop Sequence Ends The Job
    [Tags]    simulator    covers:worker-stop-sequence
    Skip Unless Server Supports    scripted answers
    ${job} =    Execute Job    Describe Ada as JSON    max_tokens=100    stop=}
    Job Should Have Completed    ${job}    stop_reason=stop_sequence
    Should Be Equal    ${job.stop_sequence_matched}    }
    Should Not Contain    ${job.text}    }
    Should Start With    ${job.text}    {"name"

The Same Seed Brings The Same Text
    ${one} =    Execute Job    Write a haiku    max_tokens=20    seed=42    temperature=0.7
    ${two} =    Execute Job    Write a haiku    max_tokens=20    seed=42    temperature=0.7
    Should Not Be Empty    ${one.text}    Answer: expected a text, got none: ${one}.
    Should Be Equal    ${one.text}    ${two.text}

Five Jobs In A Row Are All Completed
    [Tags]    covers:worker-five-in-a-row
    FOR    ${number}    IN RANGE    5
        ${job} =    Execute Job    Hello    job_id=row-${number}    max_tokens=5
        Job Events Should Be In Order    ${job}
        Job Should Have Completed    ${job}
        Should Be Equal    ${job.started}[job_id]    row-${number}
    END

Concurrent Jobs Do Not Mix
    [Documentation]    Each prompt brings at once the text that it brings alone, under one seed.
    [Tags]    covers:worker-concurrent
    VAR    @{prompts}    Count the stars.    Name a river.    Tell me of the sea.    What is a clock?
    ${jobs} =    Call At Once    Execute Job    ${prompts}    max_tokens=10    seed=7
    VAR    @{ids}    @{EMPTY}
    FOR    ${prompt}    ${job}    IN ZIP    ${prompts}    ${jobs}    mode=STRICT
        Job Should Have Completed    ${job}
        ${alone} =    Execute Job    ${prompt}    max_tokens=10    seed=7
        Should Be Equal    ${job.text}    ${alone.text}
        Append To List    ${ids}    ${job.started}[job_id]
    END
    List Should Not Contain Duplicates    ${ids}

A Job Is Cancelled In The Middle
    [Tags]    simulator    covers:worker-cancel
    Skip Unless Server Supports    cancellation
    ${cancelled} =    Get Server Counters    cancelled
    ${generated} =    Get Server Counters    generated_tokens
    ${job} =    Execute Job    Hello    max_tokens=2000    cancel_after=5    timeout=30 s
    Job Should Have Been Cancelled    ${job}
    Job Events Should Be In Order    ${job}
    Should Be True    5 <= len($job.tokens) < 2000
    Should Be Equal As Integers    ${job.cancel_reply.status}    202
    # The worker says so too: it generated no more than it sent.
    Worker Should Have Cancelled    ${job}    ${cancelled}    ${generated}

Cancelling What Is Over Is Not An Error
    ${job} =    Execute Job    Hello    max_tokens=2
    ${reply} =    Cancel Job    ${job.job_id}    expected_status=2xx,404,405
    Cancel Job    ${job.job_id}    by=body    expected_status=2xx,404,405
    Skip If    ${reply.status} == 404    This worker has no route to cancel a job.
    Should Be Equal As Integers    ${reply.status}    202

The Correlation Id Comes Back
    VAR    ${id}    0f8fad5b-d9cb-469f-a165-70867728950e
    ${job} =    Execute Job    Hello    max_tokens=2    headers={"X-Correlation-ID": "${id}"}
    Should Be Equal    ${job.headers}[x-correlation-id]    ${id}

The Longest Prompt Is Taken
    VAR    ${word}    x${SPACE}
    Value Should Be Taken    prompt=${word * 16384}

The Largest Number Of Tokens Is Taken
    [Tags]    rule:w5
    Skip Unless Server Supports    cancellation
    ${job} =    Execute Job    Hello    max_tokens=2048    cancel_after=1
    Should Not Be Empty    ${job.tokens}

The Highest Temperature Is Taken
    Value Should Be Taken    temperature=2

The Highest Top P Is Taken
    Value Should Be Taken    top_p=1

A Body That Is Not JSON Is Refused
    Job Should Be Refused    {"job_id":

A List Is Not A Job
    Job Should Be Refused    \[]

A Job Without A Prompt Is Refused
    [Tags]    rule:w6
    Job Should Be Refused    {"job_id": "x", "max_tokens": 1}

A Number As Prompt Is Refused
    Job Should Be Refused    {"job_id": "x", "prompt": 1, "max_tokens": 1}

A Negative Number Of Tokens Is Refused
    Job Should Be Refused    {"job_id": "x", "prompt": "x", "max_tokens": -1}

All Wrong Values Are Named At Once
    [Tags]    covers:worker-validation
    VAR    &{body}    job_id=${EMPTY}    prompt=secret-prompt    max_tokens=${0}    temperature=${9.5}
    Execute Job    Hello    max_tokens=2
    ${reply} =    Send Request    POST    /execute    ${body}    expected_status=400
    ${fields} =    Evaluate    [error['field'] for error in $reply.json['errors']]
    Should Be Equal    ${fields}    ${{['job_id', 'max_tokens', 'temperature']}}
    Should Not Contain    ${reply.body}    secret-prompt

Events Of The Later Era Are Understood
    [Documentation]    Without `event:` lines, and with stop reasons in capitals.
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Start Server    worker    era=late
    ${job} =    Execute Job    Hello    max_tokens=5
    Job Events Should Be In Order    ${job}
    Token Count Should Be    ${job}    5
    Job Should Have Completed    ${job}    stop_reason=max_tokens
    Should Be Equal    ${job.end}[stop_reason]    MAX_TOKENS
    Should Be Equal    ${job.events[0].name}    ${None}

Metrics Come Between The Tokens
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Start Server    worker    metrics_every=2
    ${job} =    Execute Job    Hello    max_tokens=5
    VAR    @{types}    started    token    token    metrics    token    token    metrics    token    end
    Should Be Equal    ${job.types}    ${types}
    Job Events Should Be In Order    ${job}

A Stream That Breaks Off Is Noticed
    [Tags]    simulator    covers:worker-terminal-event
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=["F10", "W1"]
    VAR    ${fault}    {"X-Inference-Fault": "cut-after-events:events=3,how=reset"}
    Run Keyword And Expect Error    *expected a stream with a proper end, got a connection that broke off*3 events*
    ...    Execute Job    Hello    headers=${fault}
    ${job} =    Execute Job    Hello    headers=${fault}    allow_broken=True
    Run Keyword And Expect Error    *did not complete: expected an end*    Job Should Have Completed    ${job}
    Run Keyword And Expect Error    *W1:*"token" as the last event*
    ...    Job Events Should Be In Order    ${job}

A Job That Fails Or Is Cancelled Did Not Complete
    [Tags]    simulator    covers:worker-completion
    Skip Unless Server Supports    fault injection
    Skip Unless Server Supports    cancellation
    VAR    ${fault}    {"X-Inference-Fault": "error-mid-stream:code=VRAM_OOM"}
    ${failed} =    Execute Job    Hello    headers=${fault}
    Run Keyword And Expect Error    *did not complete: expected an end, got error VRAM_OOM*
    ...    Job Should Have Completed    ${failed}
    ${cancelled} =    Execute Job    Hello    max_tokens=2000    cancel_after=1    timeout=30 s
    Run Keyword And Expect Error    *did not complete: expected an end, got cancelled*
    ...    Job Should Have Completed    ${cancelled}


*** Keywords ***
Value Should Be Taken
    [Documentation]    Executes a job with a value at its limit.
    [Arguments]    ${prompt}=Hello    &{values}
    Skip Unless Server Supports    scripted answers
    ${job} =    Execute Job    ${prompt}    max_tokens=5    &{values}
    Job Should Have Completed    ${job}

Job Should Be Refused
    [Documentation]    Executes a right job, then sends a body that is not one. Servers of this kind answer 400 or 422
    ...    with text.
    [Arguments]    ${body}
    Execute Job    Hello    max_tokens=2
    ${reply} =    Send Request    POST    /execute    ${body}
    Error Should Be    ${reply}    status=400,422
    Should Not Be Empty    ${reply.body}

Worker Should Have Cancelled
    [Documentation]    The worker counts one cancelled job more than before, and as many tokens more as the job has.
    [Arguments]    ${job}    ${cancelled}    ${generated}
    ${tokens} =    Get Length    ${job.tokens}
    Get Server Counters    cancelled    ==    ${cancelled + 1}
    Get Server Counters    generated_tokens    ==    ${generated + ${tokens}}
