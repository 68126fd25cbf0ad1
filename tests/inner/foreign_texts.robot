*** Settings ***
Documentation    A server, a program, a file and the environment say hostile texts wherever they can. The log must open.

Library          Collections
Library          OperatingSystem
Library          InferenceLibrary

Suite Setup      Connect To Server    ${URL}    model=m    check=False


*** Variables ***
${FIRST}    0
${COUNT}    3
${TEXTS}    ${EMPTY}    # The texts themselves, as a list, for what comes from elsewhere.


*** Test Cases ***
Answers
    [Tags]    calls
    FOR    ${n}    IN RANGE    ${FIRST}    ${FIRST} + ${COUNT}
        ${reply} =    Chat    ${n} said
        Log    ${reply}
        Log Many    ${reply.text}    ${reply.reasoning}    ${reply.texts}    ${reply.id}    ${reply.model}
        Log    ${reply.tool_calls}
        Log    ${reply.json}
        ${raw} =    Set Variable    ${reply.json}[choices][0][message][content]
        Log    ${raw}
        Log    ${reply.headers}[x-odd]    WARN
        Create File    ${OUTPUT_DIR}/texts/${n}.txt    ${reply.text}
        ${stream} =    Stream Chat    ${n} said
        Log Many    ${stream.text}    ${stream.reasoning}    ${stream.tool_calls}    ${stream.finish_reason}
        FOR    ${chunk}    IN    @{stream.chunks}
            Log    ${chunk.text}
        END
        FOR    ${text}    IN    ${raw}    ${reply.text}
            No Operation
        END
        Keyword With Values    ${raw}
    END

Refusals
    [Tags]    calls
    FOR    ${n}    IN RANGE    ${FIRST}    ${FIRST} + ${COUNT}
        ${refusal} =    Chat    ${n} refused    expected_status=400
        Log    ${refusal.error}
        Run Keyword And Expect Error    *    Chat    ${n} refused
        Run Keyword And Expect Error    *    Chat    ${n} bytes
        Run Keyword And Expect Error    *    Stream Chat    ${n} broken
        Run Keyword And Expect Error    *    Stream Chat    ${n} refused
    END

A Call That Fails
    [Tags]    calls
    [Template]    Chat
    FOR    ${n}    IN RANGE    ${FIRST}    ${FIRST} + ${COUNT}
        ${n} refused
        ${n} bytes
    END

A Stream That Fails
    [Tags]    calls
    [Template]    Stream Chat
    FOR    ${n}    IN RANGE    ${FIRST}    ${FIRST} + ${COUNT}
        ${n} broken
    END

A Check That Fails
    [Tags]    calls
    [Template]    Check What Is Said
    FOR    ${n}    IN RANGE    ${FIRST}    ${FIRST} + ${COUNT}
        ${n}
    END

Lists And Metrics
    ${models} =    List Models
    Log    ${models}
    Log Many    @{models}
    Run Keyword And Expect Error    *    Get Metric    said    labels={"text": "no"}
    Get Metric    missing

Sent Texts
    FOR    ${text}    IN    @{TEXTS}
        Run Keyword And Ignore Error    Chat    ${text}
        Run Keyword And Ignore Error    Stream Chat    ${text}    model=${text}
        Run Keyword And Ignore Error    Chat    ${text}    expected_status=failure
        Run Keyword And Ignore Error    Chat    0 said    headers=${{{'X-Odd': $text}}}
        Run Keyword And Ignore Error    Send Request    GET    ${text}
    END

Names Of Files And Servers
    FOR    ${text}    IN    @{TEXTS}
        Run Keyword And Ignore Error    Start Server    ${text}
        Run Keyword And Ignore Error    Start Server    ${text}.yaml
        Run Keyword And Ignore Error    Use Target    ${text}
        Run Keyword And Ignore Error    Connect To Server    http://127.0.0.1:1/${text}
        Run Keyword And Ignore Error    Get Model Info    ${text}.gguf
        Run Keyword And Ignore Error    Run Program    ${text}
        Run Keyword And Ignore Error    Stop Server    server=${text}
    END
    Get Model Info    ${TEXTS}[0].gguf

Programs
    FOR    ${text}    IN    @{TEXTS}
        ${bytes} =    Evaluate    repr($text.encode('utf-8', 'surrogatepass') + b'\\xff\\x80')
        VAR    ${script}
        ...    import sys; sys.stdout.buffer.write(${bytes}); sys.stderr.buffer.write(${bytes}); sys.exit(3)
        ${result} =    Run Program    ${PYTHON}    -c    ${script}
        Log Many    ${result}    ${result.stdout}    ${result.stderr}
        Run Keyword And Expect Error    *something else*    Get Program Output    ${result}    ==    something else
    END
    Get Program Output    ${result}    ==    something else

Terminals
    [Documentation]    What programs show, and what is typed.
    FOR    ${text}    IN    @{TEXTS}[:8]
        ${bytes} =    Evaluate    repr($text.encode('utf-8', 'surrogatepass') + b'\\xff\\x80 shown')
        VAR    ${script}    import sys; sys.stdout.buffer.write(${bytes}); sys.stdout.flush(); input()
        Start Terminal    ${PYTHON}    -c    ${script}
        Wait Until Terminal Contains    shown
        ${screen} =    Get Terminal Screen
        Log    ${screen}
        Run Keyword And Expect Error    *    Wait Until Terminal Contains    something else    within=10 ms
        Run Keyword And Ignore Error    Type In Terminal    ${text}
        Stop Terminal
    END
    Start Terminal    ${PYTHON}    -c    ${script}
    Wait Until Terminal Contains    something else    within=1 s

What Users Set
    [Documentation]    Said by nobody.
    FOR    ${text}    IN    @{TEXTS}
        Set Tags    ${text}
        Set Test Documentation    ${text}    append=True
        Set Suite Metadata    ${text}    ${text}    append=True
        Set Suite Documentation    ${text}    append=True
        Run Keyword And Ignore Error    Fail    ${text}
        Log    ${text}    DEBUG
        Log    %{HOSTILE}
        VAR    ${other}    ${text}
    END
    Set Test Message    ${TEXTS}[0]

A Failure Of Another Library
    Should Be Equal    ${TEXTS}[0]    %{HOSTILE}


*** Keywords ***
Check What Is Said
    [Arguments]    ${n}
    ${reply} =    Chat    ${n} said
    Answer Should Contain    ${reply}    something else

Keyword With Values
    [Arguments]    ${value}
    RETURN    ${value}
