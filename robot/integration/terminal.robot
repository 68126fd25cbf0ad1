*** Settings ***
Documentation    A chat in a real terminal, driven as a person drives it: ask, read the screen, interrupt, leave.
...
...              The terminal is a pseudo-terminal with an emulator behind it, so what is checked is what a person sees.
...              A recording of every terminal lies beside the log, for `asciinema play`.

Library          OperatingSystem
Resource         ../../resources/target.resource

Suite Setup      Use Target Whose Program Supports    terminal

Test Tags        terminal


*** Variables ***
${CLIENT}    ${CURDIR}/../../resources/chat_client.py


*** Test Cases ***
A Chat In The Terminal
    [Documentation]    Start, ask, see the answer on the screen, leave with exit code 0.
    [Tags]    smoke    covers:mistral-tui-chat    covers:mistral-tui-launch
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Contain    ${answer.text}    Paris
    Terminal Should Contain    Paris
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
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Terminal Should Contain    capital of France
    Terminal Should Contain    capital of Italy

Control C Stops An Answer And Not The Program
    [Tags]    covers:mistral-tui-keys
    [Setup]    Tag The Origin Of Answers
    Start A Slow Chat
    ${answer} =    Ask In Terminal    Tell me a very long story about a terminal, a robot and the sea, please.
    ...    interrupt_after=10
    Skip If    'inferred' in $TEST_TAGS and not $answer.interrupted
    ...    The model answered before Ctrl+C could reach it. A larger model can be interrupted: set TEST_MODEL_FILE.
    Should Be True    ${answer.interrupted}
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Leave Chat Terminal

A Question Of Two Lines
    [Documentation]    A backslash before Enter goes on on the next line, where the profile says so.
    ${server} =    Get Server
    Skip If    $server.profile.terminal.continuation is None
    ...    A question has one line in this chat: its profile names no continuation.
    Start Chat Terminal
    ${answer} =    Ask In Terminal    What is the capital\nof France?
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Leave Chat Terminal

The End Of Input Ends The Chat
    Start Chat Terminal
    Press Terminal Keys    Ctrl+D
    Terminal Should Have Exited    0

A Narrow Terminal Loses Nothing
    [Documentation]    The answer is read from what the program wrote, the screen shows it wrapped.
    Start Chat Terminal    columns=24    rows=12
    ${answer} =    Ask In Terminal    What is the capital of France?
    Wait Until Terminal Is Stable
    Terminal Should Contain    ${answer.text}    scrollback=yes

Control C At The Prompt Leaves
    [Documentation]    With exit code 0, or with 130 as a shell tells SIGINT: the profile says which.
    ${server} =    Get Server
    Start Chat Terminal
    Press Terminal Keys    Ctrl+C
    Terminal Should Have Exited    ${server.profile.terminal.interrupt_exit_code}

The Chat Explains Itself
    [Tags]    covers:mistral-tui-commands
    Skip Unless Server Supports    help in the terminal
    Start Chat Terminal
    ${help} =    Enter Chat Command    help
    Should Contain    ${help}    exit
    Should Contain    ${help}    clear
    Leave Chat Terminal

The Conversation Is Cleared And Goes On
    Start Chat Terminal
    Ask In Terminal    What is the capital of France?
    Enter Chat Command    clear
    ${answer} =    Ask In Terminal    What is the capital of Italy?
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Leave Chat Terminal

An Answer Is Generated Anew
    Skip Unless Server Supports    regeneration in the terminal
    Start Chat Terminal
    Ask In Terminal    What is the capital of France?
    ${again} =    Enter Chat Command    regenerate    timeout=60 s
    Should Not Be Empty    ${again}
    Leave Chat Terminal

An Unknown Command Is Told
    Skip Unless Server Supports    errors in the terminal
    Start Chat Terminal
    ${error} =    Enter Chat Command    \\bogus
    Should Match Regexp    ${error}    (?i)error.*bogus
    ${answer} =    Ask In Terminal    What is the capital of France?
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Leave Chat Terminal

A Bad Flag Ends The Chat With A Reason
    [Tags]    covers:mistral-tui-errors
    ${error} =    Run Keyword And Expect Error    No prompt came*ended with exit code*
    ...    Start Chat Terminal    arguments=["--no-such-flag"]
    Should Contain    ${error}    no-such-flag

A Broken Model Ends The Chat With A Reason
    Skip Unless Server Supports    model files in the terminal
    Create File    ${OUTPUT DIR}/broken.gguf    This is not a model.
    ${error} =    Run Keyword And Expect Error    No prompt came*ended with exit code*
    ...    Start Chat Terminal    options={"model_file": r"${OUTPUT DIR}/broken.gguf"}
    Should Match Regexp    ${error}    model|GGUF magic

A Client In The Terminal Talks To The Server
    [Documentation]    A chat client of the OpenAI API: help, models, a question of two lines.
    Start A Client
    ${help} =    Enter Chat Command    /help
    Should Contain    ${help}    /exit
    ${server} =    Get Server
    ${models} =    Enter Chat Command    /model
    Should Contain    ${models}    ${server.model}
    Enter Chat Command    /model    ${server.model}
    ${answer} =    Ask In Terminal    What is the capital\nof France?
    Should Not Be Empty    ${answer.text}    Answer: expected a text, got none: ${answer}.
    Leave Chat Terminal

A Client Stops An Answer
    [Tags]    simulator
    Skip Unless Server Supports    scripted answers
    Start Server    simulator    alias=slow    mode=echo    inter_token_latency=20 ms
    Start A Client
    ${answer} =    Ask In Terminal    Tell me a very long story about a terminal, a robot and the sea, please.
    ...    interrupt_after=10
    Should Be True    ${answer.interrupted}
    ${answer} =    Ask In Terminal    And a short one.
    Should Contain    ${answer.text}    And a short one.
    Press Terminal Keys    Ctrl+C
    Terminal Should Have Exited    130

A Client Shows What The Server Refuses
    Start A Client
    ${error} =    Enter Chat Command    /model    no-such-model
    Should Contain    ${error}    Error: there is no model no-such-model
    Leave Chat Terminal

A Server That Cannot Be Reached Is Told
    [Documentation]    The chat says so, and goes on.
    [Tags]    simulator    covers:mistral-tui-errors
    Skip Unless Target Is A Simulator
    Start A Client    http://127.0.0.1:9
    ${answer} =    Ask In Terminal    Is anybody there?
    Should Contain    ${answer.text}    cannot be reached
    Leave Chat Terminal

A Wide Screen Shows What The Server Sent
    [Tags]    simulator
    Screen Should Show What The Server Sent    columns=100

A Narrow Screen Shows What The Server Sent
    [Tags]    simulator
    Screen Should Show What The Server Sent    columns=40

A Screen Of A Few Characters Shows What The Server Sent
    [Tags]    simulator
    Screen Should Show What The Server Sent    columns=17

The Chat Shows The Tokens That It Generates
    Skip Unless Server Supports    scripted answers
    VAR    ${truth}    ${OUTPUT DIR}/truth-of-the-chat.jsonl
    Start Chat Terminal    options={"truth_file": r"${truth}"}    columns=24
    ${answer} =    Ask In Terminal    What is the capital of France?
    Terminal Answer Should Equal What The Server Sent    ${answer}    ${truth}
    Leave Chat Terminal


*** Keywords ***
Screen Should Show What The Server Sent
    [Documentation]    Wide characters, marks and emoji; nothing lost or doubled, and nothing when the size changes.
    [Arguments]    ${columns}
    Skip Unless Server Supports    scripted answers
    VAR    ${truth}    ${OUTPUT DIR}/truth-of-the-server-${columns}.jsonl
    Start Server    simulator    alias=echo    mode=echo    truth_file=${truth}
    Start A Client    columns=${columns}
    ${answer} =    Ask In Terminal    日本語 und e\u0301 👍🏽 한국어, plain words that go on and on; ünïcödé to the end.
    Terminal Answer Should Equal What The Server Sent    ${answer}    ${truth}
    Resize Terminal    33    12
    Terminal Answer Should Equal What The Server Sent    ${answer}    ${truth}

Start A Client
    [Documentation]    A chat client that talks to a server, by default to the current one.
    [Arguments]    ${url}=${EMPTY}    &{options}
    IF    not $url
        ${server} =    Get Server
        VAR    ${url}    ${server.base_url}
    END
    Start Chat Terminal    python    ${CLIENT}    ${url}
    ...    answer_end=^\\[\\d+ pieces\\]    continuation=\\    &{options}

Start A Slow Chat
    [Documentation]    Answers that last long enough to be interrupted; real models are slow enough by themselves.
    ${server} =    Get Server
    IF    'scripted answers' not in $server.profile.offers
        Start Chat Terminal
    ELSE
        Start Chat Terminal    options={"mode": "echo", "inter_token_latency": "20 ms"}
    END
