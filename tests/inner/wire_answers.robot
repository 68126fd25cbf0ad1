*** Settings ***
Documentation    Keywords against servers that pytest starts: each variable is the address of one that gives one answer,
...              or takes no connection. Tests whose names begin with "Good" must pass, all others fail.

Library          InferenceLibrary


*** Variables ***
@{PETS}    a cat    a stone    a dog


*** Test Cases ***
Good Connect Limit
    Connect To Server    ${FULL}    check=False    model=m
    ${error} =    Chat    Hello    connect_timeout=300 ms    timeout=20 s    expected_status=failure
    Error Should Be    ${error}    error_category=SERVER_ERROR    error_message=within the connect limit of 0.3 s
    Get Elapsed Time    ${error}    <    4 s
    ${error} =    Stream Chat    Hello    connect_timeout=300 ms    timeout=20 s    expected_status=failure
    Error Should Be    ${error}    error_message=within the connect limit of 0.3 s
    Get Elapsed Time    ${error}    <    4 s

Connect Limit
    Connect To Server    ${FULL}    check=False    model=m
    Chat    Hello    connect_timeout=300 ms    timeout=20 s

Connect Limit Of A Total That Ends First
    Connect To Server    ${FULL}    check=False    model=m
    Chat    Hello    connect_timeout=20 s    timeout=300 ms

Good Rerank
    Connect To Server    ${RANKED}    check=False    model=m
    ${results} =    Rerank    pets    ${PETS}
    Should Be Equal    ${{[item['index'] for item in $results]}}    ${{[2, 0, 1]}}
    Should Be Equal As Numbers    ${results}[0][relevance_score]    0.9

Good Rerank Of The Best
    Connect To Server    ${BEST}    check=False    model=m
    ${results} =    Rerank    pets    ${PETS}    top_n=1
    Should Be Equal    ${results}[0][index]    ${2}

Rerank Without Results
    Connect To Server    ${NO_RESULTS}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With A List
    Connect To Server    ${LIST}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With The Worst First
    Connect To Server    ${WORST}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With An Index Twice
    Connect To Server    ${TWICE}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With An Index Beyond
    Connect To Server    ${BEYOND}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With An Index That Is No Number
    Connect To Server    ${NO_INDEX}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With A Score That Is No Number
    Connect To Server    ${NO_SCORE}    check=False    model=m
    Rerank    pets    ${PETS}

Rerank With Too Many
    Connect To Server    ${RANKED}    check=False    model=m
    Rerank    pets    ${PETS}    top_n=2

Good Score
    Connect To Server    ${SCORED}    check=False    model=m
    ${scores} =    Score    pets    ${PETS}
    Should Be Equal As Strings    ${scores}    [0.5, 0.01, 1]

Score Without Scores
    Connect To Server    ${NO_RESULTS}    check=False    model=m
    Score    pets    ${PETS}

Score With A List
    Connect To Server    ${LIST}    check=False    model=m
    Score    pets    ${PETS}

Score Of Another Document
    Connect To Server    ${SCORED_TWICE}    check=False    model=m
    Score    pets    ${PETS}

Score That Is No Number
    Connect To Server    ${SCORED_HIGH}    check=False    model=m
    Score    pets    ${PETS}

Good Detokenize As vLLM
    Connect To Server    ${PROMPT}    check=False    model=m
    ${text} =    Detokenize    [1, 2]
    Should Be Equal    ${text}    a cat

Good Detokenize As Other Servers
    Connect To Server    ${CONTENT}    check=False    model=m
    ${text} =    Detokenize    [1, 2]
    Should Be Equal    ${text}    a cat

Detokenize Without Text
    Connect To Server    ${NO_RESULTS}    check=False    model=m
    Detokenize    [1, 2]

Detokenize With A Number
    Connect To Server    ${NUMBER}    check=False    model=m
    Detokenize    [1, 2]

Detokenize With A List
    Connect To Server    ${LIST}    check=False    model=m
    Detokenize    [1, 2]

Metric Of A Page Without Metrics
    Connect To Server    ${NO_RESULTS}    check=False
    Get Metric    vllm:num_requests_running

Good Loading By The Default Route
    Connect To Server    ${DEFAULT_ROUTE}    check=False
    Load Served Model    org/phi 4    settings={"context_length": 64}
    Unload Served Model    org/phi 4

Good Loading By The Routes Of llama-server
    Connect To Server    ${LLAMA_ROUTE}    check=False    profile=llama.cpp
    Load Served Model    org/phi 4
    Unload Served Model    org/phi 4

Good Loading By The Routes Of mistral
    Connect To Server    ${MISTRAL_ROUTE}    check=False    profile=mistralrs
    Load Served Model    org/phi 4
    Unload Served Model    org/phi 4
