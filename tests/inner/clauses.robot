*** Settings ***
Documentation    One clause of a check each: every test must fail for the reason in its name alone; pytest reads what
...              they say.

Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Variables ***
${PYTHON}      python
${CAPITAL}     What is the capital of France?
${STYLED}      printf '\\033[1;31mword\\033[0m'; cat
${TWO_WAYS}    printf 'word \\033[1mword\\033[0m'; cat
${OTHER}       printf '\\033[1mword\\033[0m word'; cat
&{DROPPED}     X-Inference-Fault=close-before-status
&{HELD_UP}     X-Inference-Fault=stall:before=headers,seconds=20


*** Test Cases ***
Empty In A Reply
    ${reply} =    Chat    ${CAPITAL}
    Answer Should Contain    ${reply}    ${EMPTY}

Empty Among Several In A Reply
    ${reply} =    Chat    ${CAPITAL}
    Answer Should Contain Any    ${reply}    Rome    ${EMPTY}

None Of Several In A Reply
    ${reply} =    Chat    ${CAPITAL}
    Answer Should Contain Any    ${reply}

Empty In An Error
    ${error} =    Chat    Hello    model=nobody    expected_status=failure
    Error Should Be    ${error}    error_message=${EMPTY}

Empty In A Log
    Server Log Should Contain    ${EMPTY}    since=start

No Empty In A Log
    Server Log Should Not Contain    ${EMPTY}

Empty On A Screen
    Start Terminal    cat
    Terminal Should Contain    ${EMPTY}

No Empty On A Screen
    Start Terminal    cat
    Terminal Should Not Contain    ${EMPTY}

Empty Awaited On A Screen
    Start Terminal    cat
    Wait Until Terminal Contains    ${EMPTY}

Empty In A Style
    Start Terminal    cat
    Terminal Text Should Have Style    ${EMPTY}    bold=no

Empty In An Inline Assertion
    Start Terminal    cat
    Get Terminal Screen    contains    ${EMPTY}

No Word Of A Help
    Use Program    ${PYTHON}
    Program Help Should Contain

Empty Word Of A Help
    Use Program    ${PYTHON}
    Program Help Should Contain    -c    ${EMPTY}

Help Of A Program That Fails
    Use Program    sh    -c    echo --one; exit 3
    Program Help Should Contain    --one

Word Of A Help That Must Be Missing
    Use Program    ${PYTHON}
    Program Help Should Not Contain    --no-such-option    -c

Pattern Of A Help That Must Be Missing
    Use Program    ${PYTHON}
    Program Help Should Not Contain    matching=^USAGE    ignore_case=True

No Word That A Help Must Lack
    Use Program    ${PYTHON}
    Program Help Should Not Contain

Word And Pattern That A Help Must Lack
    Use Program    ${PYTHON}
    Program Help Should Not Contain    --bogus    matching=--bogus

No Help That Lacks A Word
    Use Program    sh    -c    exit 0
    Program Help Should Not Contain    --one

Lacking Word Of A Program That Fails
    Use Program    sh    -c    echo --two; exit 3
    Program Help Should Not Contain    --one

Empty Pattern Of A Version
    Use Program    ${PYTHON}
    Program Version Should Match    ${EMPTY}

Empty Mention Of A Refusal
    Use Program    ${PYTHON}
    Program Should Refuse Arguments    --bogus    contains=${EMPTY}

Another Parameter
    ${error} =    Chat    Hello    model=nobody    expected_status=404
    Error Should Be    ${error}    error_param=temperature

Another Type
    ${error} =    Chat    Hello    model=nobody    expected_status=404
    Error Should Be    ${error}    error_type=rate_limit_error

Another Message
    ${error} =    Chat    Hello    model=nobody    expected_status=404
    Error Should Be    ${error}    error_message=no such words

Another Code In An Answer
    ${reply} =    Chat    Hello    model=nobody    expected_status=404
    Error Should Be    ${reply}    status=404    error_code=model_not_there

No Error In An Answer
    ${reply} =    Chat    Hello
    Error Should Be    ${reply}    status=200

Status Without An Answer
    ${results} =    Call At Once    Chat    Hello    count=2    allow_failures=True    headers=${DROPPED}
    Only These Statuses Should Occur    ${results}    200

Rise That Is Too Large
    ${before} =    Get Metrics
    Chat    Hello
    Chat    Hello
    Metric Should Have Risen    ${before}    vllm:request_success_total    by=1

Rise By Nothing Of A Name That Is Not There
    ${before} =    Get Metrics
    Metric Should Have Risen    ${before}    vllm:no_such_total    by=0    within=100 ms

Rise By Nothing While A Request Is Under Way
    ${before} =    Get Metrics
    Start Call    Stream Chat    Hello    headers={"X-Inference-Fault": "stall:before=headers,seconds=0.3"}
    Metric Should Have Risen    ${before}    vllm:request_success_total    by=0    within=20 s

Rise With Other Labels
    ${before} =    Get Metrics
    Chat    Hello
    Metric Should Have Risen
    ...    ${before}
    ...    vllm:request_success_total
    ...    by=1
    ...    labels={"finished_reason": "abort"}
    ...    within=100 ms

Rise By A Fraction
    ${before} =    Get Metrics
    Chat    Hello
    Metric Should Have Risen    ${before}    vllm:request_success_total    by=0.5    within=100 ms

Counters Without Any Answer
    ${before} =    Get Metrics
    Counters Should Match    ${before}

Counters With One Answer Too Few
    ${before} =    Get Metrics
    ${reply} =    Chat    Hello
    Chat    Hello
    Counters Should Match    ${before}    ${reply}

Counters With An Answer Without Usage
    ${before} =    Get Metrics
    ${stream} =    Stream Chat    Hello    include_usage=False
    Counters Should Match    ${before}    ${stream}

Counters That No Profile Names
    ${before} =    Get Metrics
    ${reply} =    Chat    Hello
    ${here} =    Get Server
    Connect To Server    ${here.base_url}
    Counters Should Match    ${before}    ${reply}

Idle Before The Request Has Arrived
    Start Call    Stream Chat    Hello    headers=${HELD_UP}
    Server Should Be Idle    within=100 ms

Idle By A Slow Page
    Start Server    simulator    fault=stall:before=headers,seconds=20,path=/metrics
    Server Should Be Idle    within=200 ms

Line Of An Earlier Time
    Server Log Should Contain    listening on

Line Since The Start
    Server Log Should Not Contain    listening on    since=start

Log Of A Server That Is Not Ours
    ${here} =    Get Server
    Connect To Server    ${here.base_url}
    Server Log Should Not Contain    Traceback

Log With A Pattern That Is None
    Server Log Should Not Contain    matching=(

Timing Of A Server That Is Not Ours
    ${here} =    Get Server
    Connect To Server    ${here.base_url}
    Get Server Timing    healthy

Memory Of Another Kind
    [Documentation]    Shared pages make RSS the larger of the two: a limit between them is kept by PSS alone.
    Start Memory Monitor
    Chat    Hello
    ${pss} =    Get Measured Peak Memory    kind=pss
    ${rss} =    Get Measured Peak Memory    kind=rss
    VAR    ${between}    ${{($pss + $rss) // 2}} B
    Memory Should Stay Below    ${between}    kind=pss
    Memory Should Stay Below    ${between}    kind=rss

Tool With Another Value
    VAR    ${schema}    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    VAR    ${tool}    {"name": "weather", "parameters": ${schema}}
    ${reply} =    Chat    Hello    tools=${tool}    tool_choice=weather
    Tool Should Be Called    ${reply}    weather    {"city": "another"}

Vectors One Way
    ${first} =    Create Embeddings    one
    ${second} =    Create Embeddings    two
    Embeddings Should Agree    ${first}    ${second}

Vectors The Other Way
    ${first} =    Create Embeddings    one
    ${second} =    Create Embeddings    two
    Embeddings Should Agree    ${second}    ${first}

Second Place In A Row Is Drawn Otherwise
    Start Terminal    sh    -c    ${TWO_WAYS}
    Wait Until Terminal Contains    word word
    Terminal Text Should Have Style    word    bold=no

First Place In A Row Is Drawn Otherwise
    Start Terminal    sh    -c    ${OTHER}
    Wait Until Terminal Contains    word word
    Terminal Text Should Have Style    word    bold=no

Not Bold
    Style Should Fail    bold=no

Not Dim
    Style Should Fail    bold=yes    dim=yes

Not Italic
    Style Should Fail    bold=yes    italic=yes

Not Underlined
    Style Should Fail    bold=yes    underline=yes

Not Inverse
    Style Should Fail    bold=yes    inverse=yes

Another Foreground
    Style Should Fail    bold=yes    foreground=2

Another Background
    Style Should Fail    bold=yes    foreground=1    background=1

No Second Row From The End
    Start Terminal    sh    -c    printf only; cat
    Wait Until Terminal Contains    only
    Get Terminal Line    -1    ==    only
    Get Terminal Line    -2


*** Keywords ***
Style Should Fail
    [Arguments]    &{style}
    Start Terminal    sh    -c    ${STYLED}
    Wait Until Terminal Contains    word
    Terminal Text Should Have Style    word    &{style}
