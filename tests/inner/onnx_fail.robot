*** Settings ***
Documentation    Bad models, inputs, providers and numbers. All tests must fail or skip; pytest reads what they say.

Library          OperatingSystem
Library          InferenceLibrary


*** Test Cases ***
Wrong Number
    Given A Model    matmul
    Run Onnx Model    [[1, 1], [0, 1]]
    Outputs Should Match    [[5, 7, 9], [4, 5.5, 6]]

Wrong Output Type
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    [[5, 7, 9]]    dtype=float16

Wrong Output Shape
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    [5, 7, 9]

Unknown Output
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    {"z": [[5, 7, 9]]}

Nothing Expected
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    {}

Not Run
    Given A Model    matmul
    Outputs Should Match    [[5, 7, 9]]

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

Number Beyond Float16
    ${path} =    Create Onnx Model    identity    dtype=float16
    Load Onnx Model    ${path}
    Run Onnx Model    [[1, 70000]]

Input That Is Not Finite
    Given A Model    matmul
    Run Onnx Model    [[NaN, 1]]

Output That Is Not Finite
    Given A Model    log
    Run Onnx Model    [[0, 1]]
    Outputs Should Be Finite

Wrong Probability
    Given A Model    zipmap
    Run Onnx Model    [[0, 0]]
    Outputs Should Match    {"probabilities": [{"0": 0.5, "1": 0.75}]}

Input Given Twice
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]    x=[[1, 1]]

Misspelt Argument
    Given A Model    matmul
    Run Onnx Model    x=[[1, 1]]    timeot=1 s

Missing Golden File
    Given A Model    matmul
    Run Onnx Model    [[1, 1]]
    Outputs Should Match    ${OUTPUT_DIR}/no.npz

Lfs Pointer
    Create File    ${OUTPUT_DIR}/pointer.onnx    version https://git-lfs.github.com/spec/v1
    Load Onnx Model    ${OUTPUT_DIR}/pointer.onnx

Not On The Gpu
    Given A Model    mlp
    Onnx Model Should Run On Gpu

Not Deterministic
    Given A Model    noise
    Onnx Model Should Be Deterministic

Not Batch Invariant
    Given A Model    center
    Onnx Model Should Be Batch Invariant

Gpu Option On The Cpu
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}    device_id=1

Size Without A Unit
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}    memory_limit=500

No Picture
    Create Image Tensor    /no/such.png

Unloaded
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}    alias=gone
    Unload Onnx Model    model=gone
    Run Onnx Model    [[1, 1]]    model=gone

Runtime Words
    Evaluate
    ...    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([onnx.helper.make_node("Gather", ["t", "i"], ["y"])], "g", [onnx.helper.make_tensor_value_info("i", 7, ["n"])], [onnx.helper.make_tensor_value_info("y", 1, ["n"])], [onnx.helper.make_tensor("t", 1, [2], [1.0, 2.0])]), ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), $OUTPUT_DIR + "/gather.onnx")
    ...    modules=onnx
    Load Onnx Model    ${OUTPUT_DIR}/gather.onnx
    Set Log Level    DEBUG
    Run Onnx Model    [7]

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
