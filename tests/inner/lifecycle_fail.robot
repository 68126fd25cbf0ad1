*** Settings ***
Documentation    What servers do wrong in their life. All tests must fail; pytest reads what they say.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${FOLDER}    ${OUTPUT_DIR}/made


*** Test Cases ***
Wrong Architecture
    Create Directory    ${FOLDER}
    Evaluate
    ...    pathlib.Path($FOLDER, 'foreign').write_bytes(bytes.fromhex('7f454c46020101') + bytes(9) + bytes.fromhex('0200f300') + bytes(60))
    Evaluate    os.chmod($FOLDER + '/foreign', 0o755)
    Start From    command: ['${FOLDER}/foreign']

Missing Interpreter
    Create File    ${FOLDER}/lost    \#!/no/such/interpreter\n
    Evaluate    os.chmod($FOLDER + '/lost', 0o755)
    Start From    command: ['${FOLDER}/lost']

Killed From Outside
    Start From    command: [/bin/sh, -c, 'kill -KILL $$']

Unknown Flag
    Start Server    simulator    arguments=--bogus

Missing Library
    Start From
    ...    command: [/bin/sh, -c, 'echo "server: error while loading shared libraries: libcuda.so.1" >&2; exit 127']

Missing Model File
    Start From    command: [/bin/sh, -c, 'echo "error: failed to load model from /m.gguf"; exit 1']

No Gpu
    Start From    command: [/bin/sh, -c, 'echo "RuntimeError: no CUDA-capable device is detected"; exit 1']

Own Hint
    Start From
    ...    command: [/bin/sh, -c, 'echo "code 4711"; exit 1']
    ...    more=hints: [{pattern: 'code 4711', hint: feed the hamster.}]

Dies During Load
    Start Wrong    loads

Unwell Forever
    Start Wrong    unwell    health: {path: /health, bodies: [ok, status]}, budgets: {healthy: 300ms}

Hangs On The First Request
    Start Wrong    hangs    first_token: chat, budgets: {first_token: 500ms}

Wrong Model Name
    Start Wrong    lists    model_list: /v1/models, budgets: {model_listed: 300ms}

Refuses The First Request
    Start Wrong    refuses    first_token: chat

Stage Over Its Budget
    Start From    command: [/bin/sh, -c, 'echo slow; exec sleep 60']    more=ready: {budgets: {listening: 200ms}}

Foreign Server On The Port
    ${foreign} =    Start Server    simulator    alias=foreign
    Start From    command: [/bin/sh, -c, 'echo listening on ${foreign.base_url}; exec sleep 60']
    ...    more=${SPACE * 2}announcement: 'listening on (?P<url>\\S+)'

Not Graceful
    Start Server    simulator    fault=ignore-term
    Stop Server    graceful_within=300 ms

Graceful End Of A Dead One
    Start Server    simulator    fault=crash-after:code=7
    Run Keyword And Ignore Error    Chat    Hello
    Server Should Have Exited    exit_code=7
    Stop Server    graceful_within=1 s

Should Have Exited And Runs
    Start Server    simulator
    Server Should Have Exited    within=200 ms

Exited With Another Code
    Start Server    simulator    fault=crash-after:code=7
    Run Keyword And Ignore Error    Chat    Hello
    Server Should Have Exited    exit_code=0

Exited By Another Signal
    Start Server    simulator
    Kill Server
    Server Should Have Exited    signal=SEGV

Unknown Signal
    Start Server    simulator
    Kill Server
    Server Should Have Exited    signal=SIGHUPP

Log Lacks It
    Start Server    simulator
    Server Log Should Contain    no such line

Log Holds It
    Start Server    simulator
    Server Log Should Not Contain    listening on

Broken Pattern
    Start Server    simulator
    Server Log Should Contain    matching=(

A Check Does Not Pass
    Start Server    simulator    checks={"file": "/no/such/file"}    timeout=2 s

A Check That Is None
    Start Server    simulator    checks=[{"fiel": "/tmp"}]

Its Guard Is Killed
    ${server} =    Start Server    simulator
    Evaluate    os.kill($server.process.guard_pid, 9)
    Wait Until Keyword Succeeds    20 s    10 ms    Should Not Be True    $server.process.running
    Chat    Hello

A Stranger Shares The Port
    Start Wrong    shares
    ${server} =    Get Server
    VAR    ${stranger}    ${{socket.create_server(('127.0.0.1', $server.port), reuse_port=True)}}    scope=SUITE
    Server Should Be Healthy

Left A Process Behind
    Start Wrong    leaks
    Stop Server
    Server Should Not Have Leaked

A Crash Left A Process Behind
    Start Wrong    leaks
    Kill Server    children=leave
    Server Should Not Have Leaked

Leaks Of A Living One
    Start Server    simulator
    Server Should Not Have Leaked

Pause A Remote One
    ${server} =    Start Server    simulator
    Connect To Server    ${server.base_url}    alias=remote
    Pause Server    server=remote

Pause A Dead One
    Start Server    simulator
    Kill Server
    Pause Server

Restart A Remote One
    ${server} =    Start Server    simulator
    Connect To Server    ${server.base_url}    alias=remote
    Restart Server    server=remote

Stage Not Gone Through
    Start Server    simulator
    Get Server Timing    first token

Too Slow A Start
    Start Server    simulator
    Get Server Timing    healthy    <    1 ms

Missing CA File
    Connect To Server    https://127.0.0.1:9    ca_file=/no/such.pem

Tls Options Without Tls
    Connect To Server    http://127.0.0.1:9    verify=False

Proxy That Is No Url
    Connect To Server    http://127.0.0.1:9    proxy=somewhere

Gpu Size Without A Unit
    Wait Until Gpu Memory Is Free    500

Failed With A Log
    Start Server    simulator    alias=talker
    Chat    Hello
    Fail    on purpose


*** Keywords ***
Start From
    [Documentation]    Starts a server by a profile of the test.
    [Arguments]    ${command}    ${more}=${EMPTY}    &{options}
    Create File    ${FOLDER}/mine.yaml    title: x\nstart:\n${SPACE * 2}${command}\n${more}\n
    Start Server    ${FOLDER}/mine.yaml    &{options}

Start Wrong
    [Documentation]    Starts a server that goes wrong in one way.
    [Arguments]    ${way}    ${ready}=${EMPTY}
    ${command} =    Set Variable    command: ['{python}', '${CURDIR}/lifecycle_server.py', '{port}', ${way}]
    ${rest} =    Set Variable If    'first_token' in $ready    ${ready}    first_token: none, ${ready}
    Start From    ${command}    more=model: mine\nready: {timeout: 20s, ${rest}}
