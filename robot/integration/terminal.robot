*** Settings ***
Documentation    A chat in a real terminal, driven as a person drives it: ask, read the screen, interrupt, leave.
...
...              The terminal is a pseudo-terminal with an emulator behind it, so what is checked is what a person sees.
...              A recording of every terminal lies beside the log, for `asciinema play`.

Resource         ../../resources/target.resource

Suite Setup      Use Target
Test Setup       Skip Unless Server Supports    terminal

Test Tags        terminal


*** Test Cases ***
A Chat In The Terminal
    [Documentation]    Start, ask, see the answer on the screen, leave with exit code 0.
    [Tags]    smoke
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Contain    ${answer.text}    Paris
    Screen Should Contain    Paris
    Take Terminal Screenshot    capital of France
    Leave Chat Terminal    exit_code=0

The First Token Is On The Screen Soon
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital of Germany?
    Get Terminal Time To First Token    ${answer}    <    10 s

A Second Question Follows The First
    Start Chat Terminal
    Ask In Terminal    What is the capital of France?
    ${answer} =    Ask In Terminal    What is the capital of Italy?
    Should Not Be Empty    ${answer.text}
    Screen Should Contain    capital of France
    Screen Should Contain    capital of Italy

Control C Stops An Answer And Not The Program
    [Setup]    Run Keywords    Skip Unless Server Supports    terminal    AND    Tag The Origin Of Answers
    Start A Slow Chat
    ${answer} =    Ask In Terminal    Tell me a very long story about a terminal, a robot and the sea, please.
    ...    interrupt_after=10
    Skip If    'inferred' in $TEST_TAGS and not $answer.interrupted
    ...    The model answered before Ctrl+C could reach it. A larger model can be interrupted: set TEST_MODEL_FILE.
    Should Be True    ${answer.interrupted}
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Not Be Empty    ${answer.text}
    Leave Chat Terminal

A Question Of Two Lines
    [Documentation]    A backslash before Enter goes on on the next line.
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital\nof France?
    Should Not Be Empty    ${answer.text}
    Leave Chat Terminal

The End Of Input Ends The Chat
    Start Chat Terminal
    Press Keys    Ctrl+D
    Terminal Should Exit    0

A Narrow Terminal Loses Nothing
    [Documentation]    The answer is read from what the program wrote, the screen shows it wrapped.
    Start Chat Terminal    columns=24    rows=12
    ${answer} =    Ask In Terminal    What is the capital of France?
    Wait Until Screen Is Stable
    Screen Should Contain    ${answer.text}    scrollback=yes


*** Keywords ***
Start A Slow Chat
    [Documentation]    Answers that last long enough to be interrupted; real models are slow enough by themselves.
    ${server} =    Get Server
    IF    'scripted answers' in $server.profile.lacks
        Start Chat Terminal
    ELSE
        Start Chat Terminal    options={"mode": "echo", "inter_token_latency": "50 ms"}
    END
