# Every target is enough by itself on a machine that has Python 3.11 and make.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo serve test lint lock tesseract

demo: $(READY)  ## three pictures and an advert, into out/
	$(BIN)/signboard demo --out out

serve: $(READY)  ## the application on 127.0.0.1:8000, until Ctrl-C
	$(BIN)/signboard serve

# What needs no cluster runs on two cores at once, in the order of the files, since those of few tests
# are the long ones; with the cluster each test has the machine.
test: lint tesseract  ## everything that CI holds the project to
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e
	$(BIN)/pytest tests/e2e

# Reads adverts back in the tests. Where apt is at hand it is installed, else the error says what.
TESSERACT := tesseract-ocr tesseract-ocr-kor tesseract-ocr-eng
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
CAN_READ = [ "$$(tesseract --list-langs 2>/dev/null | grep -cxE 'kor|eng')" = 2 ]

tesseract:
	@$(CAN_READ) || ! command -v apt-get >/dev/null || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy $(TESSERACT); }
	@$(CAN_READ) || { echo "the tests need tesseract with kor and eng: $(TESSERACT)"; exit 1; }

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch comes first and without hashes: its CPU and CUDA wheels differ.
$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --progress-bar off "$$(grep -oE 'torch==[0-9.]+' pyproject.toml)"
	$(BIN)/pip install --progress-bar off --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --no-deps --no-build-isolation -e .
	touch $(READY)

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --unsafe-package torch \
	--no-header --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock:  ## pin every dependency anew, requirements-dev.lock those of development too
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra bench --extra dev \
		--output-file requirements-dev.lock pyproject.toml
