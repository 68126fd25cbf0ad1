*** Settings ***
Documentation    ONNX models: made on the spot, loaded, run, compared, and on the provider asked for.
...
...              No server takes part. The weights are known and exact, so right results are the same everywhere.

Library          OperatingSystem
Library          InferenceLibrary    rules=fail-tagged

Suite Setup      Skip Unless Target Is A Simulator

Test Tags        onnx


*** Test Cases ***
A Model Computes The Expected Numbers
    [Documentation]    x = [1, 2, 3]: hidden = relu([-1.5, 1.75, 1.5, -1.75]), y = hidden @ W2 + b2.
    [Tags]    smoke
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 2, 3]]
    Outputs Should Match    [[-0.75, 3.75]]    rtol=0    atol=0    dtype=float32

Several Rows Are Computed At Once
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 0], [0, 1], [1, 1]]
    Outputs Should Match    [[1, 2, 3], [4, 5, 6], [5, 7, 9]]    rtol=0    atol=0

Inputs And Outputs Have Names
    ${path} =    Create Onnx Model    add
    Load Onnx Model    ${path}
    Run Onnx Model    {"left": [[1, 2]], "right": [[10, 20]]}
    Outputs Should Match    {"total": [[11, 22]]}
    ${total} =    Get Onnx Output    total    form=list
    Should Be Equal As Strings    ${total}    [[11.0, 22.0]]

Numpy Goes In And Comes Out
    ${x} =    Create Tensor    [[0, 1, -1, 100]]    dtype=float32
    ${path} =    Create Onnx Model    sigmoid
    Load Onnx Model    ${path}
    ${result} =    Run Onnx Model    ${x}
    ${expected} =    Evaluate    (1 / (1 + numpy.exp(-$x.astype('float64')))).astype('float32')    modules=numpy
    Outputs Should Match    ${expected}    rtol=1e-6    atol=1e-7
    Should Be Equal    ${result.outputs['y'].dtype.name}    float32

A Second Implementation Agrees
    [Documentation]    The reference evaluator of the package onnx shares no code with onnxruntime.
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Onnx Model    [[0.5, -1, 2.25], [3, 0, -4]]
    ${expected} =    Get Onnx Reference Outputs    [[0.5, -1, 2.25], [3, 0, -4]]
    Outputs Should Match    ${expected}

A Wrong Number Is Noticed
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 1]]
    TRY
        Outputs Should Match    [[5, 7, 9.5]]
    EXCEPT    ONNX output 'y' float32?1,3? differs in 1 of 3 values: expected 9.5, got 9 at ?0,2?*    type=GLOB
        Log    The wrong expectation was refused.
    ELSE
        Fail    A wrong number passed.
    END

The Providers Really Used Are Reported
    [Tags]    smoke
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CPU
    ${providers} =    Get Onnx Providers
    VAR    @{only}    CPUExecutionProvider
    Should Be Equal    ${providers}    ${only}
    Onnx Provider Should Be Used    CPU
    Set Test Message    Ran on ${providers}[0].

Inputs Are Given By Name
    ${path} =    Create Onnx Model    add
    Load Onnx Model    ${path}
    ${left} =    Create Tensor    [[1, 2]]    dtype=float32
    Run Onnx Model    left=${left}    right=[[10, 20]]
    Outputs Should Match    [[11, 22]]    rtol=0    atol=0

Every Element Type Goes In And Comes Out
    FOR    ${dtype}    IN
    ...    float16    bfloat16    float8_e4m3fn    float8_e5m2    float64    int8    uint8    int64    bool
        ${path} =    Create Onnx Model    identity    dtype=${dtype}
        Load Onnx Model    ${path}
        ${inputs} =    Generate Onnx Inputs    seed=1    batch=3    dimensions={"columns": 4}
        Run Onnx Model    ${inputs}
        Outputs Should Match    ${inputs}[x]    rtol=0    atol=0    dtype=${dtype}
    END

A Number That Does Not Fit Its Type Is Refused
    ${path} =    Create Onnx Model    identity    dtype=float16
    Load Onnx Model    ${path}
    Run Keyword And Expect Error
    ...    ONNX input 'x': ONNX values do not fit their type: expected float16 (at most 65504, *), got 70000 at ?0,0?.
    ...    Run Onnx Model    [[70000]]

Conditions And Loops
    ${path} =    Create Onnx Model    choose
    Load Onnx Model    ${path}
    Run Onnx Model    positive=false    x=[1, -2]
    Outputs Should Match    [-1, 2]    rtol=0    atol=0
    ${path} =    Create Onnx Model    repeat
    Load Onnx Model    ${path}
    Run Onnx Model    times=10    x=[1, 0.5, 0]
    Outputs Should Match    [1024, 512, 0]    rtol=0    atol=0

External Data Is Loaded
    ${path} =    Create Onnx Model    external
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    [[5, 7, 9]]    rtol=0    atol=0

Sequences And Maps Are Judged
    ${path} =    Create Onnx Model    zipmap
    Load Onnx Model    ${path}
    Run Onnx Model    [[0, 0], [1, 0]]
    Outputs Should Match
    ...    {"label": [0, 0], "probabilities": [{"0": 0.5, "1": 0.5}, {"0": 0.7310586, "1": 0.2689414}]}
    TRY
        Outputs Should Match    {"probabilities": [{"0": 0.5, "1": 0.5}, {"0": 0.8, "1": 0.2}]}
    EXCEPT    ONNX output 'probabilities'?1??0?*    type=GLOB
        Log    The wrong probability was refused.
    ELSE
        Fail    A wrong probability passed.
    END

A Golden File Is Compared
    Create File    ${OUTPUT_DIR}/inference/onnx/golden.json    {"y": [[-0.75, 3.75], [-0.25, 0.5]]}
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 2, 3], [0, 0, 0]]
    Run Keyword And Expect Error    ONNX output 'y' float32?2,2? differs in 2 of 4 values*
    ...    Outputs Should Match    ${OUTPUT_DIR}/inference/onnx/golden.json
    Run Onnx Model    [[1, 2, 3], [-0.5, 0, 0]]
    Outputs Should Match    ${OUTPUT_DIR}/inference/onnx/golden.json    rtol=0    atol=0

Meaning Is Judged By Rank And Direction
    ${path} =    Create Onnx Model    sigmoid
    Load Onnx Model    ${path}
    Run Onnx Model    [[3, 1, 4, 2], [0, 0, 0, 1]]
    Outputs Should Match    [[30, 10, 40, 20], [0, 0, 0, 9]]    by=argmax
    Outputs Should Match    [[30, 10, 40, 20], [3, 2, 1, 9]]    by=top-k    k=2
    Get Onnx Cosine Similarity    [[1, 1, 1, 1]]    >    0.9
    Run Keyword And Expect Error    ONNX output 'y' has other highest values in 1 of 2 rows*
    ...    Outputs Should Match    [[30, 10, 40, 20], [9, 0, 0, 1]]    by=argmax

A Model Is The Same In Every Run And Every Batch
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Onnx Model Should Be Deterministic    runs=10
    Onnx Model Should Be Batch Invariant    batch=5
    ${path} =    Create Onnx Model    noise
    Load Onnx Model    ${path}
    Run Keyword And Expect Error    ONNX model * is not deterministic: run 2: *
    ...    Onnx Model Should Be Deterministic
    ${path} =    Create Onnx Model    center
    Load Onnx Model    ${path}
    Run Keyword And Expect Error    ONNX model * depends on its batch: row 0 *
    ...    Onnx Model Should Be Batch Invariant

Io Binding Gives The Same
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    alias=plain
    Load Onnx Model    ${path}    io_binding=True    alias=bound
    ${inputs} =    Generate Onnx Inputs    batch=4    model=plain
    ${expected} =    Run Onnx Model    ${inputs}    model=plain
    Run Onnx Model    ${inputs}    model=bound
    Outputs Should Match    ${expected}    rtol=0    atol=0

A Model Inside Onnxruntime Runs
    ${folder} =    Evaluate    os.path.dirname(onnxruntime.__file__)    modules=os, onnxruntime
    Load Onnx Model    ${folder}/datasets/logreg_iris.onnx
    ${inputs} =    Generate Onnx Inputs
    Run Onnx Model    ${inputs}
    Outputs Should Be Finite
    ${maps} =    Get Onnx Output    probabilities
    Length Should Be    ${maps}    3
    FOR    ${map}    IN    @{maps}
        Should Be True    abs(sum($map.values()) - 1) < 1e-5
    END

A Model That Stays On The Cpu Is Told
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Keyword And Expect Error    ONNX model * does not run on a GPU: expected *, got CPU 2 of 2 nodes*
    ...    Onnx Model Should Run On Gpu

A Language Model Answers
    [Tags]    smoke
    ${path} =    Create Onnx Language Model    trained
    Load Onnx Model    ${path}
    ${answer} =    Generate With Onnx Model    What is the capital of France?    logprobs=True
    Should Be Equal    ${answer.text}    The capital of France is Paris.
    Should Be Equal    ${answer.finish_reason}    stop
    ${tokens} =    Get Length    ${answer.tokens}
    Length Should Be    ${answer.logprobs}    ${tokens}

A Language Model Of Known Answers Is Made On The Spot
    ${path} =    Create Onnx Language Model    computed    answers={"sky": "The sky is blue."}
    Load Onnx Model    ${path}
    ${answer} =    Generate With Onnx Model    What about the sky?    temperature=1    seed=1
    Should Be Equal    ${answer.text}    The sky is blue.
    ${answer} =    Generate With Onnx Model    What about the sea?
    Should Be Equal    ${answer.text}    I do not know.

Sampling Obeys Seed Stop And Limit
    ${path} =    Create Onnx Language Model
    Load Onnx Model    ${path}
    ${one} =    Generate With Onnx Model    Name a color.    temperature=1    seed=5
    ${two} =    Generate With Onnx Model    Name a color.    temperature=1    seed=5
    Should Be Equal    ${one.text}    ${two.text}
    ${short} =    Generate With Onnx Model    Count to 20.    max_tokens=4
    Should Be Equal    ${short.text}|${short.finish_reason}    1, 2, 3, 4,|length
    ${cut} =    Generate With Onnx Model    Count to 20.    stop=5,
    Should Be Equal    ${cut.text}|${cut.finish_reason}    1, 2, 3, 4, |stop

Two Generation Engines Agree Token By Token
    Skip Unless Generation Engine Is Available    genai
    ${path} =    Create Onnx Language Model    random    seed=3
    Load Onnx Model    ${path}
    Generation Engines Should Agree    What is the capital of France?    max_tokens=48
    ${path} =    Create Onnx Language Model
    Load Onnx Model    ${path}
    Generation Engines Should Agree    Count to 20.

The Gpu Computes The Expected Numbers
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CUDA
    Onnx Provider Should Be Used    CUDAExecutionProvider
    Onnx Model Should Run On Gpu
    Run Onnx Model    [[1, 2, 3]]
    Outputs Should Match    [[-0.75, 3.75]]    rtol=1e-3

The Gpu And The Cpu Agree
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    FOR    ${kind}    IN    matmul    mlp    sigmoid    add    external
        ${path} =    Create Onnx Model    ${kind}
        Load Onnx Model    ${path}    providers=CUDA
        Providers Should Agree    CUDA    CPU    batch=16    seed=3    rtol=1e-3    atol=1e-3
    END

Bound To The Memory Of The Gpu
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CUDA    alias=plain
    ${inputs} =    Generate Onnx Inputs    batch=4    model=plain
    ${expected} =    Run Onnx Model    ${inputs}    model=plain
    Load Onnx Model    ${path}    providers=CUDA    io_binding=True
    Run Onnx Model    ${inputs}
    Outputs Should Match    ${expected}    rtol=0    atol=0

A Cuda Graph Gives The Same Again And Again
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CUDA    alias=plain
    ${inputs} =    Generate Onnx Inputs    batch=4    model=plain
    ${expected} =    Run Onnx Model    ${inputs}    model=plain
    Load Onnx Model    ${path}    providers=CUDA    cuda_graph=True
    FOR    ${_}    IN RANGE    3
        Run Onnx Model    ${inputs}
        Outputs Should Match    ${expected}    rtol=1e-5
    END

A Gpu Without Room Says So And Goes On
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}    providers=CUDA    memory_limit=16 MB
    ${inputs} =    Generate Onnx Inputs    batch=20000000
    Run Keyword And Expect Error    ONNX model * failed: got out of memory*
    ...    Run Onnx Model    ${inputs}
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    [[5, 7, 9]]    rtol=1e-3

A Language Model On The Gpu Says The Same
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Language Model
    Load Onnx Model    ${path}    providers=CUDA,CPU    provider_options={"CUDA": {"use_tf32": 0}}
    ${on_gpu} =    Generate With Onnx Model    Count to 20.
    Load Onnx Model    ${path}
    ${on_cpu} =    Generate With Onnx Model    Count to 20.
    Should Be Equal    ${on_gpu.tokens}    ${on_cpu.tokens}
