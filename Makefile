# Everything that a user or CI runs. `make` alone lists it.

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
VENV     := .venv
BIN      := $(VENV)/bin
LOWEST   := .venv-lowest
FAST     := not slow and not real and not clients and not docker and not gpu
STAMP    := $(VENV)/.installed
RESULTS  := results
# Who waits in front of a terminal sees what is installed.
QUIET    := $(shell test -t 2 || echo --quiet)
PORT     ?= 8100
# The GPU build of onnxruntime only where a GPU is: it is large, and falls back to the CPU without a word elsewhere.
EXTRAS   ?= $(shell if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; \
	then echo onnx-gpu,terminal,performance,containers,models; else echo all; fi)
# What pabot must copy beside the merged log, so that its links hold.
ARTIFACTS := --artifacts svg,png,txt,json,jsonl,log,cast,bin --artifactsinsubfolders

.DEFAULT_GOAL := help
.PHONY: help install package schemas report site test test-hybrid test-lowest test-all test-integration test-gpu test-performance test-parallel test-real test-clients test-mistralrs test-ollama test-slow test-containers audit lint format docs clean \
	test-integration-up test-integration-down test-integration-logs bench bench-sse bench-client rulebook rulebook-mutants prove-dialects prove-suites fault-reach bench-terminal bench-simulator bench-onnx bench-lifecycle bench-load bench-load-peers bench-watching

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 26

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install $(QUIET) --editable '.[$(EXTRAS)]' --group dev
	@touch $@

install: $(STAMP) ## make .venv with the library, its extras and the tools of development

# In more processes than small machines have cores: most of these tests wait for servers. PYTEST_OPTIONS="-n 0" runs
# them in one.
test: $(STAMP) ## set up and run the fast tests
	@mkdir -p $(RESULTS)/pytest
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "$(FAST)" \
		--junitxml $(RESULTS)/pytest/junit.xml $(PYTEST_OPTIONS)

# Each direct dependency in the lowest version that pyproject.toml allows; the tools of development as they are.
$(LOWEST)/.installed: pyproject.toml $(STAMP)
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[all]'
	$(BIN)/uv pip freeze --quiet --python $(LOWEST)/bin/python --exclude-editable > $(LOWEST)/pinned.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --constraint $(LOWEST)/pinned.txt --group dev
	@touch $@

test-lowest: $(LOWEST)/.installed ## the fast tests with the lowest versions of all dependencies (LOWEST_TESTS=tests/core: a part of them)
	@mkdir -p $(RESULTS)/pytest-lowest
	$(LOWEST)/bin/python -m robot.libdoc InferenceLibrary $(RESULTS)/pytest-lowest/keywords.html
	$(LOWEST)/bin/python -m pytest -n 3 --dist loadfile -m "$(FAST)" $(LOWEST_TESTS) \
		--junitxml $(RESULTS)/pytest-lowest/junit.xml $(PYTEST_OPTIONS)

test-slow: $(STAMP) ## the tests that `make test` leaves out, but for those of containers and of the real server
	@mkdir -p $(RESULTS)/pytest-slow
	$(BIN)/python -m pytest -m "(slow or gpu) and not real and not docker" \
		--junitxml $(RESULTS)/pytest-slow/junit.xml $(PYTEST_OPTIONS)

test-containers: $(STAMP) ## the tests and suites that need a container engine; brings one up on Debian 12 as root
	@mkdir -p $(RESULTS)/pytest-containers
	@RESULTS=$(RESULTS) scripts/test_containers.sh

test-integration: $(STAMP) ## set up and run the suites against the embedded simulator, into results/
	@rm -rf $(RESULTS)/inference
	@status=0; $(BIN)/robot --outputdir $(RESULTS) --xunit xunit.xml $(ROBOT_OPTIONS) robot/integration || status=$$?; \
		echo; echo "Open $(CURDIR)/$(RESULTS)/log.html"; exit $$status

test-performance: $(STAMP) ## the suites that measure, into results/performance; leave the machine alone meanwhile
	$(BIN)/robot --outputdir $(RESULTS)/performance --xunit xunit.xml $(ROBOT_OPTIONS) robot/performance

# Without $(STAMP): a machine with a GPU may have no network. GPU_WHEELS names a folder with the wheels that it lacks.
test-gpu: ## prove on an NVIDIA GPU what is faked elsewhere; figures into results/gpu and docs/gpu.md
	@if [ -x $(BIN)/python ]; then $(BIN)/python scripts/test_gpu.py; else $(PYTHON) scripts/test_gpu.py; fi

test-parallel: $(STAMP) ## the same suites by pabot in two processes, into results/parallel (PABOT_OPTIONS="--shard 1/2": a half)
	@rm -rf $(RESULTS)/parallel
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pabot --processes 2 --pabotlibport 0 $(ARTIFACTS) --outputdir $(RESULTS)/parallel --xunit xunit.xml \
		$(PABOT_OPTIONS) $(ROBOT_OPTIONS) robot/integration

test-real: $(STAMP) ## build llama.cpp's server once, then run the suites and the tests that need it
	PATH="$(CURDIR)/$(BIN):$$PATH" RESULTS=$(RESULTS) scripts/test_real.sh

# CLIENTS=go installs those of one language (python, node, go, java); PYTEST_OPTIONS="-k openai-go" plays one client.
test-clients: $(STAMP) ## install the clients of others into the cache once, then play them against the simulator
	@mkdir -p $(RESULTS)/pytest-clients
	$(BIN)/python scripts/install_clients.py $(CLIENTS)
	$(BIN)/python -m pytest -m clients tests/clients --junitxml $(RESULTS)/pytest-clients/junit.xml $(PYTEST_OPTIONS)

test-ollama: $(STAMP) ## build Ollama once (minutes; needs Go), then check it and run the suites on it
	PATH="$(CURDIR)/$(BIN):$$PATH" RESULTS=$(RESULTS) scripts/test_server.sh ollama

test-mistralrs: $(STAMP) ## build mistral.rs's server once (25 minutes; needs Rust), then check it and run the suites on it
	PATH="$(CURDIR)/$(BIN):$$PATH" RESULTS=$(RESULTS) scripts/test_server.sh mistralrs

# Which tests both sides run: the smoke tests, unless HYBRID names others (`HYBRID=robot/integration`).
HYBRID   ?= --include smoke robot/integration
REAL     ?= llama.cpp

test-hybrid: $(STAMP) ## the same tests on the simulator and on REAL (a URL or a profile), and what each pair of results means
	@rm -rf $(RESULTS)/hybrid
	-$(BIN)/robot --name Hybrid --variable TARGET:simulator --outputdir $(RESULTS)/hybrid/simulator $(ROBOT_OPTIONS) $(HYBRID)
	-$(BIN)/robot --name Hybrid --variable "TARGET:$(REAL)" --outputdir $(RESULTS)/hybrid/real $(ROBOT_OPTIONS) $(HYBRID)
	$(BIN)/rfinference verdict $(RESULTS)/hybrid/simulator $(RESULTS)/hybrid/real --output $(RESULTS)/hybrid

report: $(STAMP) ## JSON, Markdown and HTML of the last run of the suites, beside its log
	$(BIN)/rfinference report $(RESULTS) --output $(RESULTS)

package: $(STAMP) ## wheel and sdist into dist/
	@rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist
	@ls -l dist

schemas: $(STAMP) ## write the JSON Schemas that editors and programs read, and name them in the files that they describe
	$(BIN)/python scripts/schemas.py

site: docs ## the documentation as a site into results/site; a warning or a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir $(abspath $(RESULTS))/site

test-all: test test-lowest test-slow test-containers test-integration test-parallel test-real ## all of the above

test-integration-up: $(STAMP) ## keep a simulator running on port 8100
	@$(BIN)/python scripts/standing_simulator.py up --port $(PORT)

test-integration-down: $(STAMP) ## stop it; nothing is left
	@$(BIN)/python scripts/standing_simulator.py down --port $(PORT)

test-integration-logs: $(STAMP) ## show what it wrote
	@$(BIN)/python scripts/standing_simulator.py logs --port $(PORT)

rulebook: $(STAMP) ## play a seventh of the faults against plain calls: a rule must notice each (ALL=1: all faults)
	ALL=$(ALL) $(BIN)/python scripts/rulebook.py

fault-reach: $(STAMP) ## measure which answers of which personality each fault can change
	$(BIN)/python scripts/fault_reach.py

# DIALECTS names some of them; --sample plays the largest group of a recording alone.
prove-dialects: $(STAMP) ## judge the recorded answers of real servers, and play their requests to the stand-ins
	PYTHONPATH=tests $(BIN)/python -m dialect_proof $(DIALECTS)

prove-suites: $(STAMP) ## the suites on a stand-in and on the real server: every test must end alike, or have a reason (SERVER=ollama: that one; REAL_RUN=FOLDER: a run made before)
	PYTHONPATH=tests $(BIN)/python -m dialect_suites $(if $(REAL_RUN),--real $(REAL_RUN)) --output $(RESULTS)/suites $(SERVER)

rulebook-mutants: $(STAMP) ## judge 100,000 mutants of good answers: none may end in a Python error
	PYTHONPATH=tests $(BIN)/python -m protocol.rules.mutants --count $(or $(COUNT),100000) --seed $(or $(SEED),1)

bench: $(STAMP) ## print the tables of the benchmarks
	$(BIN)/python benchmarks/startup.py

bench-sse: $(STAMP) ## how fast events are decoded and judged, against httpx-sse and the openai client
	$(BIN)/python benchmarks/sse.py

bench-terminal: $(STAMP) ## what terminals cost: keystrokes, starts, floods, pictures, suites
	$(BIN)/python benchmarks/terminal.py

bench-simulator: $(STAMP) ## how fast and how exact the simulator is
	$(BIN)/python benchmarks/stand_in.py

bench-onnx: $(STAMP) ## what a run, a generated token and a loaded model cost over the bare runtime
	$(BIN)/python benchmarks/onnx_models.py

bench-lifecycle: $(STAMP) ## what the guard costs, and what is left of killed runs
	$(BIN)/python benchmarks/lifecycle.py

bench-load: $(STAMP) ## what the load client costs beside a reader in C, and how true its times are
	$(BIN)/python benchmarks/load.py

bench-load-peers: $(STAMP) ## what the load clients of others cost beside ours: installs them into the cache, writes a table
	$(BIN)/python benchmarks/load_peers.py

bench-watching: $(STAMP) ## what judging and the lines on progress cost a long test
	$(BIN)/python benchmarks/watching.py

bench-client: $(STAMP) ## what a Chat call costs over a bare httpx call, and a test over one with one call
	$(BIN)/python benchmarks/client.py

audit: $(STAMP) ## ask for known vulnerabilities of what is installed; without the network it says that it was skipped
	$(BIN)/python scripts/audit.py $(RESULTS)/audit/junit.xml

lint: $(STAMP) ## formatting, lint and types; workflows too, where Go is
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/robocop format --check --diff robot resources docs/guides tests/inner
	$(BIN)/robocop check robot resources docs/guides
	@actionlint=$$($(BIN)/python scripts/install_program.py actionlint); case $$? in \
		0) echo actionlint && $$actionlint .github/workflows/*.yml docs/guides/github.yml ;; 77) ;; *) exit 1 ;; esac

format: $(STAMP) ## format Python and Robot files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/robocop format robot resources docs/guides tests/inner

docs: $(STAMP) ## keyword documentation into docs/keywords.html and .json; a warning is an error
	$(BIN)/python scripts/keyword_docs.py docs

clean: ## remove the environment, results and caches of this checkout
	rm -rf $(VENV) $(LOWEST) dist .pytest_cache .mypy_cache .ruff_cache .robocop_cache .hypothesis
	find $(RESULTS) -mindepth 1 ! -name .gitkeep -delete
