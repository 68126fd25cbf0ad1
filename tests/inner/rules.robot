*** Settings ***
Documentation    Every call is judged by the rules of the wire: what is told, what fails, what is left out.

Library          InferenceLibrary

Suite Setup      Start Server    simulator


*** Variables ***
&{OTHER_ROLE}    X-Inference-Fault=wrong-role
&{ROLE_AGAIN}    X-Inference-Fault=role-repeated
&{ERROR}         X-Inference-Fault=error-as-200
&{CUT}           X-Inference-Fault=cut-after-events:events=3


*** Test Cases ***
Warned And Returned
    ${reply} =    Chat    Hello    headers=${OTHER_ROLE}
    Should Be Equal    ${reply.role}    user

Warned Once A Run
    Chat    Hello    headers=${OTHER_ROLE}

Good Calls Are Silent
    Use Rules    fail-should
    Chat    Hello
    Stream Chat    Hello    include_usage=True
    Complete    Hello
    List Models
    Create Embeddings    Hello
    Respond    Hello
    Stream Message    Hello
    Call At Once    Chat    Hello    count=2
    Start Call    Stream Chat    Hello
    Wait For Call

A Model That Is Loaded After The List Was Read Is Not Unknown
    Use Rules    fail-should
    List Models
    Load Adapter    pirate    /adapters/pirate
    Chat    Hello    model=pirate

A Must Rule Fails The Call
    Chat    Hello    headers=${OTHER_ROLE}    rules=fail

A Must Rule Fails The Suite's Calls
    Use Rules    fail
    Chat    Hello    headers=${OTHER_ROLE}

The Setting Ends With Its Test
    Chat    Hello    headers=${OTHER_ROLE}

A Should Rule Is Only Told
    Stream Chat    Hello    headers=${ROLE_AGAIN}    rules=fail

A Should Rule Fails Where It Counts
    Stream Chat    Hello    headers=${ROLE_AGAIN}    rules=fail-should

A Rule That Is Left Out Is Told
    Use Rules    fail    leave_out=["N4", "C7"]
    Chat    Hello    headers=${OTHER_ROLE}

The Others Are Held When One Is Left Out
    Use Rules    fail    leave_out=C7
    Chat    Hello    headers=${OTHER_ROLE}

What Is Left Out Must Be In The Book
    Use Rules    fail    leave_out=N444

At A Server Of Ours Each Test Fails
    [Tags]    rule:c6
    Use Rules    fail-tagged
    Chat    Hello    headers=${OTHER_ROLE}

At A Server Of Ours A Broken Should Rule Fails Too
    Use Rules    fail-tagged
    Stream Chat    Hello    headers={"X-Inference-Fault": "wrong-created"}

At Another Server A Test Of Another Rule Warns
    [Tags]    rule:c6
    Meet As Another Server
    Chat    Hello    headers=${OTHER_ROLE}

At Another Server The Test Of The Rule Fails
    [Tags]    rule:c6    rule:n4
    Meet As Another Server
    Chat    Hello    headers=${OTHER_ROLE}

At Another Server A Tag That Was Just Set Counts
    Meet As Another Server
    Set Tags    rule:N4
    Chat    Hello    headers=${OTHER_ROLE}

At Another Server A Should Rule Is Told
    [Tags]    rule:c7
    Meet As Another Server
    Stream Chat    Hello    headers=${ROLE_AGAIN}

Nothing Is Judged
    Use Rules    off
    Chat    Hello    headers=${OTHER_ROLE}

What Cannot Be A Success Fails All The Same
    Chat    Hello    headers=${ERROR}    rules=off

One Of Several At Once Fails Them
    Call At Once    Chat    Hello    count=2    headers=${OTHER_ROLE}    rules=fail

A Background Stream Is Judged
    Start Call    Stream Chat    Hello    headers=${ROLE_AGAIN}    rules=fail-should
    Wait For Call

A Failed Call Is Judged And Fails As It Did
    Stream Chat    Hello    headers=${CUT}    rules=fail    expected_status=failure
    Stream Chat    Hello    headers=${CUT}    rules=fail

A Refusal That Breaks Rules Is Not The One Expected
    VAR    &{fault}    X-Inference-Fault=error-key-missing:key=message
    Chat    Hello    model=nobody    headers=${fault}    rules=fail    expected_status=404

Rules Of One's Own
    Use Rules    fail    ${CURDIR}/own_rules.py
    Chat    Hello

Whole Book Refused
    ${stream} =    Stream Chat    Hello    headers=${ROLE_AGAIN}
    Answer Should Keep The Rules    ${stream}

Whole Book With One Left Out
    ${stream} =    Stream Chat    Hello    headers=${ROLE_AGAIN}
    Answer Should Keep The Rules    ${stream}    leave_out=["C7"]

Whole Book Without The Should Rules
    ${stream} =    Stream Chat    Hello    headers=${ROLE_AGAIN}
    Answer Should Keep The Rules    ${stream}    should=False

A Replay Is Judged Again
    ${stream} =    Stream Chat    Hello    headers=${ROLE_AGAIN}
    ${again} =    Replay Answer    ${stream.recording}
    Answer Should Keep The Rules    ${again}    only=C7

A Whole Answer Is Judged Again
    ${reply} =    Chat    Hello    headers=${OTHER_ROLE}
    ${file} =    Record Answer    ${reply}
    ${again} =    Replay Answer    ${file}
    Should Be Equal    ${again.text}    ${reply.text}
    Answer Should Keep The Rules    ${again}

A Refusal Is Judged Again
    ${refusal} =    Chat    Hello    model=nobody    expected_status=404
    ${file} =    Record Answer    ${refusal}
    ${again} =    Replay Answer    ${file}
    Should Be Equal As Integers    ${again.status}    404
    Answer Should Keep The Rules    ${again}    only=R1

What Is Not An Answer Is Not Recorded
    Record Answer    Hello

A Lump Does Not Come Evenly
    VAR    &{held_back}    X-Inference-Fault=buffered
    Start Server    simulator    inter_token_latency=30 ms    mode=echo    scenario=${None}
    ${stream} =    Stream Chat
    ...    one two three four five six seven eight nine ten eleven twelve
    ...    headers=${held_back}
    Stream Should Not Stall    ${stream}

No Rule To Ask
    ${reply} =    Chat    Hello
    Answer Should Keep The Rules    ${reply}    only=C7

A Rule That Is Not In The Book
    ${reply} =    Chat    Hello
    Answer Should Keep The Rules    ${reply}    only=C777

An Object That Is Not An Answer
    Answer Should Keep The Rules    Hello


*** Keywords ***
Meet As Another Server
    [Documentation]    The same server by a profile that does not know it as one of ours.
    ${server} =    Get Server
    Connect To Server    ${server.base_url}    profile=openai    alias=another    model=${server.client.model}
    Use Rules    fail-tagged
