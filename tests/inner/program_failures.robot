*** Settings ***
Documentation    Every test here must fail; another test reads its message.

Library          InferenceLibrary


*** Variables ***
${FOLDER}    .
${PYTHON}    python


*** Test Cases ***
No Program Is Named
    Program Version Should Match    1.0

Neither A Command Nor A Profile
    Use Program

A Program That Is Missing
    Run Program    pyhton3

A Program That Is A Directory
    Program Should Exist    ${FOLDER}

A Program That Is Not Executable
    Program Should Exist    ${FOLDER}/plain

A Program Without Interpreter
    Program Should Exist    ${FOLDER}/no-interpreter

A Program That Does Not End
    Run Program    sh    -c    echo waiting; sleep 100    timeout=0.3 s

A Version That Is Another
    Use Program    ${PYTHON}
    Program Version Should Match    Python 2

A Version On The Other Stream
    Use Program    sh    -c    echo version: 7 >&2
    Program Version Should Match    version: 7

Help Without An Option
    Use Program    ${PYTHON}
    Program Help Should Contain    --verison

Arguments That Are Accepted
    Use Program    ${PYTHON}    -c    pass
    Program Should Refuse Arguments    --bogus

Arguments That Crash The Program
    Use Program    sh    -c    kill -SEGV $$
    Program Should Refuse Arguments    --bogus

Arguments Refused With Another Code
    Use Program    ${PYTHON}
    Program Should Refuse Arguments    --bogus    exit_code=1

Arguments Refused Without A Message
    Use Program    sh    -c    exit 2
    Program Should Refuse Arguments    --bogus

Arguments Refused With Processes Left
    Use Program    sh    -c    echo bad --bogus >&2; sleep 100 & exit 2
    Program Should Refuse Arguments    --bogus

Too Much Memory
    ${result} =    Run Program    ${PYTHON}    -c    import time; time.sleep(0.1)
    Get Program Peak Memory    ${result}    <    1 kB

Memory Of What Is No Result
    Get Program Peak Memory    hello    <    1 kB

Output That Is Another
    ${result} =    Run Program    sh    -c    echo hello
    Get Program Output    ${result}    ==    goodbye
