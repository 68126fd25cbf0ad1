*** Settings ***
Documentation    Calls to a failing server: retries off and on, time limits, cancelled calls.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target And Shared Simulator

Test Tags        retry


*** Test Cases ***
Without Retries The First Failure Counts
    [Tags]    simulator    covers:batch-no-retries
    Use Shared Simulator    fault=status:code=503,first=1
    Run Keyword And Expect Error    *expected status 200, got 503*    Chat    ${SHORT_PROMPT}
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    1

With Retries A Passing Failure Is Overcome
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=503,first=2
    Use Retry Policy    max_retries=3    initial_backoff=20 ms    jitter=0
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    3
    Should Be Equal As Integers    ${reply.attempts[0].status}    503
    Should Be Equal As Numbers    ${reply.attempts[0].wait}    0.02
    Should Be Equal As Numbers    ${reply.attempts[1].wait}    0.04

Waits Grow By The Policy And Keep Their Jitter
    [Tags]    simulator    covers:batch-retry-configured    covers:batch-custom-config
    Use Shared Simulator    fault=status:code=503,first=5
    Use Retry Policy    max_retries=5    initial_backoff=10 ms    max_backoff=60 ms    backoff_factor=2.0    jitter=0.1
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    6
    Backoff Should Follow The Policy    ${reply}
    Should Be True    0.009 <= $reply.attempts[0].wait <= 0.011
    Should Be True    0.054 <= $reply.attempts[4].wait <= 0.066

A Mixed Server Is Overcome By Retries
    [Tags]    simulator    covers:batch-mixed-failures
    Use Shared Simulator    failure_injection_rate=${50}    failure_types=["server_error"]
    Use Retry Policy    max_retries=12    initial_backoff=2 ms    max_backoff=10 ms
    VAR    ${attempts}    ${0}
    FOR    ${number}    IN RANGE    10
        ${reply} =    Chat    Request ${number}
        Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
        ${number} =    Get Length    ${reply.attempts}
        VAR    ${attempts}    ${attempts + ${number}}
    END
    Should Be True    ${attempts} > 10    Expected some retries, got ${attempts} attempts for 10 requests.

A Retry-After Date Is Obeyed
    [Tags]    simulator
    # A date has whole seconds: this one lies at least 0.5 s ahead.
    ${soon} =    Evaluate    email.utils.formatdate(time.time() + 1.5, usegmt=True).replace(',', '')
    Use Shared Simulator    fault=status:code=429,first=1,retry_after=${soon}
    Use Retry Policy    max_retries=1    initial_backoff=1 ms
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    2
    Should Be True    0.1 < $reply.attempts[0].wait <= 1.5
    Backoff Should Follow The Policy    ${reply}

A Retry-After That Says Nothing Is Ignored
    [Tags]    simulator
    Use Shared Simulator    fault=retry-after-nonsense:first=1
    Use Retry Policy    max_retries=1    initial_backoff=5 ms    jitter=0
    ${reply} =    Chat    ${SHORT_PROMPT}
    Should Be Equal As Numbers    ${reply.attempts[0].wait}    0.005

No Answer At All Is Tried Again
    [Tags]    simulator
    Use Shared Simulator    fault=close-before-status:first=1
    Use Retry Policy    max_retries=2    initial_backoff=5 ms
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    2
    Should Be Equal    ${reply.attempts[0].status}    ${None}

A Stream Is Retried Before It Begins
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=503,first=1
    Use Retry Policy    max_retries=2    initial_backoff=5 ms
    ${stream} =    Stream Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${stream}    2

A Stream That Has Begun Is Not Tried Again
    [Tags]    simulator
    Use Shared Simulator    fault=cut-after-events:events=2,first=1
    Use Retry Policy    max_retries=2    initial_backoff=5 ms
    ${error} =    Stream Chat    ${SHORT_PROMPT}    expected_status=failure
    Length Should Be    ${error.attempts}    1

A Key That Is Refused Is Not Tried Again
    [Tags]    simulator    covers:batch-auth-not-retried
    Use Shared Simulator    fault=status:code=401
    Use Retry Policy    max_retries=3    initial_backoff=5 ms
    ${error} =    Chat    ${SHORT_PROMPT}    expected_status=401
    Error Should Be    ${error}    error_category=AUTH_ERROR
    Length Should Be    ${error.attempts}    1

A Rate Limit's Retry-After Is Obeyed
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=429,first=1,retry_after=1
    Use Retry Policy    max_retries=1    initial_backoff=1 ms
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    2
    Should Be Equal As Numbers    ${reply.attempts[0].wait}    1

A Lasting Failure Is Reported After All Attempts
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=500
    Use Retry Policy    max_retries=2    initial_backoff=5 ms
    Run Keyword And Expect Error    *got 500*in 3 attempts*    Chat    ${SHORT_PROMPT}

A Refused Request Is Not Tried Again
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=400,first=1
    Use Retry Policy    max_retries=3    initial_backoff=5 ms
    ${reply} =    Chat    ${SHORT_PROMPT}    expected_status=400
    Attempts Should Be    ${reply}    1

A Time Limit Covers The Retries
    [Tags]    simulator
    Use Shared Simulator    fault=status:code=503
    Use Retry Policy    max_retries=50    initial_backoff=50 ms    backoff_factor=1
    TRY
        Chat    ${SHORT_PROMPT}    timeout=200 ms
    EXCEPT    *in ? attempts after*    type=GLOB    AS    ${error}
        # The limit ends a wait, or the attempt that is under way.
        Should Match Regexp    ${error}    got 503|within the total time limit
    ELSE
        Fail    50 retries ended well at a server that always fails.
    END

A Cancelled Stream Leaves The Server Serving
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    cancel_after=1    max_tokens=32
    Should Be True    ${stream.cancelled}
    Should Be True    len($stream.tokens) >= 1
    ${next} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${next.text}    Answer: expected a text, got none: ${next}.
