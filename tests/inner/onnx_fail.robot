*** Settings ***
Documentation    Bad models, inputs, providers and numbers. All tests must fail or skip; pytest reads what they say.

Library          OperatingSystem
Library          InferenceLibrary


*** Test Cases ***
Wrong Number
    Given A Model    matmul
    Run Onnx Model    [[1, 1], [0, 1]]
    Onnx Outputs Should Equal    [[5, 7, 9], [4, 5.5, 6]]

Wrong Output Type
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Onnx Outputs Should Equal    [[5, 7, 9]]    dtype=float16

Wrong Output Shape
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Onnx Outputs Should Equal    [5, 7, 9]

Unknown Output
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Onnx Outputs Should Equal    {"z": [[5, 7, 9]]}

Nothing Expected
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Onnx Outputs Should Equal    {}

Not Run
    Given A Model    matmul
    Onnx Outputs Should Equal    [[5, 7, 9]]

Nothing Loaded
    Run Onnx Model    [[1, 1]]

Wrong Input Name
    Given A Model    matmul
    Run Onnx Model    {"X": [[1, 1]]}

Missing Input
    Given A Model    add
    Run Onnx Model    {"left": [[1, 1]]}

Inputs Without Names
    Given A Model    add
    Run Onnx Model    [[1, 1]]

Wrong Input Shape
    Given A Model    matmul
    Run Onnx Model    [[1, 1, 1]]

Wrong Input Type
    Given A Model    matmul
    ${x} =    Create Tensor    [[1, 1]]    dtype=float64
    Run Onnx Model    ${x}

Ragged Input
    Given A Model    matmul
    Run Onnx Model    [[1, 1], [1]]

Unreadable Input
    Given A Model    matmul
    Run Onnx Model    one and one

Missing File
    Load Onnx Model    /no/such/model.onnx

Empty File
    Create Binary File    ${OUTPUT_DIR}/empty.onnx    ${EMPTY}
    Load Onnx Model    ${OUTPUT_DIR}/empty.onnx

Broken File
    Create File    ${OUTPUT_DIR}/broken.onnx    This is not a model.
    Load Onnx Model    ${OUTPUT_DIR}/broken.onnx

Folder
    Load Onnx Model    ${OUTPUT_DIR}

Unknown Provider
    Given A Model    matmul    providers=CUDDA

Provider Not In This Build
    Given A Model    matmul    providers=MIGraphX

Provider Not Used
    Given A Model    matmul
    Onnx Provider Should Be Used    CUDAExecutionProvider

Unknown Kind
    Create Onnx Model    transformer

Slow Run
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Get Onnx Run Time    <    0 s

Skip For A Typo
    Skip Unless Onnx Provider Is Available    CUDDA

Skipped
    Skip Unless Onnx Provider Is Available    MIGraphX

No Package
    Evaluate    sys.modules.__setitem__('onnxruntime', None)    modules=sys
    Given A Model    matmul

Skipped Without The Package
    Skip Unless Onnx Provider Is Available    CPU


*** Keywords ***
Given A Model
    [Documentation]    Makes a model of a kind and loads it.
    [Arguments]    ${kind}    ${providers}=CPU
    ${path} =    Create Onnx Model    ${kind}
    Load Onnx Model    ${path}    providers=${providers}
