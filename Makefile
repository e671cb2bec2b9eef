# The kit's targets. Each does its own set-up and can be run again; `make` alone lists them.

# the first Python on PATH that will do
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$python" && break; \
	done)
BIN := .venv/bin
SOURCES := facts policies protocol components stacks services toolchain cli tests

# tests run in two processes, file by file; each makes the clusters that it needs
SHARED := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# no target reads the user's kubeconfig, cloud credentials or Pulumi login
unexport $(filter KUBECONFIG KUBE_% KUBERNETES_% AWS_% AZURE_% ARM_% GOOGLE_% GCLOUD_% CLOUDSDK_% PULUMI_% VAULT_%, $(.VARIABLES))
unexport PYTHONPATH PYTHONHOME
# with it each of the many processes would compile all that it imports anew, which takes longer than its work
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up plan down test scan access score check format mutants bench lock clean-cache set-up lint python
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

up: set-up ## stand the local stack up: tools, cluster, plan, verdict, services
	@$(BIN)/sovereign up local

plan: set-up ## show what `make up` would change, and whether it may
	@$(BIN)/sovereign plan local

down: python ## remove all that make made in this checkout
	@"$(PYTHON)" -m toolchain.take_down

test: lint scan ## formatting, types, a scan of the rendered objects and all tests, fast ones first
	@$(BIN)/python -m toolchain.build
	$(BIN)/python -m pytest $(SHARED)

scan: set-up ## the rendered stacks, scanned by checkov in an environment of its own
	@$(BIN)/python -m tests.scan

access: set-up ## who may do what on AWS, by an evaluator of IAM from npm (needs node); writes docs/aws-access.md
	@$(BIN)/python -m tests.aws

score: set-up ## every leaking and clean example: what the kit, checkov and other tools say of it
	@$(BIN)/python -m tests.score

check: lint ## formatting, types and the fast tests only
	$(BIN)/python -m pytest $(SHARED) -m "not cluster and not engine and not checkov"

lint: set-up
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)

format: set-up ## put the code into form
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

mutants: set-up ## break the rules in one place at a time: does an example notice?
	@$(BIN)/python -m tests.mutants

bench: set-up ## measure what the kit costs, as ratios
	@$(BIN)/python -m tests.bench

lock: set-up ## pin the newest versions that pyproject.toml allows
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --upgrade --target build/uv uv
	PATH="$$PATH:$(CURDIR)/build/uv/bin" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --upgrade --group test pyproject.toml -o requirements.txt
	echo checkov | PATH="$$PATH:$(CURDIR)/build/uv/bin" uv pip compile --quiet --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --upgrade - -o toolchain/checkov/requirements.txt

clean-cache: python ## remove the built programs, which all checkouts share
	@"$(PYTHON)" -m toolchain.build --remove

set-up: python ## make the environment .venv alone, with the command sovereign: enough to judge files
	@"$(PYTHON)" -m toolchain.set_up

python:
	@test -n "$(PYTHON)" || { echo "make needs Python 3.11 or later on PATH: apt install python3 python3-venv" >&2; exit 3; }
