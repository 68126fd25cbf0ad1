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
    ${server} =    Get Server
    Program Help Should Contain    --help
    IF    '--port' in $server.profile.start.command
        Program Help Should Contain    --port
    END

An Unknown Option Is Refused
    [Documentation]    Refused means: the exit code for it, no crash, a message that names the argument, and nothing
    ...    left behind.
    [Tags]    covers:mistral-bad-arguments
    Program Should Refuse Arguments    --no-such-option

A Port That Is Not A Number Is Refused
    [Tags]    covers:mistral-bad-arguments
    Skip Unless Port Is An Argument
    Program Should Refuse Arguments    --port    not-a-number

An Option Without Its Value Is Refused
    [Tags]    covers:mistral-bad-arguments
    Skip Unless Port Is An Argument
    Program Should Refuse Arguments    --port

A Port Out Of Range Is Refused
    Skip Unless Port Is An Argument
    Skip Unless Server Supports    checked port numbers
    Program Should Refuse Arguments    --port    999999

It Tells Its Version In Time And Leaves Nothing Behind
    ${result} =    Run Program    --version
    Should Be Equal As Integers    ${result.exit_code}    0
    Should Be Empty    ${result.left_behind}


*** Keywords ***
Skip Unless Port Is An Argument
    [Documentation]    Some programs take their port from the environment or from a file.
    ${server} =    Get Server
    Skip If    '--port' not in $server.profile.start.command    The profile gives the port otherwise than by --port.
