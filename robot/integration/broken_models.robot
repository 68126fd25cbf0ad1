*** Settings ***
Documentation    Model files that are broken, or are none: each is refused with its name, quickly, without a crash, and
...              nothing is left behind.
...
...              By default the program is the simulator in the manner of mistral.rs, which truly reads the files; with
...              TARGET, the profile that it names, such as `llama.cpp`. The files are made on the spot.

Resource         ../../resources/target.resource

Suite Setup      Use Model Program
Test Template    Broken File Should Be Refused

Test Tags        model    covers:mistral-broken-models


*** Test Cases ***    KIND    FORMAT
A Truncated File    truncated    gguf
A File That Ends In Its Header    truncated-header    gguf
A Wrong Magic Number    bad-magic    gguf
A Wrong Version    wrong-version    gguf
A Huge Count    huge-count    gguf
A Huge Size    huge-size    gguf
An Empty File    empty    gguf
Random Bytes    garbage    gguf
A Web Page    html-page    gguf
A Pointer Of Git LFS    lfs-pointer    gguf
A Folder    directory    gguf
Truncated SafeTensors    truncated    safetensors
SafeTensors That End In Their Header    truncated-header    safetensors
SafeTensors With A Huge Size    huge-size    safetensors
An Empty File As SafeTensors    empty    safetensors
Truncated GGML    truncated    ggml
GGML With A Wrong Version    wrong-version    ggml
GGML With A Huge Count    huge-count    ggml


*** Keywords ***
Broken File Should Be Refused
    [Documentation]    The file is named after what is wrong with it, SafeTensors as programs look for them.
    [Arguments]    ${kind}    ${format}
    Skip Unless Model Format Is Supported    ${format}
    ${model} =    Create Broken Model    kind=${kind}    format=${format}
    Model Should Be Refused    ${model}    timeout=20 s
