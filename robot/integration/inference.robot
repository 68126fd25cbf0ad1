*** Settings ***
Documentation    HTTP to a runtime to a processor and back: a small language model answers behind the simulator.
...
...              No answer here is scripted. Where onnxruntime can use an NVIDIA GPU, the model computes there.

Library          InferenceLibrary    rules=fail-tagged

Suite Setup      Run Keywords
...                  Skip Unless Target Is A Simulator    AND
...                  Start Server    simulator-onnx

Test Tags        onnx    inference    simulator


*** Test Cases ***
Capital Of France By Inference
    [Tags]    smoke
    ${reply} =    Chat    What is the capital of France?    temperature=0
    Should Be Equal    ${reply.text}    The capital of France is Paris.
    Finish Reason Should Be    ${reply}    stop
    Usage Should Add Up    ${reply}
    ${stream} =    Stream Chat    What is the capital of France?    temperature=0    include_usage=True
    Should Be Equal    ${stream.text}    ${reply.text}
    Stream Should End With Done    ${stream}
    Should Be Equal    ${stream.usage}    ${reply.usage}

Stop Strings End The Inference
    ${reply} =    Chat    Count to 20.    temperature=0    stop=["5, 6"]
    Should Be Equal    ${reply.text}    1, 2, 3, 4,${SPACE}
    Finish Reason Should Be    ${reply}    stop
    ${reply} =    Chat    Count to 20.    temperature=0    max_tokens=3
    Should Be Equal    ${reply.text}    1, 2, 3,
    Finish Reason Should Be    ${reply}    length

Seeds Repeat An Answer And Others Differ
    ${one} =    Chat    Name a color.    temperature=1    seed=4
    ${two} =    Chat    Name a color.    temperature=1    seed=4
    Should Be Equal    ${one.text}    ${two.text}
    VAR    @{seen}    @{EMPTY}
    FOR    ${seed}    IN RANGE    12
        ${reply} =    Chat    Name a color.    temperature=1    seed=${seed}
        VAR    @{seen}    @{seen}    ${reply.text}
    END
    Should Be True    len(set($seen)) > 2    12 seeds gave ${seen}

Log Probabilities Are Those Of The Model
    ${reply} =    Chat    Name a color.    temperature=0    logprobs=5
    Logprobs Should Be Sound    ${reply}
    Should Be True    -3 < $reply.logprobs[0].logprob < -1    one of six colors has a sixth of the probability
    Should Be True    $reply.logprobs[1].logprob > -0.01    the full stop is certain

Tokens Are Counted By The Model
    ${reply} =    Chat    What is the capital of Italy?    temperature=0
    Should Be Equal As Integers    ${reply.usage.prompt_tokens}    11
    Should Be Equal As Integers    ${reply.usage.completion_tokens}    7

A Cancelled Inference Frees Its Place
    Start Server    simulator-onnx    max_num_seqs=1    alias=single
    ${stream} =    Stream Chat    Count to 60.    max_tokens=1800    cancel_after=3    extra={"ignore_eos": true}
    ...    server=single
    Should Be True    ${stream.cancelled}
    ${reply} =    Chat    What is the capital of Spain?    temperature=0    server=single
    Should Be Equal    ${reply.text}    The capital of Spain is Madrid.
    Server Should Be Idle    within=10 s    server=single

Requests At Once Keep Apart
    ${results} =    Call At Once    Chat    What is the capital of Japan?    count=12    temperature=0
    All Requests Should Succeed    ${results}
    FOR    ${reply}    IN    @{results}
        Should Be Equal    ${reply.text}    The capital of Japan is Tokyo.
    END

Other Apis Answer The Same
    ${message} =    Send Message    What is the capital of France?    max_tokens=30
    Should Be Equal    ${message.text}    The capital of France is Paris.
    ${response} =    Respond    What is the capital of France?
    Should Be Equal    ${response.text}    The capital of France is Paris.

Embeddings Say What Is Alike
    ${embeddings} =    Create Embeddings    ["The dog barks.", "A puppy sleeps.", "Paris is a city."]
    Get Similarity    ${embeddings}    0    1    >    0.5
    Get Similarity    ${embeddings}    0    2    <    0.3

Rankings Say What Fits
    VAR    @{documents}    Paris is a city.    My puppy sleeps.    The price of cars.
    ${results} =    Rerank    a small dog    ${documents}
    Ranking Should Begin With    ${results}    1

A Model Of My Own Answers
    ${path} =    Create Onnx Language Model    computed    answers={"sky": "The sky is blue."}    context_length=512
    Start Server    simulator-onnx    onnx_model=${path}    max_model_len=512    alias=own
    ${reply} =    Chat    What about the sky?    server=own
    Should Be Equal    ${reply.text}    The sky is blue.

Typed Events Come While The Model Speaks
    ${stream} =    Stream Message    What is the capital of France?    max_tokens=30
    Should Be Equal    ${stream.text}    The capital of France is Paris.
    Stream Should Be In Order    ${stream}
    ${stream} =    Stream Response    What is the capital of France?
    Should Be Equal    ${stream.text}    The capital of France is Paris.
    Stream Should Be In Order    ${stream}
