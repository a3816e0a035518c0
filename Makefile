# Two commands for a newcomer: `make bench` and `make test`. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := pip install --quiet --disable-pip-version-check

.PHONY: bench bench-gpu docs evidence lint clean results test test-torch test-with

bench: .venv/.installed
	$(BIN)/python -m benchmarks train

# On a machine with an NVIDIA GPU: measures for some twenty minutes, leaves an archive that
# can be sent. make bench-gpu BACKEND=jax or BACKEND=torch takes another backend.
BACKEND ?= tensorflow
GPU_PACKAGE_tensorflow := tensorflow[and-cuda]
GPU_PACKAGE_jax := jax[cuda12]
GPU_PACKAGE_torch := torch

bench-gpu: .venv/.installed
	$(BIN)/$(PIP_INSTALL) '$(GPU_PACKAGE_$(BACKEND))'
	$(BIN)/python -m benchmarks.publish.gpu_evidence --backend $(BACKEND)

test: .venv/.installed
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# The optimizer's tests and those of the harness that are about Keras's PyTorch backend, in an
# environment of their own, which adds only torch to the packages of .venv. torch brings 2 to 3 GB
# of CUDA on Linux. Without that:
# make test-torch TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
# The version is the one that was tested, so that a new release breaks no build unasked.
# One thread each: two processes with two threads each wait for each other's on two cores.
TORCH ?= torch==2.13.0
TORCH_TESTS := tests/benchmarks/training/test_torch_backend.py $(addprefix tests/keras_adam/test_, \
	$(addsuffix .py, at_random bad_input checkpoints exclusion fit keras_private keras_suite loading \
	master_weights moving_numbers options parity precision sparse state_dtype_files torch \
	torch_memory torch_models))

test-torch: .venv-torch/.installed
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 .venv-torch/bin/python -m pytest --numprocesses auto --dist loadfile \
		$(TORCH_TESTS)

.venv-torch/.installed: .venv/.installed
	$(BIN)/python -m venv --clear .venv-torch
	site() { $$1/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }; \
	echo "import site; site.addsitedir('$$(site .venv)')" > "$$(site .venv-torch)/packages-of-venv.pth"
	.venv-torch/bin/$(PIP_INSTALL) $(TORCH)
	touch $@

# The optimizer's tests with other versions: make test-with KERAS=3.8.0 TENSORFLOW=2.18.1
test-with:
	$(PYTHON) -m venv --clear .venv-with
	.venv-with/bin/$(PIP_INSTALL) -e . keras==$(KERAS) tensorflow==$(TENSORFLOW) \
		pytest==9.2.0 hypothesis==6.170.15
	.venv-with/bin/pytest -o filterwarnings=default tests/keras_adam

# The site of docs/, in site/. Its tools have an environment of their own, since only this needs them.
docs:
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/$(PIP_INSTALL) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

# Tables and picture of README.md and docs/, from the CSV files in results/.
evidence: .venv/.installed
	$(BIN)/python -m benchmarks.publish.evidence

# Every published folder anew, into results/anew/: hours. make results ONLY=update for one of them.
results: .venv/.installed
	$(BIN)/$(PIP_INSTALL) -e '.[benchmarks,test,peers,gpu-programs]'
	$(BIN)/python -m benchmarks.publish.reproduce $(ONLY)

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; make PYTHON=... names one")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/$(PIP_INSTALL) -e '.[benchmarks,test]'
	touch $@

clean:
	rm -rf .venv .venv-with .venv-docs .venv-torch .jax_cache site
