# `make` lists the targets. Everything is set up below .venv; only jars are cached outside the working tree.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# Some images set it. Each of the hundreds of processes that the tests start would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

# The first that runs and is one of the two: a name on the path may belong to a version manager that has none.
PYTHON ?= $(shell for name in python3.11 python3.12 python3 python; do \
  "$$name" -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null \
  && { command -v "$$name"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
SPARK := .venv-spark
# pip's own progress is for a person at a terminal; in a log it would be thousands of lines.
PIP_OPTIONS = --disable-pip-version-check --no-input install $$([ -t 1 ] || echo --quiet)
PIP = $(BIN)/python -m pip $(PIP_OPTIONS)
SPARK_PIP = $(SPARK)/bin/python -m pip $(PIP_OPTIONS)
UV := uv==0.13.9
MLSERVER := mlserver==1.7.1 mlserver-sklearn==1.7.1
EXTRAS := $(addprefix --extra ,flink tensorflow onnx pmml server)
SPARK_EXTRAS := $(addprefix --extra ,spark tensorflow-cpu onnx pmml server)
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --custom-compile-command "make lock"

.PHONY: help install install-spark demo test test-312 lint suites interop fuzz interleavings chaos overload swaps check format bench proto reporter lock samples clean

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1 \2/p' $(MAKEFILE_LIST) \
	  | while read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

# $(1): the environment's folder, $(2): the words before each line, $(3): how to try again.
define new_environment
[ $(words $(CURDIR)) = 1 ] \
  || { echo "$(2): Flink's and Spark's scripts cannot run below a folder with a space in its name ($(CURDIR)); move this one" >&2; exit 1; }; \
python="$(PYTHON)"; \
[ "$$python" ] \
  || { echo "$(2): Python 3.11 or 3.12 is needed and neither is on PATH; install one, or name it: make $(3) PYTHON=/path/to/python3.11" >&2; exit 1; }; \
"$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null \
  || { echo "$(2): Python 3.11 or 3.12 is needed and '$$python' is neither; name one that is: make $(3) PYTHON=/path/to/python3.11" >&2; exit 1; }; \
"$$python" -c 'import venv, ensurepip' 2>/dev/null \
  || { echo "$(2): '$$python' lacks the venv module; install it (Debian, Ubuntu: apt install $$(basename "$$python")-venv)" >&2; exit 1; }; \
echo "$(2) 1/4: $(1)"; \
rm -rf $(1); \
"$$python" -m venv $(1); \
$(1)/bin/python -m pip $(PIP_OPTIONS) --require-hashes -r requirements-build.lock \
  || { echo "$(2): the build tools could not be installed (see above); check the network and run make $(3) again" >&2; exit 1; }
endef

# Each stamp is written last: a set-up that was cut short is taken up where it stopped.
$(VENV)/.stamp-venv: requirements-build.lock
	@$(call new_environment,$(VENV),set-up,install)
	@touch $@

# Python compiles a module when it is first imported. Most of the 11,000 modules here never are.
$(VENV)/.stamp-packages: $(VENV)/.stamp-venv requirements.lock
	@echo "set-up 2/4: Python packages (about 1 GB to fetch with TensorFlow and Flink, 3 GB on disk; a few minutes)"
	@$(PIP) --no-compile --no-build-isolation --require-hashes -r requirements.lock \
	  || { echo "set-up: the packages could not be installed (see above); check the network and disk space and run make install again" >&2; exit 1; }
	@touch $@

$(VENV)/.stamp-project: $(VENV)/.stamp-packages pyproject.toml
	@echo "set-up 3/4: this project"
	@$(PIP) --no-build-isolation --no-deps --editable . \
	  || { echo "set-up: the project itself could not be installed (see above); mend that and run make install again" >&2; exit 1; }
	@touch $@

# Jars and Flink home have no stamp here: the program looks itself, in a fraction of a second, and mends what
# is missing.
install: $(VENV)/.stamp-project ## make .venv with everything in it
	@$(BIN)/python -m model_serving.runtime.install
	@echo "ready: make demo | make test | . $(BIN)/activate && flink run -py flink_jobs/keyed.py"

$(SPARK)/.stamp-venv: requirements-build.lock
	@$(call new_environment,$(SPARK),set-up of Spark,install-spark)
	@touch $@

$(SPARK)/.stamp-packages: $(SPARK)/.stamp-venv requirements-spark.lock
	@echo "set-up of Spark 2/4: Python packages (about 900 MB to fetch, 2.5 GB on disk; a minute or two)"
	@$(SPARK_PIP) --no-compile --no-build-isolation --require-hashes -r requirements-spark.lock \
	  || { echo "set-up of Spark: the packages could not be installed (see above); check the network and disk space and run make install-spark again" >&2; exit 1; }
	@touch $@

$(SPARK)/.stamp-project: $(SPARK)/.stamp-packages pyproject.toml
	@echo "set-up of Spark 3/4: this project"
	@$(SPARK_PIP) --no-build-isolation --no-deps --editable . \
	  || { echo "set-up of Spark: the project itself could not be installed (see above); mend that and run make install-spark again" >&2; exit 1; }
	@touch $@

# Spark and Flink need packages that exclude each other, so each has an environment of its own.
install-spark: $(SPARK)/.stamp-project ## make .venv-spark, in which spark-submit runs the Spark jobs
	@$(SPARK)/bin/python -m model_serving.spark.install
	@echo "ready: JOB=spark make demo | . $(SPARK)/bin/activate && spark-submit spark_jobs/keyed.py"

demo: install $(if $(filter spark%,$(JOB)),install-spark) ## run Kafka, the job and the publishers for DEMO_SECONDS=60 (JOB=keyed, broadcast, server or spark)
	@$(BIN)/python -m model_serving.client.demo

# All are run, so that one call tells everything; each that fails says in its last line what to do.
define checks
failed=0; \
check() { local said mend="$$1"; shift; \
  said=$$("$$@" 2>&1) || { printf '%s\n' "$$said"; echo "lint: $$mend" >&2; failed=1; }; }; \
check "the format is not ruff's: run make format" $(BIN)/ruff format --quiet --diff .; \
check "the linter has found something (above): mend it; make format mends some of it" $(BIN)/ruff check --quiet .; \
check "the types are wrong (above): mend them" $(BIN)/mypy --no-error-summary; \
check "the code in model_serving/protos is not what protos/*.proto say: run make proto" \
  $(BIN)/python protos/generate.py --check; \
[ $$failed = 1 ] || echo "lint: format, linter, types and generated code are in order"
endef

# Two at a time: tests that start Flink and Kafka wait a good part of their time. Those of a file stay together,
# as they share what they have started (tests/conftest.py), and files come in the order that pyproject.toml names.
# The tests run whatever the checks have found, and pytest's summary stays the last thing that is said.
test: install install-spark ## check format, lint, types and generated code; run all tests (ARGS="-k name": what pytest takes)
	@$(checks); \
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS) || failed=$$?; \
	exit $$failed

# PYTHON=… is for an interpreter that is not on PATH as python3.12.
test-312: ## run the unit tests on Python 3.12, in an environment of its own (.venv-312)
	@$(MAKE) install VENV=.venv-312 PYTHON="$(if $(filter command environment,$(origin PYTHON)),$(PYTHON),python3.12)"
	@.venv-312/bin/python -m pytest tests/unit $(ARGS)

lint: install ## check format, lint, types and generated code (seconds)
	@$(checks); exit $$failed

# Both are run, so that one call tells everything. Each fails with a line where its folder is not there.
suites: install ## score all real models with known answers, write docs/models.md (SUITE_ARGS=--list: what is wrong)
	@failed=0; for suite in pmml tensors; do \
	  [ ! -e tests/suites/$$suite ] && [ ! -e tests/suites/$$suite.py ] \
	  || $(BIN)/python -m tests.suites.$$suite --write $(SUITE_ARGS) || failed=1; \
	done; exit $$failed

# MLServer pins packages that this project has in other versions, so it gets an environment of its own.
.venv-interop/.stamp: $(VENV)/.stamp-venv
	@echo "set-up: MLServer in .venv-interop (530 MB on disk; a minute of processor time)"
	@rm -rf .venv-interop
	@$(BIN)/python -m venv .venv-interop
	@.venv-interop/bin/python -m pip --disable-pip-version-check --no-input install --quiet $(MLSERVER) \
	  || { echo "set-up: MLServer could not be installed (see above); check the network and run make interop again" >&2; exit 1; }
	@touch $@

interop: install .venv-interop/.stamp ## score by a real MLServer, in .venv-interop
	@MODEL_SERVING_MLSERVER=$(CURDIR)/.venv-interop/bin/mlserver $(BIN)/python -m pytest tests/interop

fuzz: install ## feed damaged bytes to parsers and engines for MINUTES=10 (FUZZ_SEED=1: where to begin)
	@FUZZ_MINUTES=$(or $(MINUTES),10) $(BIN)/python -m pytest tests/faults/test_fuzz.py

# The three tests that compare a host with a reference after any order of events.
interleavings: install ## try TIMES=10 as many orders of models, records and crashes as make test does
	@MODEL_SERVING_EXAMPLES=$(or $(TIMES),10) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
	  tests/unit/{core,functions,server}/test_interleavings.py

chaos: install ## strike a job under load with faults for MINUTES=10 (SEED=7: again as it was)
	@$(BIN)/python -m tests.faults.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

overload: install ## send more than a job can take for MINUTES=10 (JOB=keyed or broadcast)
	@$(BIN)/python -m tests.faults.overload --minutes $(or $(MINUTES),10) $(if $(JOB),--variant $(JOB))

swaps: install ## swap SWAPS=1000 models of each engine under load, watch memory and leftovers (ENGINES=onnx,pmml)
	@$(BIN)/python -m tests.faults.many_swaps --swaps $(or $(SWAPS),1000) $(if $(ENGINES),--engines $(ENGINES)) \
	  $(if $(JOB),--variant $(JOB))

check: install ## what lint checks, and the unit tests (ARGS="-k name")
	@$(checks); $(BIN)/python -m pytest tests/unit $(ARGS) || failed=$$?; exit $$failed

bench: install ## measure speed, latency, memory (hours; BENCH_ARGS="backlog --models glm": a part; BENCH_JVM_PEER: compare)
	@$(BIN)/python -m bench $(or $(BENCH_ARGS),all)

format: install ## format the sources, mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

proto: install ## generate Python code from the .proto files
	@$(BIN)/python protos/generate.py

reporter: install ## compile the Prometheus reporter of model_serving/runtime/reporter (needs a JDK)
	@$(BIN)/python -m model_serving.runtime.reporter_jar

samples: install ## make the sample data and models anew (installs the training packages)
	@$(PIP) --no-build-isolation --require-hashes -r requirements-train.lock
	@$(BIN)/python data/make_samples.py

# uv is kept out of the project's environment: it resolves that environment. A lock that it finds is what it
# keeps to where it can: so Spark's differs from the others only in what Spark and Flink need differently.
lock: ## resolve requirements*.lock and model_serving/runtime/jars.lock anew
	@tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	  "$(PYTHON)" -m venv "$$tools" && "$$tools/bin/python" -m pip install --quiet $(UV); \
	  PATH="$$tools/bin:$$PATH"; \
	  $(LOCK) $(EXTRAS) --extra test --extra dev pyproject.toml -o requirements.lock; \
	  $(LOCK) --group build -c requirements.lock -o requirements-build.lock; \
	  $(LOCK) --extra server --extra onnx --extra tensorflow-cpu -c requirements.lock pyproject.toml \
	    -o requirements-server.lock; \
	  $(LOCK) --extra tensorflow --extra train -c requirements.lock pyproject.toml -o requirements-train.lock; \
  cp requirements.lock requirements-spark.lock; \
  $(LOCK) $(SPARK_EXTRAS) pyproject.toml -o requirements-spark.lock
	@$(MAKE) install
	@$(BIN)/python -m model_serving.runtime.jars --lock

clean: ## remove .venv and everything made in the working tree (the jar cache stays)
	@rm -rf $(VENV) $(SPARK) .venv-312 build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis checkpoints
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
