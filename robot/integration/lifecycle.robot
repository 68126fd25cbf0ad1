*** Settings ***
Documentation     The life of a server: started in stages, on a port of its own; its end is told, and nothing is left.
...
...               Each test starts servers of the target's kind for itself.

Resource          ../../resources/target.resource
Library           OperatingSystem
Variables         ../../resources/prompts.yaml

Suite Setup       Find The Kind Of Server
Suite Teardown    Stop All Servers

Test Tags         lifecycle


*** Test Cases ***
A Start Goes Through Its Stages
    [Tags]    smoke    covers:worker-harness
    Start One    wait_for=first token
    ${timing} =    Get Server Timing
    Should Be True    $timing['spawned'] < $timing['listening'] <= $timing['healthy'] <= $timing['first token']
    Get Server Timing    spawned    <    10 s

A Start Waits For Checks Of One's Own
    [Documentation]    A port that accepts, a command that asks the server, and a function, one after the other.
    VAR    ${code}    import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/v1/models', timeout=5)
    VAR    @{command}    {python}    -c    ${code}    {base_url}
    VAR    &{port}    tcp={port}
    VAR    &{ask}    command=${command}    timeout=10s
    VAR    @{checks}    ${port}    ${ask}    ${{lambda facts: facts.pid is not None}}
    Start One    checks=${checks}
    Get Server Timing    checks passed    >=    0 s
    Wait Until Server Is Ready    within=30 s

It Ends Gracefully When Idle
    [Tags]    smoke
    ${server} =    Start One
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Stop Server    graceful_within=30 s
    Server Should Not Have Leaked    server=${server}

Its Address Is Refused Once It Has Ended
    ${server} =    Start One
    Stop Server
    Run Keyword And Expect Error    *connection refused*    Connect To Server    ${server.base_url}

Two Servers Share The Machine
    [Tags]    covers:worker-ports    covers:worker-isolation
    ${first} =    Start One    alias=first
    ${second} =    Start One    alias=second
    Should Not Be Equal    ${first.base_url}    ${second.base_url}
    Chat    ${SHORT_PROMPT}    max_tokens=16    server=first
    Stop Server    server=first
    Server Should Be Healthy    server=second
    Chat    ${SHORT_PROMPT}    max_tokens=16    server=second

A Busy Port Is Refused With Its Reason
    [Tags]    covers:batch-port-in-use
    ${first} =    Start One
    Run Keyword And Expect Error    *port ${first.port}: address already in use*    Start One    port=${first.port}
    Server Should Be Healthy    server=${first}

A Port Of Choice Is Free Again After The End
    ${first} =    Start One
    VAR    ${port}    ${first.port}
    Stop Server
    ${second} =    Start One    port=${port}
    Should Be Equal    ${second.base_url}    ${first.base_url}

An Unknown Argument Ends The Start At Once
    [Tags]    covers:worker-spawn-failure
    Skip Unless Server Supports    unknown arguments end the start
    Run Keyword And Expect Error    *ended before it was ready:*got exit code*
    ...    Start One    arguments=--no-such-argument    timeout=60 s

Nothing Answers While It Is Paused
    Start One
    Chat    ${SHORT_PROMPT}    max_tokens=16
    Pause Server
    Run Keyword And Expect Error    *no answer within*    Chat    ${SHORT_PROMPT}    timeout=200 ms
    Resume Server
    Wait Until Server Is Ready    within=20 s
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

A Killed Server Is Told And Comes Again
    ${server} =    Start One
    VAR    ${before}    ${server.base_url}
    Kill Server
    Server Should Have Exited    signal=SIGKILL
    Run Keyword And Expect Error    *its process ended with signal SIGKILL*    Chat    ${SHORT_PROMPT}
    Restart Server
    Should Be Equal    ${server.base_url}    ${before}
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

A Term During A Stream Ends Both
    [Documentation]    What remains of the stream differs between servers; that both end, and nothing is left, does not.
    ${server} =    Start One
    Start Call    Stream Chat    ${LONG_PROMPT}    max_tokens=400    allow_broken=True
    Wait Until Call Has Tokens    2
    Stop Server    server=${server}    grace=10 s
    ${stream} =    Wait For Call    timeout=10 s
    Should Not Be Empty    ${stream.chunks}
    Server Should Not Have Leaked    server=${server}

Its Log Is Kept And Searched
    ${server} =    Start One
    File Should Not Be Empty    ${server.log_path}
    Server Log Should Not Contain    matching=Traceback|Segmentation fault|panicked at    since=start
    ${log} =    Get Server Log
    Should Not Be Empty    ${log}

A Crash Is Told By Code And Not Taken For An End
    [Tags]    simulator    covers:worker-death
    Skip Unless Server Supports    fault injection    server=${TARGET_SERVER}
    Start One    fault=crash-after:code=7
    Run Keyword And Expect Error    *its process ended with exit code 7*    Chat    ${SHORT_PROMPT}
    ${exit} =    Server Should Have Exited    exit_code=7
    Should Be True    $exit.max_rss > 1_000_000 and $exit.lifetime > 0

A Server That Ignores Term Is Killed
    [Tags]    simulator
    Skip Unless Server Supports    fault injection    server=${TARGET_SERVER}
    ${server} =    Start One    fault=ignore-term
    Run Keyword And Expect Error    *did not stop gracefully*    Stop Server    graceful_within=100 ms
    Server Should Have Exited    server=${server}    signal=KILL
    Server Should Not Have Leaked    server=${server}

Health That Never Comes Is Told With Its Stage
    [Tags]    simulator    covers:worker-ready-timeout
    Skip Unless Server Supports    fault injection    server=${TARGET_SERVER}
    ${usual} =    Get Server Timing    healthy    server=${TARGET_SERVER}
    Run Keyword And Expect Error    *is not ready (healthy): expected 200*got status 503*
    ...    Start One    fault=never-ready    timeout=${{5 * $usual}}

A Broken Model File Ends The Start At Once
    [Tags]    real    requires-model
    Skip If    'model_file' not in $OPTIONS    The target's profile takes no model file.
    Skip If    'model_path' in $TARGET_SERVER.asked.options    The target's own model is named by its folder.
    Create Binary File    ${OUTPUT_DIR}/lifecycle/broken.gguf    not a model
    Run Keyword And Expect Error    *ended before it was ready:*Hint: the model file is broken*
    ...    Start One    model_file=${OUTPUT_DIR}/lifecycle/broken.gguf


*** Keywords ***
Find The Kind Of Server
    [Documentation]    Uses the target once; the tests start their own of its kind.
    ${server} =    Use Target
    Skip If    $server.process is None    The target is connected to, so its life is not ours to test.
    VAR    ${TARGET_SERVER}    ${server}    scope=SUITE
    VAR    ${OPTIONS}    ${server.profile.start.options}    scope=SUITE

Start One
    [Documentation]    Starts another server as the target was started, for this test.
    [Arguments]    &{options}
    ${server} =    Start Server    ${TARGET_SERVER}    &{options}
    RETURN    ${server}
