*** Settings ***
Documentation    Documents put in the order of their relevance: order, scores, how many, and what is refused.

Resource         ../../resources/target.resource

Suite Setup      Use Target Started With    rerank    reranking=True

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
    Ranking Should Begin With    ${results}    2

The Document That Has Nothing To Do With It Comes Last
    Skip Unless Server Supports    relevance
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Ranking Should Begin With    ${results}    2    1    0

Another Query Has Another Order
    Skip Unless Server Supports    relevance
    ${results} =    Rerank    How long do cats sleep?    ${DOCUMENTS}
    Ranking Should Begin With    ${results}    0

The Place Of A Document Does Not Count
    Skip Unless Server Supports    relevance
    VAR    @{reversed}    ${ANSWER}    ${RELATED}    ${UNRELATED}
    ${results} =    Rerank    ${QUERY}    ${reversed}
    Ranking Should Begin With    ${results}    0    1    2

Umlauts And Emoji Are Ranked
    Skip Unless Server Supports    relevance
    VAR    @{documents}    Ein Öfchen 🔥 glüht    Grüße aus Köln 🦙
    ${results} =    Rerank    Grüße aus Köln    ${documents}
    Ranking Should Begin With    ${results}    1

Every Document Is Ranked Once
    [Tags]    rule:rk3
    # The rule on indices judges them.
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Length Should Be    ${results}    3

The Same Request Has The Same Scores
    ${first} =    Rerank    ${QUERY}    ${DOCUMENTS}
    ${again} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Scores Should Agree    ${again}    ${first}

The Best Come First
    [Tags]    rule:rk2
    # The rules on rankings judge their order as it came.
    Rerank    ${QUERY}    ${DOCUMENTS}    rules=fail

Scores Are From 0 To 1
    Skip Unless Server Supports    scores from 0 to 1
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    Should Be True    all(0 <= item['relevance_score'] <= 1 for item in $results)    ${results}

What Fits Has A Higher Score
    Skip Unless Server Supports    score
    Skip Unless Server Supports    relevance
    ${scores} =    Score    ${QUERY}    ${DOCUMENTS}
    Should Be True    ${scores}[2] > ${scores}[0]    ${scores}

A Score Of Nothing Is Refused
    Skip Unless Server Supports    score
    Score    ${QUERY}    ${DOCUMENTS}
    ${refused} =    Score    ${QUERY}    ${DOCUMENTS}    extra={"text_2": []}    expected_status=400,422
    Should Not Be Empty    ${refused.error.message}    Error: expected a message, got none: ${refused}.

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
    VAR    @{answer}    ${ANSWER}
    ${server} =    Get Server
    VAR    &{one}    model=${server.model}    query=${QUERY}    documents=${answer}
    VAR    &{three}    model=${server.model}    &{RANKING}
    ${few} =    Send Request    POST    /v1/rerank    ${one}    expected_status=200
    ${tokens} =    Get Answer Value    ${few}    usage.total_tokens    >    0
    ${many} =    Send Request    POST    /v1/rerank    ${three}    expected_status=200
    Get Answer Value    ${many}    usage.total_tokens    >    ${tokens}

A Ranking Names Its Model
    ${server} =    Get Server
    ${reply} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    Get Answer Value    ${reply}    model    ==    ${server.model}

The Path Without A Version Ranks Too
    ${versioned} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    ${plain} =    Send Request    POST    /rerank    ${RANKING}    expected_status=200
    Rankings Should Agree    ${plain}    ${versioned}

The Path Of Version 2 Ranks Too
    Skip Unless Server Supports    rerank v2
    ${first} =    Send Request    POST    /v1/rerank    ${RANKING}    expected_status=200
    ${second} =    Send Request    POST    /v2/rerank    ${RANKING}    expected_status=200
    Rankings Should Agree    ${second}    ${first}

No Documents Are Refused
    Ranking Should Be Refused    documents    []

Missing Documents Are Refused
    Ranking Should Be Refused    documents

A Number Is Not A Document
    Ranking Should Be Refused    documents    [7]

A Missing Query Is Refused
    Ranking Should Be Refused    query

A Number Is Not A Query
    Ranking Should Be Refused    query    7

A Word Is Not A Count
    Skip Unless Server Supports    checked top_n
    Ranking Should Be Refused    top_n    two

A Document That Does Not Fit Into The Context Is Refused
    VAR    ${word}    word${SPACE}
    VAR    @{too_long}    ${ANSWER}    ${word * 100_000}
    Rerank    ${QUERY}    ${DOCUMENTS}
    Rerank    ${QUERY}    ${too_long}    expected_status=400,413,422

An Unknown Model Does Not Rank
    Skip Unless Server Supports    unknown model is refused
    Rerank    ${QUERY}    ${DOCUMENTS}
    Rerank    ${QUERY}    ${DOCUMENTS}    model=no-such-model    expected_status=404

Pairs Have The Scores Of The Ranking
    [Tags]    rule:sc1
    Skip Unless Server Supports    score
    ${results} =    Rerank    ${QUERY}    ${DOCUMENTS}
    ${scores} =    Score    ${QUERY}    ${DOCUMENTS}
    FOR    ${result}    IN    @{results}
        VAR    ${score}    ${scores}[${result}[index]]
        Should Be Equal As Numbers    ${score}    ${result}[relevance_score]    precision=3
    END

Each Text Has Its Own Partner
    Skip Unless Server Supports    relevance
    Skip Unless Server Supports    score
    VAR    @{crossed}    ${QUERY}    ${UNRELATED}
    VAR    @{partners}    ${UNRELATED}    ${UNRELATED}
    VAR    &{pairs}    text_1=${crossed}    text_2=${partners}
    ${reply} =    Send Request    POST    /v1/score    ${pairs}    expected_status=200
    ${same} =    Get Answer Value    ${reply}    data.1.score
    Get Answer Value    ${reply}    data.0.score    <    ${same}

Texts Without A Partner Are Refused
    Skip Unless Server Supports    score
    ${server} =    Get Server
    VAR    ${right}    {"model": "${server.model}", "text_1": ["a", "b"], "text_2": ["a", "b"]}
    Body Change Should Be Refused    POST    /v1/score    ${right}    text_2    ["a", "b", "c"]    status=400,422

A Document That Is Ranked Twice Is Found Out
    [Tags]    simulator
    Fault Of A Ranking Should Be Found    rerank-index-twice    RK3:

A Missing Score Is Found Out
    [Tags]    simulator
    Fault Of A Ranking Should Be Found    rerank-score-missing    RK1:

A Count That Is Not Kept Is Found Out
    [Tags]    simulator
    Fault Of A Ranking Should Be Found    ignores-top-n    RK4:    top_n=1

A Wrong Order Is Found Out
    [Tags]    simulator
    Fault Of A Ranking Should Be Found    rerank-worst-first    RK2:


*** Keywords ***
Rankings Should Agree
    [Documentation]    Two replies hold the same scores.
    [Arguments]    ${reply}    ${expected}
    ${results} =    Get Answer Value    ${reply}    results
    ${others} =    Get Answer Value    ${expected}    results
    Scores Should Agree    ${results}    ${others}

Scores Should Agree
    [Documentation]    As many results with the same scores, but for what the arithmetic of a batch leaves open.
    [Arguments]    ${results}    ${expected}
    FOR    ${result}    ${other}    IN ZIP    ${results}    ${expected}    mode=STRICT
        Should Be Equal As Numbers    ${result}[relevance_score]    ${other}[relevance_score]    precision=3
    END

Ranking Should Be Refused
    [Documentation]    With 400 or 422 and an error object, where a ranking is given that differs in this field alone.
    [Arguments]    @{change}
    ${server} =    Get Server
    VAR    &{right}    &{RANKING}    model=${server.model}
    ${reply} =    Body Change Should Be Refused    POST    /v1/rerank    ${right}    @{change}    status=400,422
    Should Not Be Empty    ${reply.error.message}    Error: expected a message, got none: ${reply}.

Fault Of A Ranking Should Be Found
    [Documentation]    A ranking with this fault is called wrong, in these words.
    [Arguments]    ${fault}    ${told}    ${top_n}=${NONE}
    Skip Unless Server Supports    fault injection
    VAR    &{headers}    X-Inference-Fault=${fault}
    Run Keyword And Expect Error
    ...    *${told}*
    ...    Rerank
    ...    ${QUERY}
    ...    ${DOCUMENTS}
    ...    top_n=${top_n}
    ...    headers=${headers}
