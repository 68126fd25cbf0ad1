*** Settings ***
Documentation    Calls that are given up: by a count of tokens, by time limits of every kind, by another hand.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target And Shared Simulator

Test Tags        cancellation


*** Variables ***
${ENDLESS}    {"ignore_eos": true}


*** Test Cases ***
A Stream Is Cancelled After Three Tokens
    [Tags]    smoke    covers:batch-cancelled
    Skip Unless Server Supports    ignore_eos
    ${stream} =    Stream Chat    ${LONG_PROMPT}    max_tokens=200    cancel_after=3    extra=${ENDLESS}
    Should Be True    ${stream.cancelled}
    Should Be True    3 <= len($stream.tokens) < 200
    The Server Should Forget It

A Stream Is Cancelled From Elsewhere
    [Tags]    covers:worker-cancel
    Skip Unless Server Supports    ignore_eos
    Slow Down Where Possible
    Start Call    Stream Chat    ${LONG_PROMPT}    max_tokens=200    extra=${ENDLESS}
    Wait Until Call Has Tokens    2
    ${stream} =    Cancel While It Runs
    Should Be True    ${stream.cancelled}
    Should Be Equal    ${stream.finish_reason}    ${None}
    The Server Should Forget It

Cancelling One Stream Leaves The Other
    Skip Unless Server Supports    ignore_eos
    Slow Down Where Possible
    Start Call    Stream Chat    ${LONG_PROMPT}    max_tokens=20    alias=kept    extra=${ENDLESS}
    Start Call    Stream Chat    ${LONG_PROMPT}    max_tokens=200    alias=dropped    extra=${ENDLESS}
    Wait Until Call Has Tokens    1    call=dropped
    Cancel While It Runs    call=dropped
    ${kept} =    Wait For Call    call=kept
    Finish Reason Should Be    ${kept}    length
    Stream Should End With Done    ${kept}

A Total Time Limit Ends A Stream And Tells What Had Arrived
    [Tags]    simulator    covers:batch-timeout
    Use Shared Simulator    inter_token_latency=60ms
    ${error} =    Stream Chat
    ...    ${LONG_PROMPT}
    ...    max_tokens=100
    ...    extra=${ENDLESS}
    ...    timeout=200 ms
    ...    expected_status=failure
    Error Should Be
    ...    ${error}
    ...    error_message=no end within the total time limit of 0.2 s
    ...    error_category=SERVER_ERROR
    Get Elapsed Time    ${error}    <    2 s
    Should Be True    1 <= len($error.stream.tokens) <= 4
    The Server Should Forget It

A Very Short Time Limit Is Kept
    [Tags]    simulator    covers:batch-timeout
    Use Shared Simulator    time_to_first_token=5s
    ${error} =    Chat    ${SHORT_PROMPT}    timeout=1 ms    expected_status=failure
    Error Should Be    ${error}    error_message=within the total time limit of 0.001 s
    Get Elapsed Time    ${error}    <    2 s

Waiting For The First Byte Has A Limit
    [Tags]    simulator
    Use Shared Simulator    time_to_first_token=30s
    ${error} =    Chat    ${SHORT_PROMPT}    first_byte_timeout=100 ms    expected_status=failure
    Error Should Be    ${error}    error_message=first-byte limit of 0.1 s (nothing had arrived)
    Get Elapsed Time    ${error}    <    2 s

Silence Inside A Stream Has A Limit
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{stalled}    X-Inference-Fault=stall:before=event,event=4,seconds=30
    ${error} =    Stream Chat
    ...    ${CAPITAL_OF_FRANCE}
    ...    headers=${stalled}
    ...    silence_timeout=100 ms
    ...    expected_status=failure
    Error Should Be    ${error}    error_message=between-events limit of 0.1 s
    Get Elapsed Time    ${error}    <    2 s
    Length Should Be    ${error.stream.chunks}    3

A Stall Shorter Than The Limit Is Tolerated And Seen
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{stalled}    X-Inference-Fault=stall:before=event,event=4,seconds=0.2
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers=${stalled}    silence_timeout=5 s
    Run Keyword And Expect Error    *expected at most 0, got 1*    Stream Should Not Stall    ${stream}

A Call That Runs Out Of Time Is Dropped By The Server
    [Tags]    simulator
    Use Shared Simulator    time_to_first_token=20s
    Chat    ${SHORT_PROMPT}    timeout=100 ms    expected_status=failure
    Server Should Be Idle    within=2 s

Ten Cancelled Streams Leave Nothing Behind
    Cancel Streams    10
    The Server Should Forget It

A Harmed Neighbour Of A Cancelled Stream Is Found Out
    [Tags]    simulator
    Use Shared Simulator    fault=harms-neighbours    inter_token_latency=10ms
    Run Keyword And Expect Error    *broke rules of the wire*    Cancel Streams    2

A Whole Answer That Is Left Is Not Finished
    [Documentation]    Nobody works for a client that has gone: what is counted afterwards is the next answer alone.
    Skip Unless Server Supports    ignore_eos
    Skip Unless Server Supports    metrics
    Skip Unless Server Supports    left answers end
    Slow Down Where Possible
    Leave A Whole Answer    2 s

A Server That Works On Is Found Out
    [Tags]    simulator
    Use Shared Simulator    fault=works-on-when-left    inter_token_latency=10ms
    Run Keyword And Expect Error    *is not idle*    Leave A Whole Answer    100 ms


*** Keywords ***
Slow Down Where Possible
    [Documentation]    Makes a simulator slow, so that there is time to act; a real server is slow enough.
    ${server} =    Get Server
    IF    'fault injection' in $server.profile.offers
        Change Server Configuration    server=${server}    inter_token_latency=10ms
    END

Cancel While It Runs
    [Documentation]    Skips the test where a fast server had sent its whole answer by then.
    [Arguments]    &{which}
    TRY
        ${stream} =    Cancel Call    &{which}
    EXCEPT    *expected a call under way*    type=glob    AS    ${error}
        The Server Was Too Fast    ${error}
    END
    IF    $stream.finish_reason is not None
        The Server Was Too Fast    its stream ended with ${stream.finish_reason}.
    END
    RETURN    ${stream}

The Server Was Too Fast
    [Documentation]    Skips the test; fails it at a simulator, which is slow enough, as it was told to be.
    [Arguments]    ${reason}
    ${server} =    Get Server
    IF    'fault injection' in $server.profile.offers    Fail    ${reason}
    Skip    The server had answered before its client could leave: ${reason}

Cancel Streams
    [Documentation]    Each after its first token.
    [Arguments]    ${count}
    FOR    ${number}    IN RANGE    ${count}
        Log    Stream ${number}
        ${stream} =    Stream Chat    ${STORY_PROMPT}    max_tokens=100    cancel_after=1
        Should Be True    ${stream.cancelled}
    END

Leave A Whole Answer
    [Documentation]    Before it is finished; the counters then rise by what the next answer says, and no more.
    [Arguments]    ${within}
    ${server} =    Get Server
    TRY
        Start Call    Chat    ${LONG_PROMPT}    max_tokens=400    extra=${ENDLESS}
        Get Metric    ${server.profile.metrics.running[0]}    >=    1    within=2 s
        Cancel Call
    EXCEPT    *expected a call under way*    *expected >= 1, got 0*    type=glob    AS    ${error}
        The Server Was Too Fast    ${error}
    END
    Server Should Be Idle    within=${within}
    ${before} =    Get Metrics
    ${next} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Counters Should Match    ${before}    ${next}

The Server Should Forget It
    [Documentation]    Nothing is at work any more, and the next request is served.
    Skip Unless Server Supports    metrics
    Server Should Be Idle    within=2 s
    ${next} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${next.text}    Answer: expected a text, got none: ${next}.
