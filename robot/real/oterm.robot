*** Settings ***
Documentation    A full-screen chat of somebody else's in a real terminal: oterm, drawn by Textual, talks to the
...              embedded simulator. `make test-real` installs it, and sets OTERM to its path.

Library          OperatingSystem
Library          InferenceLibrary    rules=fail-tagged

Suite Setup      Start A Server For Oterm

Test Tags        real    slow    terminal


*** Variables ***
${OTERM}    %{OTERM=}
${TRUTH}    ${OUTPUT DIR}/truth of oterm.jsonl


*** Test Cases ***
A Chat On The Full Screen
    [Documentation]    Provider and model are chosen, a question is asked, what the server sent is on the screen.
    Start Oterm    110    44
    Start A New Chat
    Ask On The Full Screen    What is the capital of France?    is Paris.
    Terminal Text Should Have Style    Paris    bold=no
    Terminal Answer Should Equal What The Server Sent    ${NONE}    ${TRUTH}    layout=program    within=20 s
    Take Terminal Screenshot    oterm
    Leave Oterm

A Chat In A Smaller Window
    [Documentation]    The program draws itself anew; the answer is whole also in the narrow window.
    Start Oterm    110    44
    Start A New Chat
    Ask On The Full Screen    What is the capital of Germany?    is Berlin.
    Resize Terminal    50    20
    Wait Until Terminal Is Stable    quiet=500 ms    within=60 s
    Terminal Answer Should Equal What The Server Sent    ${NONE}    ${TRUTH}    layout=program    within=20 s
    Leave Oterm


*** Keywords ***
Start A Server For Oterm
    [Documentation]    Skips loudly where oterm is not.
    Skip If    $OTERM == ''    SKIPPED: oterm is not installed. make test-real installs it; or set OTERM to its path.
    Start Server    simulator    truth_file=${TRUTH}    inter_token_latency=10 ms

Start Oterm
    [Documentation]    With data of its own, in which the simulator is the second provider.
    [Arguments]    ${columns}    ${rows}
    ${server} =    Get Server
    VAR    ${data}    ${OUTPUT DIR}/oterm
    Remove Directory    ${data}    recursive=True
    VAR    ${endpoint}    {"base_url": "${server.base_url}/v1", "api_key": "none"}
    Create File    ${data}/config.json    {"splash-screen": false, "openaiCompatible": {"sim": ${endpoint}}}
    Start Terminal    ${OTERM}    columns=${columns}    rows=${rows}
    ...    environment={"OTERM_DATA_DIR": r"${data}", "OLLAMA_HOST": "127.0.0.1:9"}
    Wait Until Terminal Contains    to start a new chat    within=2 min

Start A New Chat
    [Documentation]    In the dialogue: the second provider, the model by its name, Save with the mouse.
    Press Terminal Keys    Ctrl+N
    Wait Until Terminal Contains    Type model name    within=1 min
    Press Terminal Keys    Enter
    Wait Until Terminal Contains    matching=│ +sim    within=1 min
    Press Terminal Keys    Down    Enter
    Wait Until Terminal Contains    matching=sim +▼    within=1 min
    Press Terminal Keys    Tab
    Wait Until Terminal Is Stable    quiet=2 s    within=1 min
    Choose The Model

Choose The Model
    [Documentation]    What is typed before the list of models has come is lost.
    Type In Terminal    fake-model
    Wait Until Terminal Contains    matching=fake-model[^~]*fake-model    within=1 min
    Press Terminal Keys    Down    Enter
    Wait Until Terminal Contains    Model: fake-model    within=1 min
    Click On Terminal Text    Save
    Wait Until Terminal Contains    chat #    within=1 min

Ask On The Full Screen
    [Documentation]    Types the question, and waits for the end of the answer.
    [Arguments]    ${question}    ${end of the answer}
    Wait Until Terminal Contains    ❯    within=1 min
    Type In Terminal    ${question}
    Wait Until Terminal Contains    ${question}    within=1 min
    Press Terminal Keys    Enter
    Wait Until Terminal Contains    ${end of the answer}    within=1 min

Leave Oterm
    [Documentation]    By its key; the exit code is 0.
    Press Terminal Keys    Ctrl+Q
    Terminal Should Have Exited    0    within=1 min
