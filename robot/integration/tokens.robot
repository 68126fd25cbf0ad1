*** Settings ***
Documentation    Texts made into tokens, and tokens into texts again.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target That Supports    tokenize

Test Tags        tokens


*** Variables ***
# A number that is not a token of any vocabulary.
${NO_TOKEN}    ${999999999}


*** Test Cases ***
A Longer Text Has More Tokens
    [Tags]    rule:tk1
    ${few} =    Tokenize    ${SHORT_PROMPT}
    ${many} =    Tokenize    ${LONG_PROMPT}
    Should Be True    0 < len($few) < len($many)

The Same Text Has The Same Tokens
    ${first} =    Tokenize    ${SIMPLE_PROMPT}
    ${again} =    Tokenize    ${SIMPLE_PROMPT}
    Should Be Equal    ${first}    ${again}

Different Texts Have Different Tokens
    ${one} =    Tokenize    one
    ${two} =    Tokenize    two
    Should Not Be Equal    ${one}    ${two}

ASCII Comes Back
    [Tags]    rule:tk2
    Text Should Come Back    What is the capital of France?

Umlauts Come Back
    Text Should Come Back    Grüße aus Köln, fünf Öfen, ß und é

Emoji Come Back
    Text Should Come Back    A llama 🦙, a family 👨‍👩‍👧 and a flag 🇫🇷

Characters Without Spaces Between Them Come Back
    Text Should Come Back    東京は日本の首都です。

Spaces And Lines Come Back
    Text Should Come Back    one \ two\n\tthree\n\nfour\n

An Empty Text Comes Back
    Text Should Come Back    ${EMPTY}

A Long Text Comes Back
    Text Should Come Back    ${LONG_PROMPT}

No Tokens Are An Empty Text
    Skip Unless Server Supports    detokenize
    ${text} =    Detokenize    []
    Should Be Empty    ${text}

An Unknown Token Is Refused
    VAR    @{tokens}    ${NO_TOKEN}
    Tokens Should Be Refused    ${tokens}    odd tokens are a 4xx

An Unknown Token Among Others Is Refused
    ${tokens} =    Tokenize    ${SIMPLE_PROMPT}
    VAR    @{with_another}    @{tokens}    ${NO_TOKEN}
    Tokens Should Be Refused    ${with_another}    odd tokens are a 4xx

A Negative Token Is Refused
    Tokens Should Be Refused    [-1]    odd tokens are a 4xx

A Word Is Not A Token
    Tokens Should Be Refused    ["one"]    odd tokens are a 4xx

Missing Tokens Are Refused
    Tokens Should Be Refused    null    missing tokens are refused

An Unknown Model Has No Tokens
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    unknown model is refused
    Detokenize    []
    Detokenize    []    model=no-such-model    expected_status=404


*** Keywords ***
Text Should Come Back
    [Documentation]    The tokens of this text are those of no other: they give it again, to the last character.
    [Arguments]    ${text}
    Skip Unless Server Supports    detokenize
    # Tokens that open or close a text for the model are not part of it.
    ${tokens} =    Tokenize    ${text}    extra={"add_special_tokens": false}
    ${again} =    Detokenize    ${tokens}
    Should Be Equal    ${again}    ${text}

Tokens Should Be Refused
    [Documentation]    With 400 or 422, where the tokens of a text are taken.
    [Arguments]    ${tokens}    ${needs}
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    ${needs}
    ${server} =    Get Server
    ${right} =    Tokenize    ${SIMPLE_PROMPT}
    VAR    &{body}    model=${server.model}    tokens=${right}
    Body Change Should Be Refused    POST    /detokenize    ${body}    tokens    ${tokens}    status=400,422
