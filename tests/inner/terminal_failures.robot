*** Settings ***
Documentation    Every test here must fail; another test reads its message.

Library          InferenceLibrary


*** Variables ***
${PYTHON}    python
${CHATTY}    chatty.py
${LIAR}      liar.py


*** Test Cases ***
No Terminal Is Open
    Type In Terminal    hello

A Program That Is Missing
    Start Terminal    no-such-program-here

A Program That Dies At Once
    Start Terminal    sh    -c    echo out of luck; exit 3
    Wait Until Terminal Contains    ready    within=1 min

A Text That Does Not Come
    Start Terminal    sh    -c    echo hello there; cat
    Wait Until Terminal Contains    hello there
    Type In Terminal    abc
    Press Terminal Keys    Enter
    Wait Until Terminal Contains    goodbye    within=0.3 s

A Text That Should Be There
    Start Terminal    sh    -c    echo hello there; cat
    Wait Until Terminal Contains    hello
    Terminal Should Contain    goodbye

A Text That Should Not Be There
    Start Terminal    sh    -c    echo Traceback; cat
    Wait Until Terminal Contains    Traceback
    Terminal Should Not Contain    matching=Trace.*

A Pattern That Is None
    Start Terminal    cat
    Wait Until Terminal Contains    matching=(

A Key That Is None
    Start Terminal    cat
    Press Terminal Keys    Etner

Typing At A Program That Has Ended
    Start Terminal    true
    Terminal Should Have Exited    0
    Type In Terminal    anybody there?

A Program That Does Not End
    Start Terminal    cat
    Terminal Should Have Exited    0    within=0.2 s

Another Exit Code
    Start Terminal    sh    -c    exit 3
    Terminal Should Have Exited    0

A Signal Where An Exit Code Is Right
    Start Terminal    cat
    Press Terminal Keys    Ctrl+C
    Terminal Should Have Exited    0

A Screen That Goes On Changing
    Start Terminal    sh    -c    i=0; while :; do i=$((i+1)); echo $i; done
    Wait Until Terminal Contains    9
    Wait Until Terminal Is Stable    quiet=5 s    within=6 s

A Row That Is None
    Start Terminal    cat    rows=5
    Get Terminal Line    7

A Row That Is Another
    Start Terminal    sh    -c    echo hello; cat
    Wait Until Terminal Contains    hello
    Get Terminal Line    0    ==    goodbye

Another Style
    Start Terminal    sh    -c    printf '\\033[31mred\\033[0m'; cat
    Wait Until Terminal Contains    red
    Terminal Text Should Have Style    red    foreground=2

A Size That Is None
    Start Terminal    cat    columns=0

A Chat That Never Shows A Prompt
    Start Chat Terminal    ${PYTHON}    ${CHATTY}    promptless    timeout=0.5 s

A Chat That Dies While It Answers
    Start Chat Terminal    ${PYTHON}    ${CHATTY}    dies    answer_end=^Stats:
    Ask In Terminal    hello

An Answer That Does Not End
    Start Chat Terminal    ${PYTHON}    ${CHATTY}    silent    answer_end=^Stats:
    Ask In Terminal    hello    timeout=0.3 s

A Question To What Is No Chat
    Start Terminal    cat
    Ask In Terminal    hello

An Option That The Profile Has Not
    Start Chat Terminal    profile=simulator    options={"sceanrio": "capitals"}

A Profile Without A Terminal
    Start Chat Terminal    profile=openai

A First Token Where There Is No Answer
    Get Terminal Time To First Token    hello    <    1 s

Binary Garbage
    Start Terminal    ${PYTHON}    -c    import os; os.write(1, bytes(range(256)) * 400); input()
    Wait Until Terminal Contains    ready    within=0.5 s

A Flood Without End
    Start Terminal    yes    a line of a flood
    Wait Until Terminal Contains    ready    within=1 s

A Question To The Terminal That It Does Not Answer
    Start Terminal
    ...    ${PYTHON}
    ...    -c
    ...    import sys, tty; tty.setcbreak(0); print("\\x1b[?9999z", end="", flush=True); sys.stdin.read(1); print("ready")
    Wait Until Terminal Contains    ready    within=0.5 s

A Program That Ignores Hang Up
    Start Terminal    sh    -c    trap '' HUP TERM INT; sleep 100 & echo up; while :; do sleep 1; done
    Wait Until Terminal Contains    up
    Press Terminal Keys    Ctrl+C
    Terminal Should Have Exited    0    within=0.3 s

A Program That Ends While We Type
    Start Terminal    sh    -c    read line; echo got $line; exit 4
    Type In Terminal    one\ntwo\nthree
    Wait Until Terminal Contains    got one
    Terminal Should Have Exited    4
    Type In Terminal    four

A Chat That Ends While We Type
    Start Chat Terminal    sh    -c    printf '> '; read line; exit 5
    Ask In Terminal    one

A Screen Of One Cell
    Start Terminal    sh    -c    echo hello; cat    columns=1    rows=1
    Wait Until Terminal Contains    ready    within=0.3 s

Control Characters In A Text
    Start Terminal    sh    -c    stty raw -echo; cat > /dev/null
    Type In Terminal    a\x07\x1b[2J\x00b
    Wait Until Terminal Contains    a\x07b    within=0.3 s

A Command That The Chat Has Not
    Start Chat Terminal    ${PYTHON}    ${CHATTY}
    Enter Chat Command    help

A Chat That Is Silent After A Command
    Start Chat Terminal    ${PYTHON}    ${CHATTY}    silent
    Enter Chat Command    /anything    timeout=0.5 s

A Click On What Is Not There
    Start Terminal    cat
    Click On Terminal Text    Save

A Reply With A Token Lost
    Compare With What Was Sent    lost

A Reply With A Token Doubled
    Compare With What Was Sent    doubled

A Reply With Tokens Swapped
    Compare With What Was Sent    swapped

A Screen That Lost A Row
    Compare With What Was Sent    wiped

No Record Of What Was Sent
    Start Chat Terminal    ${PYTHON}    ${CHATTY}    answer_end=^Stats:
    ${answer} =    Ask In Terminal    hello
    Terminal Answer Should Equal What The Server Sent    ${answer}    ${OUTPUT DIR}/no such file


*** Keywords ***
Compare With What Was Sent
    [Documentation]    A client that does not show what it was sent.
    [Arguments]    ${mistake}
    VAR    ${truth}    ${OUTPUT DIR}/${mistake}.jsonl
    Start Chat Terminal    ${PYTHON}    ${LIAR}    ${truth}    ${mistake}    answer_end=^\\[end\\]
    ${answer} =    Ask In Terminal    tell me
    Terminal Answer Should Equal What The Server Sent    ${answer}    ${truth}
