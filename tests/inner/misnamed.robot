*** Settings ***
Documentation    Arguments whose names no keyword has. All tests must fail but the last; pytest reads what they say.

Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Test Cases ***
Misspelt In A Chat
    Chat    Hello    max_token=5

Misspelt After Another
    Chat    Hello    max_tokens=5    temprature=0

Misspelt In A Request
    Send Request    GET    /v1/models    expected_staus=404

Other Word In A Request
    Send Request    GET    /v1/models    status=404

Misspelt In A Check
    Server Log Should Contain    sinc=start

Misspelt In Words
    Run Program    true    timout=5 s

Misspelt In A Message
    Get Metric    requests    ==    0    mesage=never

Misspelt In A Switch
    Server Should Be Healthy    sever=simulator

Misspelt Through Another Keyword
    Run Keyword    Chat    Hello    max_token=5

Misspelt In A Dictionary
    VAR    &{options}    max_tokens=3    temprature=0
    Chat    Hello    &{options}

Argument Of Another Api
    Send Message    Hello    response_format=json_object

Two Texts
    Complete    Hello    there

Text After Names
    Complete    max_tokens=3    Hello

Text With An Equals Sign
    ${reply} =    Chat    a=b    max_tokens=3
    Should Be Equal As Integers    ${reply.status}    200
    Chat    max_tokens\=5 is what I say    max_tokens=3
    Send Request    POST    /v1/models    form\=a
    Send Request    POST    /v1/models    body=form=a
    Get Answer Text    ${reply}    not contains    key=value
    VAR    &{few}    max_tokens=3    temperature=0
    Chat    Hello    &{few}
