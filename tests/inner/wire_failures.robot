*** Settings ***
Documentation    Every check of the wire, shown to fail: on a server that does wrong, or by what is asked. All tests
...              must fail; pytest reads what they say.

Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Variables ***
${CAPITAL}    What is the capital of France?
${TOOL}       {"name": "weather", "parameters": {"type": "object", "required": ["city"]}}


*** Test Cases ***
Request That Succeeds
    Chat    Hello    expected_status=failure

Request With Another Status
    Chat    Hello    model=nobody    expected_status=400

Request With A Status Of Another Class
    Chat    Hello    model=nobody    expected_status=5xx,400

Request Whose Refusal Does Not Come
    Chat    Hello    expected_status=4xx

Stream Whose Refusal Does Not Come
    Stream Chat    Hello    expected_status=4xx

Stream Refused Otherwise
    Stream Chat    Hello    model=nobody    expected_status=503

Stream Refused Unexpectedly
    Stream Chat    Hello    model=nobody

Stream That Must Fail
    Stream Chat    Hello    expected_status=failure

Stream That Did Not Break
    ${stream} =    Stream Chat    Hello    allow_broken=True
    Error Should Be    ${stream}

Status That Is None
    Chat    Hello    expected_status=nope

Body That Is Accepted
    Body Should Be Refused    POST    /v1/embeddings    {"input": "Hello", "model": "fake-model"}

Body That Is Refused Otherwise
    Body Should Be Refused    POST    /v1/embeddings    7    status=422

Body At A Route That Is Not There
    Body Should Be Refused    POST    /v1/no-such    7    status=404
    Body Should Be Refused    POST    /v1/no-such    7

Body At A Route Of Another Method
    Body Should Be Refused    PUT    /v1/chat/completions    7    status=4xx
    Body Should Be Refused    PUT    /v1/chat/completions    7

Body With Another Code
    Body Should Be Refused    POST    /v1/embeddings    7    error_code=other

Body With Another Type
    Body Should Be Refused    POST    /v1/embeddings    7    error_type=other

Body With Another Parameter
    Body Should Be Refused    POST    /v1/embeddings    7    error_param=other

Body With Another Message
    Body Should Be Refused    POST    /v1/embeddings    7    error_message=other

Capabilities That Are Not All There
    Server Should Support    chat    regeneration in the terminal    adapters

Capabilities That Nobody Names
    Server Should Support

Capability That Is Misspelt
    Server Should Support    chat    embedings

Capability Of Which Nobody Knows
    Connect To Server    http://127.0.0.1:9    check=False
    Server Should Support    embeddings

Change Of A Body That Is Wrong Already
    Body Change Should Be Refused    POST    /v1/embeddings    {"model": "no-such-model", "input": "x"}    input

Change Of A Body On A Route That Is Not There
    Body Change Should Be Refused    POST    /v1/no-such    {"model": "fake-model", "input": "x"}    input

Change Of A Body That Is Accepted
    Body Change Should Be Refused    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    input    other

Change Of A Body To Null That Is Accepted
    Body Change Should Be Refused    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    user    null

Change Of A Body That Is Refused Otherwise
    Body Change Should Be Refused
    ...    POST
    ...    /v1/embeddings
    ...    {"model": "fake-model", "input": "x"}
    ...    input
    ...    status=422

Change Of A Body With Another Code
    Body Change Should Be Refused
    ...    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    input    7    error_code=other

Change Of A Body With Another Type
    Body Change Should Be Refused
    ...    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    input    7    error_type=other

Change Of A Body With Another Parameter
    Body Change Should Be Refused
    ...    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    input    7    error_param=other

Change Of A Body With Another Message
    Body Change Should Be Refused
    ...    POST    /v1/embeddings    {"model": "fake-model", "input": "x"}    input    7    error_message=other

Request With Another Category
    ${error} =    Chat    Hello    model=nobody    expected_status=failure
    Error Should Be    ${error}    error_category=RATE_LIMIT

Request With Another Code
    ${error} =    Chat    Hello    model=nobody    expected_status=failure
    Error Should Be    ${error}    error_code=context_length

Request That Fails Too Late
    VAR    &{fault}    X-Inference-Fault=stall:before=headers,seconds=0.3
    ${error} =    Chat    Hello    headers=${fault}    timeout=200 ms    expected_status=failure
    Get Elapsed Time    ${error}    <    10 ms

Request With Another Case
    ${error} =    Chat    Hello    model=nobody    expected_status=404
    Error Should Be    ${error}    error_message=NOBODY

Error That Is None
    ${reply} =    Chat    Hello
    Error Should Be    ${reply}    status=200

Idle Server That Works
    VAR    &{slow}    X-Inference-Fault=stall:before=headers,seconds=20
    Start Call    Stream Chat    Hello    headers=${slow}
    Wait Until Keyword Succeeds    2 s    10 ms    Get Metric    vllm:num_requests_running    >=    1
    Server Should Be Idle    within=50 ms

Cancel What Has Ended
    ${stream} =    Start Call    Stream Chat    Hello
    Wait Until Keyword Succeeds    10 s    10 ms    Should Not Be True    $stream.running
    Cancel Call

Tokens That Never Come
    VAR    &{slow}    X-Inference-Fault=stall:before=headers,seconds=20
    Start Call    Stream Chat    Hello    headers=${slow}
    Wait Until Call Has Tokens    5    within=50 ms

Stream That Never Ends
    VAR    &{slow}    X-Inference-Fault=stall:before=headers,seconds=20
    Start Call    Stream Chat    Hello    headers=${slow}
    Wait For Call    timeout=50 ms

No Call Started
    Cancel Call

Tool Not Called
    ${reply} =    Chat    Hello
    Tool Should Be Called    ${reply}    weather

Tool With Other Arguments
    ${reply} =    Chat    Hello    tools=${TOOL}    tool_choice=weather
    Tool Should Be Called    ${reply}    weather    {"city": 77}

Tool Called In Spite
    ${reply} =    Chat    Hello    tools=${TOOL}    tool_choice=weather
    No Tool Should Be Called    ${reply}

Tools Not JSON
    Chat    Hello    tools=[weather]

Text Instead Of JSON
    ${reply} =    Chat    ${CAPITAL}
    Answer Should Fit Schema    ${reply}    {"type": "object"}

JSON That Does Not Fit
    ${reply} =    Chat
    ...    Hello
    ...    response_format={"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    Answer Should Fit Schema    ${reply}    {"type": "object", "properties": {"a": {"type": "integer"}}}

No Log Probabilities
    ${reply} =    Chat    Hello
    Logprobs Should Be Sound    ${reply}

Attempts Of A Failed Call
    ${error} =    Chat    Hello    model=nobody    expected_status=failure
    Attempts Should Be    ${error}    1
    Attempts Should Be    ${error}    2

Backoff Without Retries
    ${reply} =    Chat    Hello
    Backoff Should Follow The Policy    ${reply}

Backoff Of Another Policy
    Start Server    simulator    fault=status:code=503,first=2
    Use Retry Policy    max_retries=2    initial_backoff=10 ms    jitter=0
    ${reply} =    Chat    Hello
    Use Retry Policy    max_retries=2    initial_backoff=40 ms    jitter=0
    Backoff Should Follow The Policy    ${reply}

Order Of Typed Events
    VAR    &{fault}    X-Inference-Fault=sequence-gap
    ${stream} =    Stream Response    ${CAPITAL}    headers=${fault}
    Stream Should Be In Order    ${stream}

Embeddings That Differ
    ${first} =    Create Embeddings    one
    ${second} =    Create Embeddings    two
    Embeddings Should Agree    ${first}    ${second}

Similarity Too Low
    ${both} =    Create Embeddings    ["a cat", "stock exchange"]
    Get Similarity    ${both}    0    1    >    0.999

Unknown Metric
    Get Metric    vllm:num_request_running    ==    0

Metric Of Buckets
    Get Metric    vllm:e2e_request_latency_seconds_bucket    >=    0    labels={"le": "+Inf"}
    Get Metric    vllm:e2e_request_latency_seconds_bucket    ==    0

Metric That Has Not Risen
    ${before} =    Get Metrics
    Metric Should Have Risen    ${before}    vllm:request_success_total    by=1    within=100 ms

Some Of Ten Fail
    Start Server    simulator    fault=status:code=503,first=3
    ${results} =    Call At Once    Chat    Hello    count=10    allow_failures=True
    Success Rate Should Be At Least    ${results}    80 %

One Of Five Fails
    Start Server    simulator    fault=status:code=503,first=1
    ${results} =    Call At Once    Chat    Hello    count=5    allow_failures=True
    All Requests Should Succeed    ${results}

Too Slow Together
    ${results} =    Call At Once    Chat    Hello    count=5
    All Requests Should Succeed    ${results}    within=1 us

Answers Of Others
    VAR    @{prompts}    one    two    three
    ${results} =    Call At Once    Chat    ${prompts}
    Each Answer Should Belong To Its Request    ${results}

Equal Prompts Prove Nothing
    ${results} =    Call At Once    Chat    Hello    count=3
    Each Answer Should Belong To Its Request    ${results}

Pass Rate Too Low
    Start Server    simulator    fault=status:code=503,first=3
    Pass Rate Should Be At Least    0.9    of 10    Chat    Hello

Pass Rate Not Sure
    Pass Rate Should Be At Least    0.99    of 5    Chat    Hello    confident=True

None Of The Words
    ${reply} =    Chat    ${CAPITAL}
    Answer Should Contain Any    ${reply}    Rome    Berlin

Answers That Differ
    ${first} =    Chat    ${CAPITAL}
    ${second} =    Chat    What is the capital of Italy?
    Answers Should Agree    ${first}    ${second}

Answers That Differ Clearly
    ${first} =    Chat    ${CAPITAL}    logprobs=2
    ${second} =    Chat    What is the capital of Italy?    logprobs=2
    Answers Should Agree    ${first}    ${second}    near_tie=0.0001

No Recording
    Replay Answer    /no/such/recording.json

Stalled Stream
    VAR    &{fault}    X-Inference-Fault=stall:before=event,event=5,seconds=0.3
    ${stream} =    Stream Chat    ${CAPITAL}    headers=${fault}
    Stream Should Not Stall    ${stream}
