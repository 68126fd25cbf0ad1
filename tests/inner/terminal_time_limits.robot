*** Settings ***
Documentation    Every test here must be stopped by its time limit; another test looks for what is left running.

Library          InferenceLibrary


*** Variables ***
${PIDS}          .
${LIMIT}         300 milliseconds
${CHANGES}       while :; do date +%N; sleep 0.01; done
${QUIET CHAT}    printf '> '; cat > /dev/null


*** Test Cases ***
Wait Until Terminal Contains
    Start Terminal    sh    -c    echo $$ > ${PIDS}/text; ${CHANGES}
    Limited    Wait Until Terminal Contains    never    within=1 min

Wait For Text In The Scrollback
    Start Terminal    sh    -c    echo $$ > ${PIDS}/scrollback; ${CHANGES}
    Limited    Wait Until Terminal Contains    never    within=1 min    scrollback=yes

Wait Until Terminal Is Stable
    Start Terminal    sh    -c    echo $$ > ${PIDS}/stable; ${CHANGES}
    Limited    Wait Until Terminal Is Stable    quiet=30 s    within=1 min

Terminal Should Have Exited
    Start Terminal    sh    -c    trap '' HUP TERM INT; sleep 100 & echo $$ $! > ${PIDS}/exit; cat
    Limited    Terminal Should Have Exited    0    within=1 min

Start Chat Terminal
    Limited    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/start; sleep 100    timeout=1 min

Ask In Terminal
    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/ask; ${QUIET CHAT}
    Limited    Ask In Terminal    hello    timeout=1 min

Leave Chat Terminal
    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/leave; ${QUIET CHAT}
    Limited    Leave Chat Terminal    timeout=1 min

Run Program
    Limited    Run Program    sh    -c    sleep 100 & echo $$ $! > ${PIDS}/run; sleep 100    timeout=1 min

Program Should Refuse Arguments
    Use Program    sh    -c    sleep 100 & echo $$ $! > ${PIDS}/rejected; sleep 100
    Limited    Program Should Refuse Arguments    --bogus    timeout=1 min


*** Keywords ***
Limited
    [Documentation]    The keyword alone is under the limit, so that a slow machine does not stop what comes before it.
    [Arguments]    ${keyword}    @{arguments}    &{options}
    [Timeout]    ${LIMIT}
    Run Keyword    ${keyword}    @{arguments}    &{options}
