*** Settings ***
Documentation    What the suites ask of two answers, of an answer's end and of a stream's pieces: at a simulator, which
...              repeats itself, and at a server by URL that answers by chance.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Start Both


*** Test Cases ***
Equal Texts
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

Other Texts
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    headers={"X-Inference-Fault": "lost-token"}
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

No First Text
    ${called} =    Chat    ${CAPITAL_OF_FRANCE}    tools={"name": "get_time"}    tool_choice=required
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}
    Answers Should Agree Where They Repeat    ${called}    ${reply}

No Second Text
    ${called} =    Chat    ${CAPITAL_OF_FRANCE}    tools={"name": "get_time"}    tool_choice=required
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}
    Answers Should Agree Where They Repeat    ${reply}    ${called}

One More Choice
    ${two} =    Chat    ${CAPITAL_OF_FRANCE}    n=2
    ${one} =    Chat    ${CAPITAL_OF_FRANCE}
    Answers Should Agree Where They Repeat    ${two}    ${one}

Texts By Chance
    Connect To Server    ${RANDOM.base_url}
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    temperature=0    max_tokens=64
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    temperature=0    max_tokens=64
    Answers Should Agree Where They Repeat    ${reply}    ${stream}

One More Choice By Chance
    Connect To Server    ${RANDOM.base_url}
    ${two} =    Chat    ${CAPITAL_OF_FRANCE}    n=2
    ${one} =    Chat    ${CAPITAL_OF_FRANCE}
    Answers Should Agree Where They Repeat    ${two}    ${one}

An End By Itself
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=64
    Answer Should End By Itself    ${reply}    stop    length    64

A Simulator At Its Limit
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=2
    Answer Should End By Itself    ${reply}    stop    length    2

A Model At Its Limit
    Connect To Server    ${RANDOM.base_url}
    ${reply} =    Chat    ${STORY_PROMPT}    max_tokens=9    extra={"ignore_eos": true}
    Answer Should End By Itself    ${reply}    stop    length    9

A Model That Says So Before Its Limit
    Connect To Server    ${RANDOM.base_url}
    ${reply} =    Chat    ${STORY_PROMPT}    max_tokens=9    extra={"ignore_eos": true}
    Answer Should End By Itself    ${reply}    stop    length    10

A Stream In Pieces
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    include_usage=True
    Stream Should Come In Pieces    ${stream}

A Short Stream In Pieces
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    include_usage=True    max_tokens=2
    Stream Should Come In Pieces    ${stream}

Too Few Pieces
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=2
    Stream Should Come In Pieces    ${stream}


*** Keywords ***
Start Both
    ${random} =    Start Server    simulator    arguments=["--as", "llm-d", "--mode", "random"]    alias=random
    VAR    ${RANDOM}    ${random}    scope=SUITE
    Start Server    simulator
