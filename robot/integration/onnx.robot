*** Settings ***
Documentation    ONNX models: made on the spot, loaded, run, compared, and on the provider asked for.
...
...              No server takes part. The weights are known and exact, so right results are the same everywhere.

Library          InferenceLibrary

Suite Setup      Skip If Integration Tests Are Off

Test Tags        onnx


*** Test Cases ***
A Model Computes The Expected Numbers
    [Documentation]    x = [1, 2, 3]: hidden = relu([-1.5, 1.75, 1.5, -1.75]), y = hidden @ W2 + b2.
    [Tags]    smoke
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 2, 3]]
    Onnx Outputs Should Equal    [[-0.75, 3.75]]    rtol=0    atol=0    dtype=float32

Several Rows Are Computed At Once
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 0], [0, 1], [1, 1]]
    Onnx Outputs Should Equal    [[1, 2, 3], [4, 5, 6], [5, 7, 9]]    rtol=0    atol=0

Inputs And Outputs Have Names
    ${path} =    Create Onnx Model    add
    Load Onnx Model    ${path}
    Run Onnx Model    {"left": [[1, 2]], "right": [[10, 20]]}
    Onnx Outputs Should Equal    {"total": [[11, 22]]}
    ${total} =    Get Onnx Output    total    form=list
    Should Be Equal    ${total}    ${{[[11.0, 22.0]]}}

Numpy Goes In And Comes Out
    ${x} =    Create Tensor    [[0, 1, -1, 100]]    dtype=float32
    ${path} =    Create Onnx Model    sigmoid
    Load Onnx Model    ${path}
    ${result} =    Run Onnx Model    ${x}
    ${expected} =    Evaluate    (1 / (1 + numpy.exp(-$x.astype('float64')))).astype('float32')    modules=numpy
    Onnx Outputs Should Equal    ${expected}    rtol=1e-6    atol=1e-7
    Should Be Equal    ${result.outputs['y'].dtype.name}    float32

A Second Implementation Agrees
    [Documentation]    The reference evaluator of the package onnx shares no code with onnxruntime.
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Run Onnx Model    [[0.5, -1, 2.25], [3, 0, -4]]
    ${expected} =    Get Onnx Reference Outputs    [[0.5, -1, 2.25], [3, 0, -4]]
    Onnx Outputs Should Equal    ${expected}

A Wrong Number Is Noticed
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 1]]
    TRY
        Onnx Outputs Should Equal    [[5, 7, 9.5]]
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
    Should Be Equal    ${providers}    ${{['CPUExecutionProvider']}}
    Onnx Provider Should Be Used    CPU
    Set Test Message    Ran on ${providers}[0].

The Gpu Computes The Expected Numbers
    [Tags]    gpu
    Skip Unless Gpu Is Available
    Skip Unless Onnx Provider Is Available    CUDA
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CUDA
    Onnx Provider Should Be Used    CUDAExecutionProvider
    Run Onnx Model    [[1, 2, 3]]
    Onnx Outputs Should Equal    [[-0.75, 3.75]]    rtol=1e-3
