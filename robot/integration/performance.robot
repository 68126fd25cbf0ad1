*** Settings ***
Documentation    How fast the server generates, how soon it begins, and what memory its processes need meanwhile.
...
...              Runs alone under pabot: neighbours would be measured as well. The thresholds for a real target are
...              variables; the simulator's own times are configured, so there the measured ones are known.

Resource         ../../resources/target.resource
Library          Process
Variables        ../../resources/prompts.yaml

Suite Setup      Use Paced Target

Test Tags        performance    pabot:exclusive


*** Variables ***
${MINIMUM_TOKENS_PER_SECOND}      5
${EXPECTED_TOKENS_PER_SECOND}     30
${MAXIMUM_TIME_TO_FIRST_TOKEN}    30 s
${MAXIMUM_MEMORY}                 4 GB
&{ALL_TOKENS}                     &{EMPTY}


*** Test Cases ***
A Long Prompt Is Answered Three Times
    [Documentation]    The answer is so long that a busy machine does not decide about the times of its tokens.
    [Tags]    smoke    covers:mistral-tokens-per-second    covers:mistral-first-token
    Watch Memory If It Is Here
    ${measurement} =    Measure Generation
    ...    ${LONG_PROMPT} ${STORY_PROMPT}
    ...    iterations=3
    ...    max_tokens=32
    ...    extra=${ALL_TOKENS}
    Log Measurement Chart    memory_limit=${MAXIMUM_MEMORY}
    # Answers so short may arrive in two bursts because this side woke up late.
    Skip If    any(one.rate.value is None and one.elapsed < 0.25 for one in $measurement.generations)
    ...    Too fast for the times of single tokens to be told on this machine: ${measurement}.
    Measured Tokens Per Second Should Be At Least    ${MINIMUM_TOKENS_PER_SECOND}
    Measured Tokens Per Second Should Be At Least    ${EXPECTED_TOKENS_PER_SECOND}    percentile=mean    below=warn
    Measured Time To First Token Should Be At Most    ${MAXIMUM_TIME_TO_FIRST_TOKEN}    percentile=max
    Memory Should Stay Low If It Is Here
    Set Test Message    ${measurement}

Each Generation Has A Time Limit
    ${measurement} =    Measure Generation
    ...    ${LONG_PROMPT}
    ...    iterations=1
    ...    warmup=0
    ...    max_tokens=16
    ...    timeout=60 s
    Length Should Be    ${measurement.generations}    1

The Configured Latencies Are What Is Measured
    [Documentation]    40 ms to the first token and 10 ms between tokens: 150 ms for 12 tokens, and never less.
    ...    Only the whole has a bound: a first token that is late on a busy machine shortens the gaps after it.
    [Tags]    simulator    covers:batch-latency-simulation
    Skip Unless Server Supports    fault injection
    ${measurement} =    Measure Generation    ${LONG_PROMPT}    iterations=3    max_tokens=12    extra=${ALL_TOKENS}
    Should Be Equal As Integers    ${measurement.output_tokens}    36
    Should Be Equal    ${measurement.counted}    counted by the server
    Get Measured Time To First Token    >=    40 ms    percentile=min
    Get Measured End To End Latency    >=    150 ms    percentile=min

Gaps Between Tokens Do Not Drift
    [Documentation]    Where a gap can be configured: single tokens may be late, the pace holds.
    ${server} =    Get Server
    Skip If    $server.process is None or 'inter_token_latency' not in $server.profile.start.options
    ...    The gap between tokens of this server cannot be configured.
    Skip Unless Server Supports    steady gaps
    Pace Should Hold

Drifting Gaps Are Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=gaps-drift:by=5
    Run Keyword And Expect Error    *Pace: expected 10 ms*    Pace Should Hold    ${fault}

A Slower Server Is Measured As Slower
    [Documentation]    Two servers in one run, so that the machine's own speed does not count.
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    ${fast} =    Measure Shortly
    Start Server    simulator    inter_token_latency=40 ms
    ${slow} =    Measure Shortly
    ${rate} =    Get Measured Tokens Per Second    measurement=${fast}
    Get Measured Tokens Per Second    <    ${rate / 2}    measurement=${slow}

Memory Of The Whole Process Tree Is Watched
    [Documentation]    A shell that has started a process of 50 MB: the sum counts.
    [Tags]    simulator    covers:mistral-memory
    Skip Unless Target Is A Simulator
    VAR    ${big}    block = bytearray(b'x') * 50_000_000; print('ready', flush=True); input()
    ${process} =    Start Process    sh    -c    "$0" -c "$1"; true    ${{sys.executable}}    ${big}    stdin=PIPE
    Evaluate    $process.stdout.readline()
    ${pid} =    Get Process Id    ${process}
    Start Memory Monitor    pid=${pid}    interval=20 ms
    Wait Until Keyword Succeeds    20 s    50 ms    Get Measured Peak Memory    >    50 MB    kind=rss
    ${record} =    Stop Memory Monitor
    Should Be True    $record.samples[-1].processes == 2
    [Teardown]    Terminate All Processes    kill=True


*** Keywords ***
Use Paced Target
    [Documentation]    The target; in place of a simulator that answers at once, one with known latencies.
    ${server} =    Use Target That Supports    streams
    IF    'ignore_eos' in $server.profile.offers
        VAR    &{ALL_TOKENS}    ignore_eos=${True}    scope=SUITE
    END
    IF    $server.process is not None and 'inter_token_latency' in $server.profile.start.options
        Stop Server
        Start Server    ${server}    time_to_first_token=40 ms    inter_token_latency=10 ms
    END

Pace Should Hold
    [Documentation]    100 tokens, one each 10 ms. A busy machine makes some of them late, but not all: how late the
    ...    least late of the first and of the last 25 are tells whether the gaps themselves are longer.
    [Arguments]    ${headers}=&{EMPTY}
    ${stream} =    Stream Chat    ${LONG_PROMPT}    max_tokens=100    extra=${ALL_TOKENS}    headers=${headers}
    Should Be True    len($stream.gaps) == 99    Gaps: expected 99 between 100 tokens, got ${{len($stream.gaps)}}.
    ${late} =    Evaluate    [time - 0.01 * n for n, time in enumerate(itertools.accumulate($stream.gaps), start=1)]
    ${longer} =    Evaluate    (min($late[-25:]) - min($late[:25])) / 0.75
    Should Be True    abs(${longer}) < 0.01    Pace: expected 10 ms each, got so much more: ${longer}.

Measure Shortly
    [Documentation]    The median of three generations of four tokens, on the current server.
    ${measurement} =    Measure Generation    ${LONG_PROMPT}    warmup=0    max_tokens=4    extra=${ALL_TOKENS}
    RETURN    ${measurement}

Watch Memory If It Is Here
    [Documentation]    A server that someone else started may run on another machine.
    ${server} =    Get Server
    IF    $server.pid is not None    Start Memory Monitor    interval=20 ms

Memory Should Stay Low If It Is Here
    [Documentation]    Says so where no memory was watched.
    ${server} =    Get Server
    IF    $server.pid is not None
        Stop Memory Monitor
        Memory Should Stay Below    ${MAXIMUM_MEMORY}
    ELSE
        Log    The server's processes are not ours to watch: no memory was measured.    level=WARN
    END
