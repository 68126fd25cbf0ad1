"""Load: requests by a schedule, the records they left, and the figures computed from them.

Ring 2: no Robot here. How to use it:

    from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users
    from InferenceLibrary.load.requests import Kind, Prompts
    from InferenceLibrary.load.run import run

    plan = LoadPlan("http://127.0.0.1:8000", Users(10), (Kind.chat(model="m", max_tokens=64),), requests=100, warmup=10)
    result = run(plan)              # LoadResult; `run(plan, progress)` tells how far it is
    result.get("ttft_p99")          # seconds; figures.FIGURES with _p50, _mean, _max; or a name of result.totals
    result.distributions["ttft"]    # mean, median, p90, p95, p99, max, deviation, count, bootstrap intervals
    result.errors, result.broken    # failures by kind; answers by broken rule: every answer is judged
    result.doubts                   # not empty: the client was the bottleneck, and gates must fail
    result.goodput(ttft=0.5)        # requests a second that keep all limits
    result.save(folder)             # summary.json (see `summaries.read_summary`), requests.jsonl, requests.csv

Schedules: `Users(count, think, ramp)` (closed loop), `Rate(rate, poisson, end_rate, ramp, burst)` and `Replay(times)`
(open loop, on time whatever the server does). `sweep.sweep` runs rising levels and `sweep.knee` finds where throughput
stops to rise; `compare.compare_summaries` says better, same, worse or cannot tell. The smallest load, one generation
after the other, is `sequential.measure_generation`. Definitions of the figures of a generation stand in `generation`.
"""
