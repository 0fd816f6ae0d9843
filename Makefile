# tinyproof: from a dataset or an int8 .tflite to firmware, and proof that the board computes the same.
#
# Variables: RECIPE (default motion), BOARD (or board-kernels, as in qemu_m4-ref; -selftest behind it: with
# the reference model), EMULATOR, PORT, LINK_PORT, FRAMEWORK, MODEL, MODELS_DIR, CASES, INPUTS, CV,
# HELD_OUT (1: CV without the test groups), FLASH (bytes that the model's constants may take), SHOW, DIFF
# and RUN (experiments), TINYPROOF_TRACKING (off: none)

RECIPE ?= motion
BOARD ?= qemu_m4
DEMO_BOARDS := nano33 esp32
ALL_BOARDS := qemu_m4 qemu_xtensa nano33 esp32 native

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY: # keep what pattern rules make on their way
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

PY := .venv/bin/python
export PLATFORMIO_CORE_DIR := $(CURDIR)/.platformio
export MPLCONFIGDIR := $(CURDIR)/build/.matplotlib

# A model made elsewhere gets a folder of its own under build/, as a recipe does.
ifneq ($(MODEL),)
ifneq ($(words $(MODEL)),1)
$(error MODEL=$(MODEL): the path has spaces, which make cannot handle; copy the file to a path without)
endif
ifeq ($(wildcard $(MODEL)),)
$(error MODEL=$(MODEL): no such file; give the path of a .tflite file)
endif
endif
NAME := $(if $(MODEL),$(shell basename '$(MODEL)' .tflite | tr -c 'A-Za-z0-9._\n-' _),$(RECIPE))
OUT := build/$(NAME)
RECIPE_FILE := $(wildcard model/recipes/$(RECIPE).toml)
# Files below are made without recording each; what the user asked for is recorded at its end.
UNTRACKED := TINYPROOF_TRACKING=off
RECORD = @$(PY) -m model.tracking $(OUT)
RUN_OPTIONS := $(if $(EMULATOR),--emulator $(EMULATOR)) $(if $(PORT),--port $(PORT))
CASES_FOR_MODEL := $(or $(CASES),100)

# What each stage depends on besides the stage before it.
DATA_CODE := $(wildcard model/datasets/*.py model/features/* firmware/features/*.[ch] model/checks/*.py) model/recipe.py
TRAIN_CODE := model/networks.py model/augment.py model/train.py model/baselines.py model/evaluate.py model/tasks.py
QUANT_CODE := $(wildcard quantize/*.py quantize/tflite/*.py quantize/ops/*.py quantize/lowering/*.py quantize/templates/*)
FIRMWARE_CODE := $(shell find firmware boards -type f -not -name '*.md' -not -path '*/__pycache__/*') \
	platformio.ini $(wildcard host_tools/build/*.py host_tools/boards/*.py)
LINK_CODE := $(wildcard host_tools/*/*.py)

.PHONY: help setup doctor check train quantise emit inspect build parity features bench selftest drift record classical report readme demo search bench-all bench-record bench-models emulate flash monitor \
	runs runs-ui whois reproduce \
	test test-all lint format clean lock

help: ## print the targets
	@echo "tinyproof: TinyML firmware with proof. The main job: make demo. Targets:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | \
		awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'
	@echo "Variables: RECIPE=$(RECIPE) BOARD=$(BOARD) EMULATOR= PORT= FRAMEWORK= MODEL= MODELS_DIR= CASES= INPUTS= FLASH="
	@echo "Boards: $(ALL_BOARDS)"

setup: ## install everything into this folder (SKIP_SYSTEM=1: print missing system packages)
	@PYTHON="$(PYTHON)" host_tools/setup.sh

.venv/ready: requirements.lock system-packages.txt host_tools/setup.sh host_tools/build/provision.py
	@PYTHON="$(PYTHON)" host_tools/setup.sh

doctor: | .venv/ready ## a table of every prerequisite and how to fix what is missing
	@$(PY) -m host_tools doctor

# --- from data to a quantised model -----------------------------------------------------------

ifeq ($(MODEL),)
$(OUT)/dataset.json: $(RECIPE_FILE) $(DATA_CODE) | .venv/ready
	$(PY) -m model check $(RECIPE)

$(OUT)/train.json: $(OUT)/dataset.json $(TRAIN_CODE)
	$(PY) -m model train $(RECIPE)

$(OUT)/golden.npz: $(OUT)/train.json quantize/ptq.py quantize/qat.py quantize/choose.py quantize/features.py
	$(UNTRACKED) $(PY) -m quantize run $(RECIPE)
else
# What the random cases depend on; the file changes only when these do.
$(OUT)/cases: always
	@mkdir -p $(OUT); echo "$(CASES_FOR_MODEL) $(INPUTS)" | cmp -s - $@ || \
		echo "$(CASES_FOR_MODEL) $(INPUTS)" >$@

$(OUT)/golden.npz: $(MODEL) $(OUT)/cases $(INPUTS) | .venv/ready
	$(PY) -m quantize golden $(MODEL) --name $(NAME) --cases $(CASES_FOR_MODEL) \
		$(if $(INPUTS),--inputs $(INPUTS))
endif

.PHONY: always
$(OUT)/budget: always
	@mkdir -p $(OUT); echo "$(FLASH)" | cmp -s - $@ || echo "$(FLASH)" >$@

$(OUT)/profile.json: $(OUT)/golden.npz quantize/drift.py
	$(UNTRACKED) $(PY) -m quantize profile $(RECIPE)

$(OUT)/gen/ref/manifest.json: $(OUT)/golden.npz $(if $(MODEL),,$(OUT)/profile.json) $(OUT)/budget $(QUANT_CODE)
	$(UNTRACKED) $(PY) -m quantize emit $(NAME) $(if $(FLASH),--flash $(FLASH))

check: | .venv/ready ## check the data of RECIPE
	$(PY) -m model check $(RECIPE)

train: $(OUT)/train.json ## train the float network of RECIPE (CV=5: cross-validate by subject, HELD_OUT=1: not the test groups)
	$(if $(CV),$(PY) -m model cross-validate $(RECIPE) --folds $(CV) $(if $(HELD_OUT),--held-out))

quantise: $(OUT)/golden.npz ## post-training and quantisation-aware int8, choose by validation
	$(RECORD)

emit: $(OUT)/gen/ref/manifest.json ## write model.c, the TFLite Micro array and the manifest
	$(RECORD)

# --- firmware, one folder a board -------------------------------------------------------------

$(OUT)/%/firmware.elf: $(OUT)/gen/ref/manifest.json $(FIRMWARE_CODE)
	$(PY) -m host_tools build $(NAME) $*

$(OUT)/%/parity.ok: $(OUT)/%/firmware.elf $(LINK_CODE)
	$(UNTRACKED) $(PY) -m host_tools parity $(NAME) $* || { $(PY) -m model.tracking $(OUT); false; }
	@touch $@

$(OUT)/%/features.ok: $(OUT)/%/firmware.elf $(LINK_CODE)
	$(PY) -m host_tools features $(NAME) $*
	@touch $@

$(OUT)/%/bench.json: $(OUT)/%/firmware.elf $(LINK_CODE)
	$(UNTRACKED) $(PY) -m host_tools bench $(NAME) $*

build: $(if $(FRAMEWORK),$(OUT)/gen/ref/manifest.json,$(OUT)/$(BOARD)/firmware.elf) ## build the firmware of RECIPE or MODEL for BOARD
	$(if $(FRAMEWORK),$(PY) -m host_tools build $(NAME) $(BOARD) --framework $(FRAMEWORK))
	$(RECORD)

inspect: | .venv/ready ## layers, costs, problems and fit of MODEL=file.tflite
	@$(PY) -m quantize inspect $(or $(MODEL),$(OUT)/model.tflite)

parity: $(OUT)/$(BOARD)/firmware.elf ## compare every output byte of BOARD with TFLite Micro (PORT=, TAP=all: every layer)
	$(PY) -m host_tools parity $(NAME) $(BOARD) $(RUN_OPTIONS) $(if $(CASES),--cases $(CASES)) \
		$(if $(TAP),--tap)

features: $(OUT)/$(BOARD)/firmware.elf ## compare BOARD's front end with the host's, stage by stage (PORT=, CASES=)
	$(PY) -m host_tools features $(NAME) $(BOARD) $(RUN_OPTIONS) $(if $(CASES),--cases $(CASES))

bench: $(OUT)/$(BOARD)/firmware.elf ## count instructions, per layer, and sizes on BOARD
	$(PY) -m host_tools bench $(NAME) $(BOARD) $(RUN_OPTIONS)

SELFTEST_BOARD := $(BOARD:%-selftest=%)-selftest
selftest: $(OUT)/$(SELFTEST_BOARD)/firmware.elf ## compare BOARD's kernels with the reference kernels, on the device (PORT=)
	$(PY) -m host_tools selftest $(NAME) $(SELFTEST_BOARD) $(RUN_OPTIONS)

drift: $(OUT)/$(BOARD)/firmware.elf ## compare what BOARD has counted of its inputs with RECIPE's profile (PORT=, CASES=, CHANGE=, RESET=1)
	$(PY) -m host_tools drift $(NAME) $(BOARD) $(RUN_OPTIONS) $(if $(CASES),--cases $(CASES)) \
		$(if $(CHANGE),--change '$(CHANGE)') $(if $(RESET),--reset)

# Without BOARD on two emulated boards.
ifneq ($(and $(MODEL),$(filter classical,$(MAKECMDGOALS))),)
$(error MODEL=$(MODEL): make classical takes RECIPE=, whose data it trains on)
endif
KIND ?= forest logistic svm
CLASSICAL_BOARDS := $(if $(filter command environment,$(firstword $(origin BOARD))),$(BOARD),qemu_m4 qemu_xtensa)
classical: $(foreach b,$(CLASSICAL_BOARDS),$(OUT)/$(b)/parity.ok $(OUT)/$(b)/bench.json) ## is a network needed? KIND=forest|logistic|svm beside it: train, prove, measure
	@set -e; for kind in $(KIND); do \
		$(UNTRACKED) $(PY) -m quantize classical $(RECIPE) $$kind; \
		for board in $(CLASSICAL_BOARDS); do for step in build parity bench; do \
			$(UNTRACKED) $(PY) -m host_tools $$step $(NAME)-$$kind $$board; \
		done; done; \
	done
	@$(PY) -m host_tools classical $(NAME)

record: $(if $(PORT),.venv/ready,$(OUT)/$(BOARD)/firmware.elf) ## record LABEL=word for SECONDS=n from BOARD's sensor (PORT=, WHO=, OUT_DIR=; REPLAY=file.npz where emulated)
	$(PY) -m host_tools record $(NAME) $(BOARD) $(RUN_OPTIONS) --label '$(LABEL)' --seconds '$(SECONDS)' \
		$(if $(WHO),--who '$(WHO)') $(if $(OUT_DIR),--out '$(OUT_DIR)') $(if $(REPLAY),--replay '$(REPLAY)')

# The tests' models, those of MODELS_DIR, and RECIPE where it is built, on all emulated boards.
BENCH_BOARDS ?= qemu_m4 qemu_xtensa nano33 esp32
BENCH_BUILT := $(if $(wildcard $(OUT)/golden.npz),$(OUT)/gen/ref/manifest.json)
BENCH_ALL = $(PY) -m host_tools bench-all build/bench/models $(if $(MODELS_DIR),'$(MODELS_DIR)') \
	$(if $(BENCH_BUILT),--built $(NAME)) --boards $(BENCH_BOARDS)

bench-models: | .venv/ready
	@$(PY) -m tests.bench_models build/bench/models

bench-all: bench-models $(BENCH_BUILT) ## one table of all models (MODELS_DIR=folder: those too) on all emulated boards
	$(BENCH_ALL)

bench-record: bench-models $(BENCH_BUILT) ## the same, appended to docs/bench_history.json (REASON= why something grew)
	$(BENCH_ALL) --record $(if $(REASON),--reason '$(REASON)')

search: $(OUT)/dataset.json ## find a smaller network under BUDGET=flash=50%,instructions=50% of BOARD (TRIALS=, STEPS=)
	$(PY) -m host_tools search $(RECIPE) $(BOARD) --budget '$(BUDGET)' \
		$(if $(TRIALS),--trials $(TRIALS)) $(if $(STEPS),--steps $(STEPS))

REPORT_BOARDS := $(DEMO_BOARDS) qemu_m4 qemu_xtensa native
$(OUT)/report.html: $(foreach b,$(REPORT_BOARDS),$(OUT)/$(b)/parity.ok $(OUT)/$(b)/bench.json \
		$(if $(MODEL),,$(OUT)/$(b)/features.ok))
	$(PY) -m host_tools report $(NAME)

report: $(OUT)/gen/ref/manifest.json ## write report.html and report.json from what has been run
	$(PY) -m host_tools report $(NAME)

readme: $(OUT)/report.html ## put the numbers and the picture of a run into README.md
	$(PY) -m host_tools readme $(NAME)

demo: $(OUT)/report.html ## the main job: data, training, int8, firmware for both boards, parity, report
	@$(PY) -m host_tools summary $(NAME)

.PHONY: port-present
port-present: | .venv/ready
	@$(PY) -m host_tools check-port $(BOARD) $(if $(PORT),--port $(PORT))

emulate: $(OUT)/$(BOARD)/firmware.elf ## run BOARD's firmware in its emulator, with this terminal as monitor
	@$(PY) -m host_tools run $(NAME) $(BOARD) $(if $(EMULATOR),--emulator $(EMULATOR))

flash: port-present $(OUT)/gen/ref/manifest.json ## upload to BOARD=nano33|esp32 at PORT, then hello and self-test
	$(PY) -m host_tools flash $(NAME) $(BOARD) $(if $(PORT),--port $(PORT)) \
		$(if $(LINK_PORT),--link-port $(LINK_PORT)) $(if $(FRAMEWORK),--framework $(FRAMEWORK))
	$(RECORD)

monitor: | .venv/ready ## open pio device monitor on PORT at the right speed
	@$(PY) -m host_tools monitor $(BOARD) $(if $(PORT),--port $(PORT))

# --- experiments ------------------------------------------------------------------------------

runs: | .venv/ready ## list the recorded experiments (SHOW=last or an id: its settings; DIFF=a,b: what differs)
	@$(PY) -m host_tools runs $(if $(SHOW),--show '$(SHOW)') $(if $(DIFF),--diff '$(DIFF)')

runs-ui: | .venv/ready ## MLflow's pages of the experiments, at http://127.0.0.1:5000
	$(PY) -m host_tools runs-ui

whois: $(if $(PORT),,$(OUT)/$(BOARD)/firmware.elf) | .venv/ready ## ask the firmware of BOARD or at PORT which experiment it is from
	@$(PY) -m host_tools whois $(if $(PORT),--port $(PORT),$(NAME) --board $(BOARD)) \
		$(if $(EMULATOR),--emulator $(EMULATOR))

reproduce: | .venv/ready ## make the experiment RUN=id again in a folder of its own, compare all files
	$(PY) -m host_tools reproduce $(or $(RUN),last)

# --- the project itself -----------------------------------------------------------------------

test: | .venv/ready ## all tests but the slow sweeps
	$(PY) -m pytest -n 2 -m "not slow"

test-all: | .venv/ready ## all tests, with the slow sweeps
	ROWS=500 EXAMPLES=new $(PY) -m pytest -n 2

C_FILES = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h')
lint: | .venv/ready ## ruff, mypy --strict, clang-format and cppcheck
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	clang-format --dry-run --Werror $(C_FILES)
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 \
		--inline-suppr --suppress=missingIncludeSystem -Ifirmware/kernels -Ifirmware/link \
		-Ifirmware/app -Ifirmware/board -Ifirmware/check -Ifirmware/features firmware/kernels firmware/link \
		firmware/app firmware/board firmware/check firmware/features firmware/stream model/features

format: | .venv/ready ## format Python and C
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format --quiet .
	clang-format -i $(C_FILES)

lock: | .venv/ready ## write requirements.lock anew from pyproject.toml
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip compile pyproject.toml --universal --generate-hashes --extra dev \
		--python-version 3.10 --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean: ## remove what was built (keeps .venv and .platformio)
	rm -rf build .pio
