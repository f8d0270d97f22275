# Every target does all the set-up it needs, on a fresh clone, with Python 3.11 and make.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test lint types check conformance faults soak bench speedrun figures clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

install: $(VENV)/.installed ## make .venv with charlm in it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m charlm.generation.native.build
	@touch $@

demo: install ## train on the notes that come with charlm, write, point at what does not fit, classify
	$(BIN)/charlm train --out runs/demo --minutes 1 --force
	@echo
	@echo "A note of its own, to the first empty line:"
	$(BIN)/charlm generate runs/demo --length 1500 --temperature 0.6 | sed '/^$$/q'
	@echo
	@echo "A note that it has never seen, each character coloured by how much it surprises:"
	head -c 700 corpora/clinical_notes/test.txt | $(BIN)/charlm look runs/demo -
	@echo
	@echo "Bits, tokens, bits per character: what does not fit costs more."
	printf 'He denies chest pain and dizziness.\nHe denies purple elephants.\n' | $(BIN)/charlm score runs/demo -
	@echo
	@echo "Which specialty is a note of? A model of its words, and a classifier that goes on from there:"
	$(BIN)/python scripts/label_notes.py --out runs/demo-notes
	$(BIN)/charlm train --tokenizer word --minutes 0.5 --out runs/demo-words --force
	$(BIN)/charlm finetune-classify runs/demo-words runs/demo-notes/train.csv --valid runs/demo-notes/valid.csv \
		--test runs/demo-notes/test.csv --lm-epochs 0 --minutes 0.75 --out runs/demo-specialty --force
	printf 'Painful knee after a fall.\nCough and wheeze at night.\n' | $(BIN)/charlm classify runs/demo-specialty -
	@echo
	@echo "Your own text:  $(BIN)/charlm train mynotes.txt --out runs/mine"
	@echo "                $(BIN)/charlm generate runs/mine \"The \""

test: install ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

lint: install ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check charlm scripts tests

types: install ## type check
	$(BIN)/mypy

check: lint types test ## the gate: lint, types, tests

conformance: install ## every cell x dropout x kernel x precision, as a table: docs/conformance.md
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/pytest -p conformance_table --conformance-table docs/conformance.md \
		tests/model/test_cell_conformance.py tests/training/test_resume_conformance.py

faults: install ## every fault made to happen, the long sweeps: docs/faults.md (an hour and more)
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/pytest -p faults_table --faults-table docs/faults.md --long \
		$$($(BIN)/python tests/faults_table.py)

soak: install ## half an hour of training, scoring and writing, with the memory watched
	$(BIN)/python scripts/soak.py

bench: install ## speed, side by side with plain PyTorch
	$(BIN)/python scripts/bench.py

TRACK ?= notes-1
SPEEDRUN ?=

speedrun: install ## how much is learned in so many minutes: make speedrun TRACK=shakespeare-3 SPEEDRUN="--data data"
	$(BIN)/python scripts/speedrun.py $(TRACK) $(SPEEDRUN)

LECTURE := --steps 1000 --hidden-size 128 --batch-size 32 --bptt 32 --ngram-order 1 --threads 1 --precision fp32 --force
SERIES := --preset series --steps 3000 --hidden-size 128 --threads 1 --precision fp32 --force

figures: install ## the pictures of docs/lecture.md (some minutes)
	$(BIN)/charlm gradients --out docs/pictures/gradients.svg
	$(BIN)/python scripts/long_dependencies.py --out docs/pictures/long_dependencies.svg
	$(BIN)/charlm train --out runs/sigmoid --cell rnn --nonlinearity sigmoid --no-bias $(LECTURE)
	$(BIN)/charlm train --out runs/lstm --cell lstm $(LECTURE)
	$(BIN)/charlm train --out runs/gru-cho --cell gru-cho --no-bias $(LECTURE)
	$(BIN)/charlm compare runs/sigmoid runs/lstm runs/gru-cho --out docs/pictures/cells.svg
	$(BIN)/charlm train --out runs/feedforward --cell feedforward --context 12 $(LECTURE)
	$(BIN)/charlm train --out runs/conv --cell conv --layers 2 --context 4 $(LECTURE)
	$(BIN)/charlm compare runs/feedforward runs/conv runs/lstm --out docs/pictures/kinds.svg
	$(BIN)/python scripts/simulate_heart_rate.py --days 100 --out runs/hr.csv
	head -n 129601 runs/hr.csv | $(BIN)/charlm quantise --column heart_rate --step 1 --out runs/hr.words
	$(BIN)/charlm train runs/hr.words --out runs/hr $(SERIES)
	$(BIN)/charlm forecast runs/hr runs/hr.csv --column heart_rate --horizon 20 --held-out 14400 \
		--title "simulated: kinetics of exercise, day and night" --out docs/pictures/forecast.svg

clean: ## remove what was built (runs/ stays)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
