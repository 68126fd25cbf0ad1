*** Settings ***
Documentation    A suite that notices: it asks for a stream and holds the rules and the text against it.

Library          InferenceLibrary    rules=fail

Suite Setup      Use Target


*** Test Cases ***
The Capital Of France
    ${stream} =    Stream Chat    What is the capital of France?
    Should Contain    ${stream.text}    Paris
