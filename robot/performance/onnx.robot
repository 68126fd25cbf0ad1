*** Settings ***
Documentation    ONNX models measured: first run, steady state, batches, IO binding, memory, the GPU beside the CPU.
...
...              All bars are ratios within the run, or sizes; no time of a machine is asked for.

Library          InferenceLibrary    rules=fail-tagged

Test Tags        onnx    performance    slow    pabot:exclusive


*** Test Cases ***
A Batch Is Cheaper Than Its Rows Alone
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Benchmark Onnx Model    batch=1,64    runs=300    warmup=50
    ${alone} =    Get Onnx Throughput    batch=1
    ${together} =    Get Onnx Throughput    batch=64
    Should Be True    ${together} > 5 * ${alone}    64 rows at once are computed no faster than one by one

The First Run Is Told Apart
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Benchmark Onnx Model    runs=100    warmup=20
    ${first} =    Get Onnx Latency    first=True
    ${steady} =    Get Onnx Latency
    Should Be True    ${first} > ${steady}    The first run was as fast as the median of those that follow

Many Runs Leave Memory As It Was
    ${path} =    Create Onnx Model    matmul
    Load Onnx Model    ${path}
    Benchmark Onnx Model    batch=1024    runs=2000    warmup=200
    Get Onnx Memory Growth    <    20 MB

A Model Is As Fast As Itself
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}
    Benchmark Onnx Model    batch=16    runs=300    warmup=50    save_as=${OUTPUT_DIR}/inference/onnx/baseline.json
    Benchmark Onnx Model    batch=16    runs=300    warmup=50
    Onnx Model Should Not Be Slower    ${OUTPUT_DIR}/inference/onnx/baseline.json    tolerance=2

The Gpu Is Measured Beside The Cpu
    [Tags]    gpu
    Skip Unless Gpu Is Available    onnx=True
    ${path} =    Create Onnx Model    mlp
    Load Onnx Model    ${path}    providers=CUDA
    Benchmark Onnx Model    batch=1,64,4096    providers=CUDA,CPU    io_binding=both    runs=200
    ${bound} =    Get Onnx Latency    provider=CUDA    batch=4096    io_binding=True
    ${plain} =    Get Onnx Latency    provider=CUDA    batch=4096    io_binding=False
    Should Be True    ${bound} <= ${plain} * 1.05    IO binding made the run slower
    Get Onnx Memory Growth    <    50 MB    where=device    provider=CUDA    batch=4096    io_binding=True
