# Every target does its own set-up in .venv, which is made with python3; another: make PYTHON=python3.12 ...

BIN := .venv/bin
CODE := jupyter_launch tests scripts benchmarks
QUICKSTART := notebooks/01_quickstart.ipynb

.NOTPARALLEL:

.PHONY: help
help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: demo
demo:  ## execute the quickstart notebook in this terminal
	@scripts/install demo
	@$(BIN)/python scripts/demo.py $(QUICKSTART)

.PHONY: lab
lab:  ## open JupyterLab on the quickstart notebook; LAB_ARGS='--no-browser --port 8889'
	@scripts/install lab
	@scripts/front-end || echo 'Without the front end, outputs show text: they are not live.'
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS) $(QUICKSTART)

.PHONY: test
test: check  ## check and run every test, as root on Debian with a Docker Engine; ARGS='-k name'
	@$(BIN)/python scripts/environment.py $(BIN)/pytest $(ARGS)

.PHONY: soak
soak: dev  ## let things go wrong on purpose for long, and print what came of it; ARGS='-k agents'
	@JUPYTER_LAUNCH_TEST_SOAK=1 $(BIN)/python scripts/environment.py $(BIN)/pytest tests/faults $(ARGS)

.PHONY: test-fast
test-fast: dev  ## run the unit tests only, which need nothing but Python
	@$(BIN)/pytest tests/unit $(ARGS)

.PHONY: check
check: dev  ## formatting, lint and types, of Python and TypeScript
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	PATH=$(CURDIR)/$(BIN):$$PATH npm run --silent check --prefix labextension

.PHONY: bench
bench: dev  ## run the benchmarks, with the same engine; ARGS='...'
	@scripts/install bench
	@$(BIN)/python scripts/environment.py $(BIN)/python -m benchmarks $(ARGS)

.PHONY: screenshots
screenshots: dev  ## take the pictures that the README shows anew
	@$(BIN)/python -m scripts.screenshots

.PHONY: environment
environment: dev  ## bring up and list what the tests need: Docker Engine, images, browser
	@$(BIN)/python scripts/environment.py

.PHONY: dev
dev:  ## install everything for development in .venv
	@scripts/install dev
	@scripts/front-end

.PHONY: clean
clean:  ## remove .venv and everything else that was made here
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf labextension/node_modules labextension/lib jupyter_launch/labextension jupyter_launch/frontends/static
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
