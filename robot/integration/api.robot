*** Settings ***
Documentation    The HTTP API: models, completions, chats, usage.

Resource         ../../resources/target.resource
Library          Collections
Library          RequestsLibrary
Library          ../../resources/old_client.py
Variables        ../../resources/prompts.yaml

Suite Setup      Prepare

Test Tags        api


*** Test Cases ***
Health Is Answered
    [Tags]    smoke    covers:mistral-health
    Server Should Be Healthy
    ${reply} =    Send Request    GET    ${HEALTH_PATH}    expected_status=200
    Get Elapsed Time    ${reply}    <    5 s

The Strict Stand-In Offers All That The Suites Ask For
    [Documentation]    What it does not offer any more would be skipped, and nobody would notice.
    Skip Unless Target Is A Simulator
    ${server} =    Get Server
    Skip If    $server.profile.dialect is not None    A dialect does not offer all of this.
    Server Should Support    models    model details    chat    completions    responses    messages    count tokens
    ...    embeddings    rerank    rerank v2    score    tokenize    detokenize    metrics    streams    tool calls
    ...    named tools    several choices    log probabilities    stop texts    unknown model is refused    text parts
    ...    documents in rankings    ignore_eos    seed    dimensions    json object    json schema    base64 embeddings

Models Are Listed
    [Tags]    smoke    covers:mistral-models    rule:m1
    Skip If    $KEY_IS_NEEDED    RequestsLibrary writes the keys that it sends into the log; List Models does not.
    Skip Unless Server Supports    listed models
    ${response} =    GET On Session    target    /v1/models    expected_status=200
    VAR    ${listed}    ${response.json()}
    Should Be Equal
    ...    ${listed.get('object')}
    ...    list
    ...    Models: expected 'list' as the object, got ${listed}.
    ...    False
    Should Not Be Empty    ${listed.get('data')}    Models: expected at least one in 'data', got ${listed}.
    ${ids} =    List Models
    ${server} =    Get Server
    # Ollama lists `tiny:latest` for a model that is asked for as `tiny`.
    VAR    @{names}    ${server.model}    ${server.model}:latest
    Should Contain Any    ${ids}    @{names}    msg=Models: expected ${server.model}, got ${ids}.    values=False

An Offer Of Another Protocol Is No Reason To Refuse
    [Documentation]    Clients on the JDK's HTTP client offer HTTP/2 with each request, as RFC 9110, 7.8 has it.
    [Tags]    rule:f13
    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0
    ${reply} =    Chat
    ...    ${CAPITAL_OF_FRANCE}
    ...    max_tokens=32
    ...    temperature=0
    ...    headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
    ...    expected_status=any
    # A dialect may waive the rule, which decides here.
    Log    ${reply.status}

A Page That May Ask May Read The Answers
    [Documentation]    Before a page of another site sends a request, its browser asks by OPTIONS. What that allows
    ...    holds for the answer, whole or streamed; some servers forget it there, and the page never sees what was said.
    VAR    ${page}    https://page.example
    VAR    &{question}
    ...    Origin=${page}
    ...    Access-Control-Request-Method=POST
    ...    Access-Control-Request-Headers=authorization,content-type
    ${asked} =    Send Request    OPTIONS    /v1/chat/completions    headers=${question}    expected_status=any
    Skip If
    ...    $asked.status >= 300 or 'access-control-allow-origin' not in $asked.headers
    ...    The server lets no page of another site call it: OPTIONS was answered ${asked.status}.
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0    headers={"Origin": "${page}"}
    Page Should Be Let Read    ${reply}    ${page}
    ${stream} =    Stream Chat
    ...    ${CAPITAL_OF_FRANCE}
    ...    max_tokens=32
    ...    temperature=0
    ...    headers={"Origin": "${page}"}
    Page Should Be Let Read    ${stream}    ${page}

A Model Is Told By Its Id
    [Tags]    rule:m4
    Skip Unless Server Supports    model details
    ${server} =    Get Server
    ${reply} =    Send Request    GET    /v1/models/${server.model}    expected_status=200
    Get Answer Value    ${reply}    id    ==    ${server.model}

Completion Is Answered
    [Tags]    smoke    covers:batch-text-completion    covers:mistral-completions    rule:x1    rule:x2
    Skip Unless Server Supports    completions
    ${reply} =    Complete    The sea was calm, and    max_tokens=16
    Get Answer Value    ${reply}    object    ==    text_completion
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Should Not Be Empty    ${reply.id}

A Completion Goes On From Its Prompt
    [Documentation]    The space before its first word is a part of it: prompt and text are one sentence.
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    known answers
    Skip Unless Server Supports    continued prompts
    Completion Should Go On

A Lost First Space Is Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=first-space-lost
    Run Keyword And Expect Error    *isParis*    Completion Should Go On    ${fault}

A Client Of The First HTTP Gets No Chunks
    [Documentation]    HTTP/1.0 does not know them (RFC 9112, 7.1): the end of the connection ends the answer.
    Skip Unless Server Supports    old clients
    ${right} =    Get Right Chat    stream=${True}
    Old Client Should Get No Chunks    ${right}

Chunks For A Client Of The First HTTP Are Found Out
    [Tags]    simulator
    Skip Unless Server Supports    fault injection
    VAR    &{fault}    X-Inference-Fault=chunks-to-http10
    ${right} =    Get Right Chat    stream=${True}
    Run Keyword And Expect Error    *transfer-encoding*    Old Client Should Get No Chunks    ${right}    ${fault}

A Completion Begins With Its Prompt When So Asked
    [Documentation]    What the text and its offsets must be then, a rule tells that should be kept.
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    log probabilities
    ${reply} =    Complete    The sea was calm, and    max_tokens=16    extra={"echo": true, "logprobs": 1}
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

Chat Is Answered
    [Tags]    smoke
    ...       covers:batch-chat-completion
    ...       covers:service-simple-chat
    ...       covers:mistral-chat-completions
    ...       rule:f2
    ...       rule:h1
    ...       rule:j1
    ...       rule:j2
    ...       rule:j3
    ...       rule:n1
    ...       rule:n9
    ...       rule:v2
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Get Answer Value    ${reply}    object    ==    chat.completion
    Should Be Equal    ${reply.role}    assistant
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

Chat Keeps The Structure Of The Protocol
    [Tags]    covers:batch-response-structure
    ...       covers:router-response-format
    ...       covers:service-with-system
    ...       rule:n3
    ...       rule:n4
    ${reply} =    Chat    ${SHORT_PROMPT}    system=You are terse.    max_tokens=16
    VAR    @{keys}    id    object    created    model    choices    usage
    Should Be True    set($keys) <= set($reply.json)    Keys: expected ${keys}, got ${{list($reply.json)}}
    Length Should Be    ${reply.json}[choices]    1
    Get Answer Value    ${reply}    choices.0.index    ==    0
    Should Start With    ${reply.headers}[content-type]    application/json

Usage Adds Up
    [Tags]    covers:service-usage    covers:router-token-counts    rule:n7
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Usage Should Add Up    ${reply}

A Longer Prompt Has More Tokens
    [Tags]    rule:u2
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    ${longer} =    Chat    ${LONG_PROMPT}    max_tokens=16
    Should Be True    $longer.usage.prompt_tokens > $reply.usage.prompt_tokens
    ...    Prompt tokens: expected more for the longer prompt, got ${longer.usage} after ${reply.usage}.

The Token Limit Is Kept
    [Tags]    rule:c17
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    ignore_eos
    ${reply} =    Complete    ${LONG_PROMPT}    max_tokens=16    extra={"ignore_eos": true}
    Finish Reason Should Be    ${reply}    length
    Should Be Equal As Integers    ${reply.usage.completion_tokens}    16

Five Requests In A Row Are All Answered
    [Tags]    covers:batch-sequential
    VAR    @{ids}    @{EMPTY}
    FOR    ${number}    IN RANGE    5
        ${reply} =    Chat    Request number ${number}    max_tokens=16
        Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
        Append To List    ${ids}    ${reply.id}
    END
    # Ids of few characters are drawn from few, such as those of Ollama, and two may be alike by chance.
    ${different} =    Remove Duplicates    ${ids}
    ${least} =    Evaluate    4 if max(map(len, $ids)) < 16 else 5
    Should Be True
    ...    len($different) >= ${least}
    ...    Ids of replies: expected at least ${least} different ones, got ${ids}.

Ten Requests At Once Are All Answered
    ${replies} =    Call At Once    Chat    ${SHORT_PROMPT}    count=10    max_tokens=16
    Length Should Be    ${replies}    10
    FOR    ${reply}    IN    @{replies}
        Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
        Usage Should Add Up    ${reply}
    END

The Capital Of France Is Known
    [Tags]    requires-model    covers:router-capital
    Skip Unless Server Supports    known answers
    Tag The Origin Of Answers
    ${reply} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0
    Answer Should Contain    ${reply}    Paris
    Finish Reason Should Be    ${reply}    stop

An Unknown Model Is Refused
    [Tags]    rule:r1
    Skip Unless Server Supports    unknown model is refused
    Chat    ${SHORT_PROMPT}    max_tokens=16
    ${reply} =    Chat    ${SHORT_PROMPT}    model=no-such-model    expected_status=[400, 404]
    Should Contain    ${reply.error.message}    no-such-model

A Conversation Goes On
    ${first} =    Chat    ${CAPITAL_OF_FRANCE}    max_tokens=32    temperature=0
    ${messages} =    Add Turn    ${CAPITAL_OF_FRANCE}    ${first}    ${CAPITAL_OF_FRANCE}
    Length Should Be    ${messages}    3
    ${second} =    Chat    ${messages}    max_tokens=32    temperature=0
    Should Not Be Empty    ${second.text}    Answer: expected a text, got none: ${second}.
    Should Be True    $second.usage.prompt_tokens > $first.usage.prompt_tokens
    ...    Prompt tokens: expected more with the conversation so far, got ${second.usage} after ${first.usage}.

Content Parts Are Joined
    Skip Unless Server Supports    text parts
    VAR    ${parts}    [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]
    ${reply} =    Chat    [{"role": "user", "content": ${parts}}]    max_tokens=32    temperature=0
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

All Sampling Parameters Are Taken
    ${reply} =    Chat
    ...    ${SHORT_PROMPT}
    ...    max_tokens=16
    ...    temperature=0.7
    ...    top_p=0.9
    ...    frequency_penalty=0.1
    ...    presence_penalty=0.1
    ...    seed=1
    ...    stop=["###"]
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

The Likeliest Tokens Alone Are Drawn From
    Skip Unless Server Supports    top_k
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16    top_k=40
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

A Simple Prompt Is Answered
    [Tags]    covers:worker-prompts
    Prompt Should Be Answered    ${SIMPLE_PROMPT}    ${FAST}

A Haiku Is Answered
    [Tags]    covers:worker-prompts
    Prompt Should Be Answered    ${HAIKU_PROMPT}    ${DEFAULT}

A Long Prompt Is Answered
    [Tags]    covers:worker-prompts
    Prompt Should Be Answered    ${LONG_PROMPT}    ${LONG}

An Unknown Path Is Not Found
    Send Request    GET    /v1/models    expected_status=200
    Send Request    GET    /v1/no-such-path    expected_status=404


*** Keywords ***
Prompt Should Be Answered
    [Documentation]    Within the time and length that the configuration allows.
    [Arguments]    ${prompt}    ${configuration}
    ${reply} =    Chat    ${prompt}    max_tokens=${configuration}[max_tokens]    timeout=${configuration}[timeout]
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Should Be True    ${reply.usage.completion_tokens} <= ${configuration}[max_tokens]
    ...    Completion tokens: expected at most ${configuration}[max_tokens], got ${reply.usage}.

Prepare
    [Documentation]    Starts or connects to the target, and opens a plain REST session to it.
    ${server} =    Use Target That Supports    chat
    VAR    ${HEALTH_PATH}    ${server.profile.ready.health.path}    scope=SUITE
    VAR    ${KEY_IS_NEEDED}    ${{bool($server.client.api_key)}}    scope=SUITE
    Create Session    target    ${server.base_url}    timeout=10

Page Should Be Let Read
    [Documentation]    A browser gives a page an answer with its origin in this header, or with a star.
    [Arguments]    ${answer}    ${page}
    VAR    ${told}    ${answer.headers.get('access-control-allow-origin', 'no header')}
    Should Be True
    ...    $told in ('*', $page)
    ...    Access-Control-Allow-Origin: expected ${page} or *, as OPTIONS promised, got ${told}: ${answer}.

Completion Should Go On
    [Documentation]    What comes after the last word of the prompt does not run into it.
    [Arguments]    ${headers}=&{EMPTY}
    ${reply} =    Complete    The capital of France is    max_tokens=16    temperature=0    headers=${headers}
    Should Match Regexp    The capital of France is${reply.text}    ^The capital of France is\\b

Old Client Should Get No Chunks
    [Documentation]    The head of an answer to HTTP/1.0 tells no coding, and its body begins with an event.
    [Arguments]    ${body}    ${headers}=&{EMPTY}
    ${server} =    Get Server
    Skip If    not $server.base_url.startswith('http://')    By HTTP/1.0 only plain servers are asked here.
    VAR    &{sent}    &{headers}
    IF    $server.client.api_key
        VAR    &{sent}    Authorization=Bearer ${server.client.api_key}    &{headers}
    END
    ${head}    ${start} =    Ask By HTTP 1.0    ${server.base_url}/v1/chat/completions    ${body}    ${sent}
    # A gateway may tell the headers of its backend under names of its own, such as `llm_provider-transfer-encoding`.
    Should Not Match Regexp    ${head}    (?m)^transfer-encoding
    Should Match Regexp    ${start}    ^(data|event|:)
