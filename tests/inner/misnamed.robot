*** Settings ***
Documentation    Arguments whose names no keyword has. All tests must fail but the last; pytest reads what they say.

Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Test Cases ***
Misspelt In A Chat
    Chat    Hello    max_token=5

Misspelt In A Stream
    Stream Chat    Hello    include_usge=True

Misspelt In A Message
    Send Message    Hello    temprature=0

Misspelt In A Request
    Send Request    GET    /v1/models    expected_staus=404

Two Texts
    Complete    Hello    there

Text With An Equals Sign
    ${reply} =    Chat    a=b    max_tokens=3
    Should Be Equal As Integers    ${reply.status}    200
    Chat    max_tokens\=5 is what I say    max_tokens=3
    Send Request    POST    /v1/models    form=a
