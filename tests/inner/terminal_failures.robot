*** Settings ***
Documentation    Every test here must fail; another test reads its message.

Library          InferenceLibrary


*** Variables ***
${PYTHON}    python
${CHATTY}    chatty.py


*** Test Cases ***
No Terminal Is Open
    Type Text    hello

A Program That Is Missing
    Start Terminal    no-such-program-here

A Program That Dies At Once
    Start Terminal    sh    -c    echo out of luck; exit 3
    Wait For Screen Text    ready    timeout=1 min

A Text That Does Not Come
    Start Terminal    sh    -c    echo hello there; cat
    Type Text    abc
    Press Keys    Enter
    Wait For Screen Text    goodbye    timeout=0.3 s

A Text That Should Be There
    Start Terminal    sh    -c    echo hello there; cat
    Wait For Screen Text    hello
    Screen Should Contain    goodbye

A Text That Should Not Be There
    Start Terminal    sh    -c    echo Traceback; cat
    Wait For Screen Text    Traceback
    Screen Should Not Contain    Trace.*    regexp=yes

A Pattern That Is None
    Start Terminal    cat
    Wait For Screen Text    (    regexp=yes

A Key That Is None
    Start Terminal    cat
    Press Keys    Etner

Typing At A Program That Has Ended
    Start Terminal    true
    Terminal Should Exit    0
    Type Text    anybody there?

A Program That Does Not End
    Start Terminal    cat
    Terminal Should Exit    0    timeout=0.2 s

Another Exit Code
    Start Terminal    sh    -c    exit 3
    Terminal Should Exit    0

A Signal Where An Exit Code Is Right
    Start Terminal    cat
    Press Keys    Ctrl+C
    Terminal Should Exit    0

A Screen That Goes On Changing
    Start Terminal    sh    -c    while :; do date +%N; done
    Wait Until Screen Is Stable    timeout=0.5 s

A Row That Is None
    Start Terminal    cat    rows=5
    Get Screen Line    7

A Row That Is Another
    Start Terminal    sh    -c    echo hello; cat
    Wait For Screen Text    hello
    Get Screen Line    0    ==    goodbye

Another Style
    Start Terminal    sh    -c    printf '\\033[31mred\\033[0m'; cat
    Wait For Screen Text    red
    Text Should Have Style    red    foreground=2

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
