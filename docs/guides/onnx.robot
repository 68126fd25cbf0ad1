*** Settings ***
Documentation    A model in ONNX, run and judged.

Library          InferenceLibrary


*** Test Cases ***
The Model Gives The Same For The Same
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    ${inputs} =    Generate Onnx Inputs    seed=1
    Run Onnx Model    ${inputs}
    Outputs Should Be Finite
    Onnx Model Should Be Deterministic
