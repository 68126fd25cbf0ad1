*** Settings ***
Documentation    Documents put in the order of their relevance: order, scores, how many, and what is refused.

Resource         ../../resources/target.resource

Suite Setup      Use Target For Rankings

Test Tags        rerank


*** Variables ***
${QUERY}        What is the capital of France?
${ANSWER}       The capital of France is Paris.
${RELATED}      The capital of Italy is Rome.
${UNRELATED}    Cats sleep all day.
@{DOCUMENTS}    ${UNRELATED}    ${RELATED}    ${ANSWER}
&{RANKING}      query=${QUERY}    documents=${DOCUMENTS}


*** Test Cases ***
The Document That Answers Comes First
    [Tags]    rule:rk1
    Skip Unless Server Supports    relevance
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Should Be Equal    ${DOCUMENTS}[${results}[0][index]]    ${ANSWER}

The Document That Has Nothing To Do With It Comes Last
    Skip Unless Server Supports    relevance
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Should Be Equal    ${DOCUMENTS}[${results}[-1][index]]    ${UNRELATED}

Another Query Has Another Order
    Skip Unless Server Supports    relevance
    ${results} =    Rerank    How long do cats sleep?    ${DOCUMENTS}
    Should Be Equal    ${DOCUMENTS}[${results}[0][index]]    ${UNRELATED}

The Place Of A Document Does Not Count
    Skip Unless Server Supports    relevance
    VAR    @{reversed}    ${ANSWER}    ${RELATED}    ${UNRELATED}
    ${results} =    Rerank    ${QUERY}    ${reversed}
    Should Be Equal    ${{[item['index'] for item in $results]}}    ${{[0, 1, 2]}}

Umlauts And Emoji Are Ranked
    Skip Unless Server Supports    relevance
    VAR    @{documents}    Ein Öfchen 🔥 glüht    Grüße aus Köln 🦙
    ${results} =    Rerank    Grüße aus Köln    ${documents}
    Should Be Equal As Integers    ${results}[0][index]    1

Every Document Is Ranked Once
    [Tags]    rule:rk3
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Should Be Equal    ${{sorted(item['index'] for item in $results)}}    ${{[0, 1, 2]}}

The Same Request Has The Same Scores
    ${first} =    Rerank    ${QUERY}    ${DOCUMENTS}
    ${again} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Scores Should Agree    ${again}    ${first}

The Best Come First
    [Tags]    rule:rk2
    ${reply} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    Best Should Come First    ${reply.json}[results]

Scores Are From 0 To 1
    Skip Unless Server Supports    scores from 0 to 1
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Should Be True    all(0 <= item['relevance_score'] <= 1 for item in $results)    ${results}

The Documents Come Back
    Skip Unless Server Supports    documents in rankings
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    FOR    ${result}    IN    @{results}
        Should Be Equal    ${result}[document][text]    ${DOCUMENTS}[${result}[index]]
    END

Only The Best Are Returned When So Asked
    [Tags]    rule:rk4
    ${all} =    Rerank    ${QUERY}    ${DOCUMENTS}
    ${best} =    Rerank    ${QUERY}    ${DOCUMENTS}    top_n=2
    Scores Should Agree    ${best}    ${all}[:2]

More Cannot Be Returned Than There Are
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}    top_n=9
    Length Should Be    ${results}    3

A Single Document Is Ranked
    VAR    @{documents}    ${ANSWER}
    ${results} =    Rerank    ${QUERY}    ${documents}
    Length Should Be    ${results}    1

More Documents Are More Tokens
    VAR    &{one}    query=${QUERY}    documents=${{[$ANSWER]}}
    ${few} =    Send Request    POST    /v1/rerank    ${one}    expected_status=200
    ${many} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    Should Be True    0 < $few.json['usage']['total_tokens'] < $many.json['usage']['total_tokens']

A Ranking Names Its Model
    ${server} =    Get Server
    ${reply} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    Get Answer Value    ${reply}    model    ==    ${server.model}

The Path Without A Version Ranks Too
    ${versioned} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    ${plain} =    Send Request    POST    /rerank    ${RANKING}    expected_status=200
    Scores Should Agree    ${plain.json}[results]    ${versioned.json}[results]

The Path Of Version 2 Ranks Too
    Skip Unless Server Supports    rerank v2
    ${first} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    ${second} =    Send Request    POST    /v2/rerank    ${RANKING}    expected_status=200
    Scores Should Agree    ${second.json}[results]    ${first.json}[results]

No Documents Are Refused
    Ranking Should Be Refused    {"query": "q", "documents": []}

Missing Documents Are Refused
    Ranking Should Be Refused    {"query": "q"}

A Number Is No Document
    Ranking Should Be Refused    {"query": "q", "documents": [7]}

A Missing Query Is Refused
    Ranking Should Be Refused    {"documents": ["d"]}

A Number Is No Query
    Ranking Should Be Refused    {"query": 7, "documents": ["d"]}

A Word Is No Count
    Skip Unless Server Supports    checked top_n
    Ranking Should Be Refused    {"query": "q", "documents": ["d"], "top_n": "two"}

A Document That Does Not Fit Into The Context Is Refused
    VAR    @{documents}    ${ANSWER}    ${{'word ' * 100_000}}
    Rerank    ${QUERY}    ${documents}    expected_status=400

An Unknown Model Does Not Rank
    Skip Unless Server Supports    unknown model is refused
    Rerank    ${QUERY}    ${DOCUMENTS}    model=no-such-model    expected_status=404

Pairs Have The Scores Of The Ranking
    [Tags]    rule:sc1
    Skip Unless Server Supports    score
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    VAR    &{pairs}    text_1=${QUERY}    text_2=${DOCUMENTS}
    ${reply} =    Send Request    POST    /v1/score    ${pairs}    expected_status=200
    FOR    ${result}    IN    @{results}
        Should Be Equal As Numbers
        ...    ${reply.json}[data][${result}[index]][score]
        ...    ${result}[relevance_score]
        ...    precision=3
    END

Each Text Has Its Own Partner
    Skip Unless Server Supports    relevance
    Skip Unless Server Supports    score
    VAR    @{crossed}    ${QUERY}    ${UNRELATED}
    VAR    @{partners}    ${UNRELATED}    ${UNRELATED}
    VAR    &{pairs}    text_1=${crossed}    text_2=${partners}
    ${reply} =    Send Request    POST    /v1/score    ${pairs}    expected_status=200
    Should Be True    $reply.json['data'][0]['score'] < $reply.json['data'][1]['score']

Texts Without A Partner Are Refused
    Skip Unless Server Supports    score
    ${reply} =    Send Request    POST    /v1/score    {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}
    Should Be Equal As Integers    ${reply.status}    400

A Document That Is Ranked Twice Is Found Out
    [Tags]    mock
    Fault Of A Ranking Should Be Found    rerank-index-twice    RK3:

A Missing Score Is Found Out
    [Tags]    mock
    Fault Of A Ranking Should Be Found    rerank-score-missing    RK1:

A Count That Is Not Kept Is Found Out
    [Tags]    mock
    Fault Of A Ranking Should Be Found    ignores-top-n    RK4:

A Wrong Order Is Found Out
    [Tags]    mock
    Fault Of A Ranking Should Be Found    rerank-worst-first    RK2:


*** Keywords ***
Use Target For Rankings
    [Documentation]    The target. llama-server ranks only when it is told so at its start.
    ${server} =    Use Target
    IF    $server.profile.name == 'llama.cpp'
        Stop Server
        Start Server    llama.cpp    model=${server.model}    reranking=True
    END
    Skip Unless Server Supports    rerank

Best Should Come First
    [Documentation]    No score is above the one before it, as the answer came.
    [Arguments]    ${results}
    VAR    ${scores}    ${{[item['relevance_score'] for item in $results]}}
    Should Be True    $scores == sorted($scores, reverse=True)    Scores: expected the best first, got ${scores}

Scores Should Agree
    [Documentation]    As many results with the same scores, but for what the arithmetic of a batch leaves open.
    [Arguments]    ${results}    ${expected}
    FOR    ${result}    ${other}    IN ZIP    ${results}    ${expected}    mode=STRICT
        Should Be Equal As Numbers    ${result}[relevance_score]    ${other}[relevance_score]    precision=3
    END

Ranking Should Be Refused
    [Documentation]    A 400 with an error object.
    [Arguments]    ${body}
    ${reply} =    Send Request    POST    /v1/rerank    ${body}    expected_status=400
    Should Not Be Empty    ${reply.error.message}

Fault Of A Ranking Should Be Found
    [Documentation]    A ranking with this fault is called wrong, in these words.
    [Arguments]    ${fault}    ${told}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    VAR    ${top_n}    ${{1 if $fault == 'ignores-top-n' else None}}
    Run Keyword And Expect Error
    ...    *${told}*
    ...    Rerank
    ...    ${QUERY}
    ...    ${DOCUMENTS}
    ...    top_n=${top_n}
    ...    headers=${headers}
