*** Settings ***
Documentation    Thresholds that are not met, measurements of nothing. All tests must fail; pytest reads them.

Library          InferenceLibrary

Suite Setup      Start Both


*** Variables ***
${QUESTION}       What is the capital of France?
${NO_OUTPUT}      http://127.0.0.1:1
${ONE_CHUNK}      http://127.0.0.1:1
# A few tokens of a machine that stands still for a moment come in lumps, and their rate is refused.
${LONG_TEXT}      Tell a story of a robot.
&{MANY_TOKENS}    max_tokens=${24}    extra={"ignore_eos": true}


*** Test Cases ***
Too Slow
    Measure Generation    ${LONG_TEXT}    iterations=2    warmup=0    &{MANY_TOKENS}
    Measured Tokens Per Second Should Be At Least    1000

Slower Than Expected Warns
    Measure Generation    ${LONG_TEXT}    iterations=2    warmup=0    server=paced    &{MANY_TOKENS}
    Measured Tokens Per Second Should Be At Least    1000    percentile=mean    below=warn
    Fail    it was a warning

Too Slow Inline
    Measure Generation    ${LONG_TEXT}    iterations=1    warmup=0    &{MANY_TOKENS}
    Get Measured Tokens Per Second    >    1000

First Token Too Late
    Measure Generation    ${QUESTION}    iterations=2    warmup=0
    Measured Time To First Token Should Be At Most    20 ms    percentile=max

First Token Too Late Inline
    Measure Generation    ${QUESTION}    iterations=1    warmup=0
    Get Measured Time To First Token    <    20 ms    percentile=p90

Gaps Too Long
    Measure Generation    ${LONG_TEXT}    iterations=1    warmup=0    &{MANY_TOKENS}
    Get Measured Inter Token Latency    <    1 ms

Whole Answer Too Long
    Measure Generation    ${QUESTION}    iterations=1    warmup=0
    Get Measured End To End Latency    <    50 ms

Too Much Memory
    Start Memory Monitor    server=paced
    Chat    ${QUESTION}
    Stop Memory Monitor
    Memory Should Stay Below    1 MB

Too Much Memory Inline
    Start Memory Monitor    server=paced
    Get Measured Peak Memory    <    1 MB    kind=rss

Own Words
    Measure Generation    ${LONG_TEXT}    iterations=1    warmup=0    &{MANY_TOKENS}
    Get Measured Tokens Per Second    >    1000    message=Too slow for the product.

Nothing Measured
    Measured Tokens Per Second Should Be At Least    1

Measured By Another Test
    [Documentation]    The measurements of the tests above ended with them.
    Measured Time To First Token Should Be At Most    1 hour

Nothing To Draw
    Log Measurement Chart

Nothing Watched
    Memory Should Stay Below    4 GB

Nothing Generated
    Connect To Server    ${NO_OUTPUT}    check=False
    Measure Generation    ${QUESTION}    iterations=3    warmup=0

All Tokens At Once
    Connect To Server    ${ONE_CHUNK}    check=False
    Measure Generation    ${QUESTION}    iterations=1    warmup=0
    Measured Tokens Per Second Should Be At Least    0

Stream Cut In The Middle
    Start Server    simulator    fault=cut-after-events:events=3
    Measure Generation    ${QUESTION}    warmup=0

No Iterations
    Measure Generation    ${QUESTION}    iterations=0

Unknown Percentile
    Measure Generation    ${QUESTION}    iterations=1    warmup=0
    Measured Tokens Per Second Should Be At Least    1    percentile=best

Unknown Size
    Start Memory Monitor    server=paced
    Memory Should Stay Below    2 XB

Remote Memory
    Connect To Server    ${NO_OUTPUT}    check=False    alias=remote
    Start Memory Monitor    server=remote

No Such Process
    Start Memory Monitor    pid=4194304

Interval Too Short
    Start Memory Monitor    server=paced    interval=1 ms

No Gpu Memory
    Start Memory Monitor    server=paced
    Get Measured Peak Memory    <    1 GB    kind=gpu

Generation Too Long
    Measure Generation    ${QUESTION}    iterations=1    warmup=0    timeout=30 ms

Stopped By A Timeout
    [Timeout]    0.5 s
    Start Server    simulator    inter_token_latency=500 ms    alias=slow
    Start Memory Monitor
    Measure Generation    ${QUESTION}    iterations=1000

Load Too Slow
    Run Load    users=2    requests=4    max_tokens=4    server=paced
    Load Should Meet    failures == 0    ttft_p50 < 20 ms    tokens_per_second >= 100000

Load Too Slow Inline
    Run Load    rate=20/s    requests=4    max_tokens=4    server=paced
    Get Load Figure    ttft_p50    <    20 ms

Load With Failures
    ${lump} =    Connect To Server    ${ONE_CHUNK}    check=False
    Run Load    users=1    requests=3    server=${lump}
    Load Should Meet    failures == 0

Load Of A Server That Dies
    Start Server    simulator    fault=out-of-memory:requests=6    alias=dying
    Run Load    users=2    requests=20    max_tokens=4    server=dying
    Load Should Meet    failures == 0

Load Of A Server That Refuses
    ${refusing} =    Connect To Server    http://127.0.0.1:9    check=False
    Run Load    users=1    requests=3    server=${refusing}
    Load Should Meet    failures == 0

Load Of Errors Only
    Start Server    simulator    fault=status:code=503    alias=erring
    Run Load    users=1    requests=3    server=erring
    Load Should Meet    error_rate <= 1 %

Load Of A Server That Stalls
    Start Server    simulator    fault=stall    alias=stalling
    Run Load    users=2    requests=2    max_tokens=8    silence_timeout=300 ms    server=stalling
    Load Should Meet    failures == 0

Load In One Chunk
    ${lump} =    Connect To Server    ${ONE_CHUNK}    check=False
    Run Load    users=1    requests=3    judged=0    server=${lump}
    Get Load Figure    rate_p50    >    1

Load Without Usage
    ${lump} =    Connect To Server    ${ONE_CHUNK}    check=False
    Run Load    users=1    requests=3    judged=0    server=${lump}
    Load Should Meet    output_tokens >= 100

Compared By No Tolerance
    Compare Servers    fast    paced    users=1    requests=4    tolerance=ten

Baseline Of Another Machine
    Run Load    users=1    requests=8    max_tokens=2    server=paced    save_as=${OUTPUT_DIR}/other
    Evaluate
    ...    (lambda p: p.write_text(re.sub('"cpu": "[^"]*"', '"cpu": "abacus"', p.read_text())))(pathlib.Path(r"${OUTPUT_DIR}/other/summary.json"))
    ...    modules=re, pathlib
    Run Keyword And Ignore Error    Compare With Baseline    ${OUTPUT_DIR}/other    tolerance=100 %
    Fail    it was a warning

Load That Nobody Can Trust
    ${result} =    Run Load    users=1    requests=2    max_tokens=4    server=paced
    Evaluate    $result.doubts.append("the client was slow")
    Load Should Meet    failures == 0

Load Held To A Typo
    Run Load    users=1    requests=2    max_tokens=4    server=paced
    Load Should Meet    tftp99 < 1 s

Load Held To No Unit
    Run Load    users=1    requests=2    max_tokens=4    server=paced
    Load Should Meet    ttft_p99 < 1

Load Held To Half A Limit
    Run Load    users=1    requests=2    max_tokens=4    server=paced
    Load Should Meet    ttft_p99

Load Held To Nothing
    Run Load    users=1    requests=2    max_tokens=4    server=paced
    Load Should Meet

Load Without A Schedule
    Run Load    requests=2    server=paced

Load With Two Schedules
    Run Load    users=1    rate=5/s    requests=2    server=paced

Load Of A Change Without Time
    Run Load    rate=1/s to 5/s    requests=2    server=paced

Load Of Users In Bursts
    Run Load    users=1    burst=3    requests=2    server=paced

Load Of A Misspelt Kind
    Run Load    users=1    requests=2    kinds=[{"wieght": 2}]    server=paced

Load Of A Kind Of Another Type
    Run Load    users=1    requests=2    kinds=[{}, {"max_tokens": true}]    server=paced

Load Of Half A Kind
    Run Load    users=1    requests=2    kinds=[{"path": "/v1/embeddings"}]    server=paced

Load Of No Kinds
    Run Load    users=1    requests=2    kinds=[]    server=paced

Load Of Two Sources
    Run Load    users=1    requests=2    prompt=Hi    prompts=${CURDIR}/none.txt    server=paced

Load By No Tokenizer
    Run Load    users=1    requests=2    tokenizer=${OUTPUT_DIR}/nowhere    server=paced

Load In Talks At A Rate
    Run Load    rate=5/s    requests=2    turns=2    server=paced

Load Of An Unknown Rate
    Run Load    rate=5 per hour    requests=2    server=paced

Load Without An End
    Run Load    users=2    server=paced

Load That Is Too Much
    Find Max Load    ttft_p50 < 20 ms    requests=4    max_tokens=2    most=2    server=paced

Load That Is Held But Not Enough
    Find Max Load    ttft_p50 < 5 s    requests=2    max_tokens=2    most=2    at_least=3    server=paced

Search With A Typo
    Find Max Load    ttft_p50 < 20    requests=4    server=paced

Search Without A Limit
    Find Max Load    requests=4    server=paced

Search For Two Kinds
    Find Max Load    ttft_p50 < 20 ms    users=1    rate=1/s    requests=4    server=paced

Search By A Trace
    Find Max Load    ttft_p50 < 20 ms    trace=times.jsonl    requests=4    server=paced

Search By A Rate That Rises
    Find Max Load    ttft_p50 < 20 ms    rate=1/s to 5/s    ramp=1 s    requests=4    server=paced

Servers Compared By Two Schedules
    Compare Servers    fast    paced    users=1    trace=times.jsonl    requests=4

Search From Above
    Find Max Load    ttft_p50 < 20 ms    users=4    most=2    requests=4    server=paced

Slower Than Before
    Run Load    users=1    requests=8    max_tokens=2    server=fast    save_as=${OUTPUT_DIR}/fast
    Run Load    users=1    requests=8    max_tokens=2    server=paced
    Compare With Baseline    ${OUTPUT_DIR}/fast    figures=ttft

Too Few To Tell
    Run Load    users=1    requests=1    max_tokens=2    server=paced    save_as=${OUTPUT_DIR}/one
    Run Load    users=1    requests=4    max_tokens=2    server=paced
    Compare With Baseline    ${OUTPUT_DIR}/one/summary.json    tolerance=0    figures=ttft

No Baseline
    Run Load    users=1    requests=2    max_tokens=2    server=paced
    Compare With Baseline    ${OUTPUT_DIR}/nowhere

Too Few Rounds
    Compare Servers    paced    fast    users=1    requests=1    rounds=3

Servers Compared By A Typo
    Compare Servers    paced    fast    users=1    requests=1    figures=tftt

Goodput With A Typo
    Run Load    users=1    requests=2    max_tokens=2    server=paced
    Get Load Goodput    tftt < 1 s

Goodput Above
    Run Load    users=1    requests=2    max_tokens=2    server=paced
    Get Load Goodput    ttft > 1 s

Load Stopped By A Timeout
    [Timeout]    1 s
    Run Load    users=2    duration=60 s    max_tokens=2    alias=cut    server=paced
    [Teardown]    Load Should Meet    failures == 0    requests >= 100000    result=cut

Memory That Grows
    ${record} =    Evaluate
    ...    __import__("InferenceLibrary.monitor.memory_record").monitor.memory_record.MemoryRecord("grown", 0.1, 0.0)
    FOR    ${index}    IN RANGE    20
        Evaluate
        ...    $record.add(__import__("InferenceLibrary.monitor.memory_record").monitor.memory_record.MemorySample(${index}, 1, 100000000 + ${index} * 1000000))
    END
    Memory Should Not Grow By More Than    20 %    monitor=${record}
    Memory Should Not Grow By More Than    20 MB    monitor=${record}
    Memory Should Not Grow By More Than    10 MB    monitor=${record}

Growth Of Too Few Samples
    Start Memory Monitor    server=paced
    Memory Should Not Grow By More Than    10 MB

Growth By A Typo
    ${record} =    Evaluate
    ...    __import__("InferenceLibrary.monitor.memory_record").monitor.memory_record.MemoryRecord("grown", 0.1, 0.0)
    FOR    ${index}    IN RANGE    20
        Evaluate
        ...    $record.add(__import__("InferenceLibrary.monitor.memory_record").monitor.memory_record.MemorySample(${index}, 1, 100000000))
    END
    Memory Should Not Grow By More Than    ten %    monitor=${record}

Metric That Is Too High
    Start Metrics Monitor    vllm:num_requests_running    server=paced
    Get Measured Metric    vllm:num_requests_running    <    0

Metric By A Typo
    Start Metrics Monitor    vllm:num_request_running    server=paced

No Metrics Watched
    Stop Metrics Monitor

Too Many Threads
    Start Memory Monitor    server=paced
    Get Measured Resource    threads    <    1


*** Keywords ***
Start Both
    Start Server    simulator    alias=fast
    Start Server    simulator    time_to_first_token=50 ms    inter_token_latency=10 ms    alias=paced
