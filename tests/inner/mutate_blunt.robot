*** Settings ***
Documentation    A suite that notices little: it streams an answer and looks at nothing but whether a text came.

Library          InferenceLibrary    rules=off

Suite Setup      Start Server    simulator


*** Test Cases ***
Some Answer
    ${stream} =    Stream Chat    What is the capital of France?
    Should Not Be Empty    ${stream.text}
