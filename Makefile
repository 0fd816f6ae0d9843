# tinyproof: from a dataset or an int8 .tflite to firmware, and proof that the board computes the same.
#
# Each target hands its variables to the command of its name: make parity BOARD=esp32 CASES=20 is
# tinyproof parity --board esp32 --cases 20 (`tinyproof parity --help`). They go through the
# environment as TINYPROOF_<NAME>, unexpanded, so no value is read by a shell or by make.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
override SHELL := /bin/bash
override given := $(strip $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v)))
$(foreach v,$(given),$(eval unexport $v)$(eval export TINYPROOF_$v := $$(value $v)))
export TINYPROOF_GIVEN := $(given)
export TINYPROOF_GOALS := $(MAKECMDGOALS)
override flags := $(firstword $(MAKEFLAGS))
export TINYPROOF_MAKE_DRY_RUN := $(if $(findstring =,$(flags))$(filter --%,$(flags)),,$(findstring n,$(flags)))

ifneq ($(given),)
ifneq ($(filter clean help,$(or $(MAKECMDGOALS),help)),)
$(error make clean and make help take no variables; got $(given))
endif
endif
override python := .venv/bin/python
# + runs it under make -n as well, where it prints what would run.
override run := +@.venv/bin/tinyproof
override checked := @$(python) -m host_tools.cli &&

override commands := new import check train quantise emit inspect build library parity features bench compare \
	selftest decode drift fleet record classical report readme demo search emulate flash mlperf monitor live serve-port \
	runs runs-ui whois reproduce doctor gate ci model-card

.PHONY: help setup bench-all bench-record test test-all lint format lock clean $(commands)

help: ## print the targets
	@echo "tinyproof: TinyML firmware with proof. The main job: make demo. Targets:"
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | \
		awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'
	@echo "Their variables: .venv/bin/tinyproof <target> --help (--board is BOARD=, and so on)"

setup: ## install everything into this folder (SKIP_SYSTEM=1: print missing system packages)
	@host_tools/setup.sh

.venv/ready: requirements.lock system-packages.txt pyproject.toml host_tools/setup.sh
	@host_tools/setup.sh

new: ## make a project of your own in a new folder NAME=
import: ## take over MODEL=file.tflite, made elsewhere
check: ## check the data of RECIPE
train: ## train the float network of RECIPE (CV=5: cross-validate by group, HELD_OUT=1, INT8=1)
quantise: ## int8 of RECIPE, chosen by validation; or of a float network, MODEL=file INPUTS=x.npz
emit: ## write model.c, the TFLite Micro array and the manifest
inspect: ## layers, costs, problems and fit of MODEL=file.tflite
build: ## build the firmware of RECIPE or MODEL for BOARD (ENGINE=tflm: with TFLite Micro; WITHOUT=text,golden: smaller)
library: ## RECIPE or MODEL as a library for your own program: Arduino, PlatformIO, ESP-IDF, Zephyr, CMake
parity: ## compare every output byte of BOARD (all: every one) with TFLite Micro (PORT=, TAP=1: every layer, VIA=library)
features: ## compare BOARD's front end with the host's, stage by stage (PORT=, CASES=)
compare: ## BOARD with generated code and with TFLite Micro's interpreter (TFLM=folder, PORT=)
bench: ## count instructions, per layer, and sizes on BOARD
mlperf: ## run MLPERF=kws01|ic01|vww01|ad01 of MLPerf Tiny on BOARD (PORT=, DATA=folder, MODE=, FILES=)
selftest: ## compare BOARD's kernels with the reference kernels, on the device (PORT=)
decode: ## what stopped a board: LOG=file of what it said, or standard input; cause, line, calls
drift: ## compare what BOARD has counted of its inputs with RECIPE's profile (PORT=, CHANGE=, RESET=1, JSON=1)
classical: ## is a network needed? KIND=forest|tree|boosting|logistic|svm, EXPORTER=emlearn|everywhereml|ours
fleet: ## drift READINGS=folder|file|-|mqtt://... of many boards: which, which channel, since when
record: ## record LABEL=word for SECONDS=n from BOARD's sensor (PORT=, WHO=, OUT_DIR=, REPLAY=)
search: ## find a smaller network under BUDGET=flash=50%,instructions=50% of BOARD (TRIALS=, STEPS=, STORAGE=, SCHEDULER=)
gate: ## compare accuracy, sizes, counts, parity, drift with the committed baseline (RECORD=1 writes it, MAX_GROWTH=2%)
ci: ## write .github/workflows/tinyproof.yml into the project: parity and gates on every push
model-card: ## write the model's card for a hub of models (LICENSE=apache-2.0, OUT=README.md)
report: ## write report.html and report.json from what has been run
demo: ## the main job: data, training, int8, firmware for all boards, parity, report
emulate: ## run BOARD's firmware in its emulator, with this terminal as monitor
flash: ## upload to BOARD=nano33|esp32 at PORT, then hello and self-test
monitor: ## talk to BOARD in pio device monitor, frames in words (PORT=name|socket://..., LOG=, REPLAY=)
live: ## a page of BOARD's signal and predictions in a browser (PORT=, HTTP_PORT=, REPLAY=)
serve-port: ## lend the board at PORT to another machine, by RFC 2217 at LISTEN=127.0.0.1:4000 (over ssh)
runs: ## list the recorded experiments (SHOW=last or an id: its settings; DIFF=a,b)
runs-ui: ## MLflow's pages of the experiments, at http://127.0.0.1:5000
whois: ## ask the firmware of BOARD or at PORT which experiment it is from
reproduce: ## make the experiment RUN=id again in a folder of its own, compare all files
doctor: ## a table of every prerequisite and how to fix what is missing
readme: ## put the numbers and the picture of a run into README.md (LISTS=1: without a run)
$(commands): | .venv/ready
	$(run) $@

bench-all: | .venv/ready ## one table of all models (MODELS_DIR=folder: those too) on all emulated boards
	$(checked) $(python) -m tests.bench_models build/bench/models
	$(run) bench-all
bench-record: | .venv/ready ## the same, appended to docs/bench_history.json (REASON= why something grew)
	$(checked) $(python) -m tests.bench_models build/bench/models
	$(run) bench-all --record

test: | .venv/ready ## all tests but the slow sweeps
	$(checked) $(python) -m pytest -n 2 --dist worksteal -m "not slow"
test-all: | .venv/ready ## all tests, with the slow sweeps
	$(checked) ROWS=500 EXAMPLES=new $(python) -m pytest -n 2 --dist worksteal
lint: | .venv/ready ## ruff, mypy --strict, clang-format, cppcheck, workflows
	$(checked) host_tools/lint.sh
format: | .venv/ready ## format Python and C
	$(checked) host_tools/lint.sh --fix
lock: | .venv/ready ## write requirements.lock anew from pyproject.toml
	$(checked) host_tools/lock.sh
clean: ## remove what was built (keeps .venv and .platformio)
	rm -rf build .pio
