*** Settings ***
Documentation    Every test here must fail; another test reads its message.

Library          InferenceLibrary


*** Variables ***
${FOLDER}    .
${PYTHON}    python


*** Test Cases ***
No Program Is Named
    Version Should Match    1.0

Neither A Command Nor A Profile
    Use Binary

A Program That Is Missing
    Run Binary    pyhton3

A Program That Is A Directory
    Binary Should Exist    ${FOLDER}

A Program That Is Not Executable
    Binary Should Exist    ${FOLDER}/plain

A Program Without Interpreter
    Binary Should Exist    ${FOLDER}/no-interpreter

A Program That Does Not End
    Run Binary    sh    -c    echo waiting; sleep 100    timeout=0.3 s

A Version That Is Another
    Use Binary    ${PYTHON}
    Version Should Match    Python 2

A Version On The Other Stream
    Use Binary    sh    -c    echo version: 7 >&2
    Version Should Match    version: 7

Help Without An Option
    Use Binary    ${PYTHON}
    Help Should Mention    --verison

Arguments That Are Accepted
    Use Binary    ${PYTHON}    -c    pass
    Arguments Should Be Rejected    --bogus

Arguments That Crash The Program
    Use Binary    sh    -c    kill -SEGV $$
    Arguments Should Be Rejected    --bogus

Arguments Refused With Another Code
    Use Binary    ${PYTHON}
    Arguments Should Be Rejected    --bogus    exit_code=1

Arguments Refused Without A Message
    Use Binary    sh    -c    exit 2
    Arguments Should Be Rejected    --bogus

Arguments Refused With Processes Left
    Use Binary    sh    -c    echo bad --bogus >&2; sleep 100 & exit 2
    Arguments Should Be Rejected    --bogus

Too Much Memory
    ${result} =    Run Binary    ${PYTHON}    -c    import time; time.sleep(0.1)
    Get Peak Memory    ${result}    <    1 kB

Memory Of What Is No Result
    Get Peak Memory    hello    <    1 kB

Output That Is Another
    ${result} =    Run Binary    sh    -c    echo hello
    Get Binary Output    ${result}    ==    goodbye
