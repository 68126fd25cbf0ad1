*** Settings ***
Documentation    A server of your own, started by a profile.

Library          InferenceLibrary

Suite Setup      Start Server    ${CURDIR}/my-worker.yaml


*** Test Cases ***
It Answers What It Was Asked
    ${reply} =    Chat    What is the capital of France?
    Answer Should Contain    ${reply}    Paris

It Comes Back After A Crash
    Kill Server
    Restart Server
    Chat    What is the capital of France?
