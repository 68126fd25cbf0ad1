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
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    odd tokens are a 4xx
    VAR    @{tokens}    ${NO_TOKEN}
    Detokenize    ${tokens}    expected_status=400

An Unknown Token Among Others Is Refused
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    odd tokens are a 4xx
    ${tokens} =    Tokenize    ${SIMPLE_PROMPT}
    VAR    @{with_another}    @{tokens}    ${NO_TOKEN}
    Detokenize    ${with_another}    expected_status=400

A Negative Token Is Refused
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    odd tokens are a 4xx
    Detokenize    [-1]    expected_status=400

A Word Is No Token
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    odd tokens are a 4xx
    Detokenize    []    extra={"tokens": ["one"]}    expected_status=400

Missing Tokens Are Refused
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    missing tokens are refused
    Detokenize    []    extra={"tokens": null}    expected_status=400

An Unknown Model Has No Tokens
    Skip Unless Server Supports    detokenize
    Skip Unless Server Supports    unknown model is refused
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
