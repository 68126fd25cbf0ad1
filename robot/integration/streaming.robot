*** Settings ***
Documentation    Streamed answers: order, identity, text, end, usage and time, and streams that are cut.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    streams

Test Tags        streaming


*** Test Cases ***
A Stream Comes In Order
    [Tags]    smoke
    ...       covers:service-streaming
    ...       covers:worker-event-order
    ...       rule:c1
    ...       rule:c5
    ...       rule:c6
    ...       rule:c11
    ...       rule:c24
    ...       rule:f1
    ...       rule:f5
    ...       rule:f7
    ...       rule:f10
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    include_usage=True
    Stream Should Be In Order    ${stream}
    Stream Should Come In Pieces    ${stream}

A Stream Has One Id
    [Tags]    rule:c2    rule:c4
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16
    Stream Should Have One Id    ${stream}

A Stream Says What A Reply Says
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0    seed=1
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0    seed=1
    Answers Should Agree Where They Repeat    ${reply}    ${stream}
    Finish Reason Should Be    ${stream}    ${reply.finish_reason}

A Stream Ends With Its Finish Reason And Done
    [Tags]    smoke    covers:service-done    rule:c9    rule:f8
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=200    temperature=0    include_usage=True
    Stream Should End With Done    ${stream}
    Answer Should End By Itself    ${stream}    stop    length    200

A Stream That Its Limit Ends Says So
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    ignore_eos
    ${cut} =    Stream Completion    ${LONG_PROMPT}    max_tokens=16    extra={"ignore_eos": true}
    Finish Reason Should Be    ${cut}    length
    Stream Should End With Done    ${cut}

Usage Comes When It Is Asked For
    [Tags]    rule:c14    rule:c16
    Skip Unless Server Supports    usage in streams
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16    include_usage=True
    Usage Should Add Up    ${stream}

Usage Does Not Come Unasked
    [Documentation]    A dialect may waive the rule, which decides here.
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    max_tokens=16
    Answer Should Keep The Rules    ${stream}    only=C13

The First Token Comes Before The Last
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32
    ${first} =    Get Time To First Token    ${stream}    >    0 s
    Get Elapsed Time    ${stream}    >=    ${first}
    ${chunks} =    Get Chunk Count    ${stream}
    Length Should Be    ${stream.gaps}    ${chunks - 1}

A Late First Token Is Measured
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}
    ...    headers={"X-Inference-Fault": "stall:before=first-token,seconds=0.08"}
    Get Time To First Token    ${stream}    >=    80 ms

A Stream That Is Closed In The Middle Is Noticed
    [Tags]    simulator
    Cut Should Be Noticed    close

A Stream That Is Reset In The Middle Is Noticed
    [Tags]    simulator
    Cut Should Be Noticed    reset

A Streamed Completion Says What A Reply Says
    [Tags]    rule:x6
    Skip Unless Server Supports    completions
    ${stream} =    Stream Completion    ${CAPITAL_OF_FRANCE}    max_tokens=16    temperature=0    include_usage=True
    ${reply} =    Complete    ${CAPITAL_OF_FRANCE}    max_tokens=16    temperature=0
    # Whether it must be there is said by a rule that a dialect may waive.
    Answer Should Keep The Rules    ${stream}    only=X6
    IF    $stream.usage is not None    Usage Should Add Up    ${stream}
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

A Recorded Stream Can Be Judged Again
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    include_usage=True
    ${again} =    Replay Answer    ${stream.recording}
    Answers Should Agree    ${stream}    ${again}
    Stream Should Be In Order    ${again}
    Stream Should End With Done    ${again}
    Should Be Equal    ${again.usage}    ${stream.usage}
    # A recording keeps microseconds.
    Should Be True    abs($again.time_to_first_token - $stream.time_to_first_token) < 0.00001
    ...    Time to first token: expected ${stream.time_to_first_token} s, got ${again.time_to_first_token} s.

Five Streams In A Row Are Whole
    [Tags]    covers:worker-five-in-a-row
    FOR    ${number}    IN RANGE    5
        ${stream} =    Stream Chat    Request number ${number}    max_tokens=16
        Stream Should Be In Order    ${stream}
        Stream Should End With Done    ${stream}
    END

Comments Are Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    comments    any(line.startswith(b':') for line in $stream.raw.splitlines())

A Missing Space Behind The Colon Is Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    no-space    b'data:{' in $stream.raw

Lines That End With CR And LF Are Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    line-ends:kind=crlf    b'\\r\\n\\r\\n' in $stream.raw

Lines That End With CR Are Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    line-ends:kind=cr    b'\\r\\r' in $stream.raw

JSON In Several Data Lines Is Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    data-in-lines    $stream.raw.count(b'data:') > len($stream.chunks)

A Byte Order Mark Is Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    byte-order-mark    $stream.raw.startswith(b'\\xef\\xbb\\xbf')

Events In Pieces Are Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    split-events:pieces=5,pause=0.01
    ...    {size for _, size in $stream.reads} - {chunk.event.end for chunk in $stream.chunks}

A Slow Drip Is Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    slow-drip:size=20,pause=0.0005    len($stream.reads) > len($stream.chunks)

A Stream In One Write Is Tolerated
    [Tags]    simulator
    Oddity Should Be Tolerated    stall:before=event,event=3,seconds=0.05;buffered
    ...    len({chunk.arrival for chunk in $stream.chunks}) == 1

A Stream Without Done Is Noticed
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    Use Rules    fail    leave_out=F8
    ${stream} =    Stream Chat    ${SHORT_PROMPT}    headers={"X-Inference-Fault": "missing-done"}
    Run Keyword And Expect Error    *F8: *Got none after*    Stream Should End With Done    ${stream}


*** Keywords ***
Oddity Should Be Tolerated
    [Documentation]    A stream with this legal oddity says the same as one without. What is seen of it in the
    ...    bytes and reads tells that it was there.
    [Arguments]    ${oddity}    ${seen}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${oddity}
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers=${headers}
    Should Be True    ${seen}    The oddity '${oddity}' was not seen: expected ${seen}.
    Should Be Equal    ${stream.text}    The capital of France is Paris.
    Stream Should End With Done    ${stream}

Cut Should Be Noticed
    [Documentation]    Has a stream cut after three events and expects the error, and the record of what had arrived.
    [Arguments]    ${how}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=cut-after-events:events=3,how=${how}
    ${error} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers=${headers}    expected_status=failure
    Error Should Be    ${error}    error_message=after 3 events
    Length Should Be    ${error.stream.chunks}    3
    Run Keyword And Expect Error    *F8: *Got none after 3 events*    Stream Should End With Done    ${error.stream}
