*** Settings ***
Documentation    Streams, and the rules of the wire.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    scenario=capitals


*** Test Cases ***
A Stream Comes In Order
    ${stream} =    Stream Chat    What is the capital of France?    include_usage=True
    Stream Should Be In Order    ${stream}
    Stream Should End With Done    ${stream}
    Stream Should Have One Id    ${stream}
    Answer Should Contain    ${stream}    Paris
    Get Time To First Token    ${stream}    <    2 s

Every Broken Rule Fails The Test
    Use Rules    fail
    Stream Chat    What is the capital of France?

A Broken Stream Is Noticed
    # A fault of the simulator: the stream ends without its marker.
    VAR    &{headers}    X-Inference-Fault=missing-done
    Run Keyword And Expect Error
    ...    *Exactly one [[]DONE] ends the stream*
    ...    Stream Chat    What is the capital of France?    headers=${headers}    rules=fail
