*** Settings ***
Documentation    The server's program on the command line: it is there, tells its version and help, and refuses
...              bad arguments.
...
...              What a program prints where, and which exit code stands for bad arguments, is said by the profile.

Resource         ../../resources/target.resource

Suite Setup      Use Target Whose Program Supports    program

Test Tags        program


*** Test Cases ***
The Program Exists And Can Be Executed
    [Tags]    smoke    covers:mistral-program-exists
    Program Should Exist

It Tells Its Version
    [Tags]    smoke    covers:mistral-version
    ${result} =    Run Program    --version
    Should Be Equal As Integers    ${result.exit_code}    0
    Program Version Should Match

It Explains Itself
    [Tags]    covers:mistral-help
    Program Help Should Contain    --port    --help

An Unknown Option Is Refused
    [Documentation]    Refused means: the exit code for it, no crash, a message that names the argument, and nothing
    ...    left behind.
    [Tags]    covers:mistral-bad-arguments
    Program Should Refuse Arguments    --no-such-option

A Port That Is Not A Number Is Refused
    [Tags]    covers:mistral-bad-arguments
    Program Should Refuse Arguments    --port    not-a-number

An Option Without Its Value Is Refused
    [Tags]    covers:mistral-bad-arguments
    Program Should Refuse Arguments    --port

A Port Out Of Range Is Refused
    Skip Unless Server Supports    checked port numbers
    Program Should Refuse Arguments    --port    999999

It Needs Little Time And Memory To Tell Its Version
    ${result} =    Run Program    --version    timeout=5 s
    Should Be True    ${result.elapsed} < 5
    Should Be Empty    ${result.left_behind}
