*** Settings ***
Documentation    A chat in a terminal, driven as a person does.

Library          InferenceLibrary

Suite Setup      Start Server    simulator    scenario=capitals


*** Test Cases ***
The Terminal Shows The Answer
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Contain    ${answer.text}    Paris
    Terminal Should Contain    Paris
    Leave Chat Terminal
