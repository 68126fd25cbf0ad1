*** Settings ***
Documentation    Every test here must be stopped by its time limit; another test looks for what is left running.

Library          InferenceLibrary


*** Variables ***
${PIDS}          .
${CHANGES}       while :; do date +%N; sleep 0.01; done
${QUIET CHAT}    printf '> '; cat > /dev/null


*** Test Cases ***
Wait For Screen Text
    Start Terminal    sh    -c    echo $$ > ${PIDS}/text; ${CHANGES}
    Limited    Wait For Screen Text    never    timeout=1 min

Wait For Text In The Scrollback
    Start Terminal    sh    -c    echo $$ > ${PIDS}/scrollback; ${CHANGES}
    Limited    Wait For Screen Text    never    timeout=1 min    scrollback=yes

Wait Until Screen Is Stable
    Start Terminal    sh    -c    echo $$ > ${PIDS}/stable; ${CHANGES}
    Limited    Wait Until Screen Is Stable    timeout=1 min

Terminal Should Exit
    Start Terminal    sh    -c    trap '' HUP TERM INT; sleep 100 & echo $$ $! > ${PIDS}/exit; cat
    Limited    Terminal Should Exit    0    timeout=1 min

Start Chat Terminal
    Limited    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/start; sleep 100    timeout=1 min

Ask In Terminal
    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/ask; ${QUIET CHAT}
    Limited    Ask In Terminal    hello    timeout=1 min

Leave Chat Terminal
    Start Chat Terminal    sh    -c    echo $$ > ${PIDS}/leave; ${QUIET CHAT}
    Limited    Leave Chat Terminal    timeout=1 min

Run Binary
    Limited    Run Binary    sh    -c    sleep 100 & echo $$ $! > ${PIDS}/run; sleep 100    timeout=1 min

Arguments Should Be Rejected
    Use Binary    sh    -c    sleep 100 & echo $$ $! > ${PIDS}/rejected; sleep 100
    Limited    Arguments Should Be Rejected    --bogus    timeout=1 min


*** Keywords ***
Limited
    [Documentation]    The keyword alone is under the limit, so that a slow machine does not stop what comes before it.
    [Arguments]    ${keyword}    @{arguments}    &{options}
    [Timeout]    0.3 s
    Run Keyword    ${keyword}    @{arguments}    &{options}
