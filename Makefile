# `make demo` on a fresh machine, `make test` before a commit. `make help` lists the rest.

PYTHON ?= python3
# Test processes. Each computes on one core: two that take all cores each are slower than one.
WORKERS ?= 2

# A finished environment is marked by what it was made from, not by file times: a fresh checkout
# beside an environment that is still right needs neither an installation nor a network. (What
# pyproject.toml says of ruff and all that follows there changes nothing that is installed.)
MADE := .made-$(shell sed '/^\[tool\.ruff\]/,$$d' pyproject.toml | cat - constraints.txt | cksum | cut -d' ' -f1)
RUNTIME := .venv/$(MADE)
DEV := .venv-dev/$(MADE)
# In a variable, because a comma would end the argument that it is given as.
LEAN := .[cpu,web]
PY := .venv/bin/python
PY_DEV := .venv-dev/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-eager bench-gpu serve faults soak vm format clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(RUNTIME) ## the demo bundle over the sample frames, from nothing, in under two minutes
	$(PY) runtime/infer.py --folder runtime/demo/frames --out out/demo

test: check ## everything that can be tested here: checks first, then the quick tests, then the slow
	OMP_NUM_THREADS=1 $(PY_DEV) -m pytest -n $(WORKERS)

check: $(DEV) ## format, lint and types
	$(PY_DEV) -m ruff format --check .
	$(PY_DEV) -m ruff check .
	$(PY_DEV) -m mypy

format: $(DEV) ## put the code into the house's format
	$(PY_DEV) -m ruff format .
	$(PY_DEV) -m ruff check --fix .

bench: out/phantoms $(RUNTIME) ## how fast the demo bundle runs on this machine, on pictures of 512 px
	$(PY) runtime/bench.py --folder out/phantoms/ISIC-2017_Training_Data --seconds 15 --out out/bench.json
	$(PY) runtime/bench.py --folder out/phantoms/ISIC-2017_Training_Data --seconds 15 --precision fp16 --out out/bench16.json
	$(PY) runtime/bench.py --camera synthetic:1920x1080@30 --seconds 20 --out out/bench-camera.json

bench-eager: $(DEV) ## the full-size Ding system against the same networks in PyTorch; minutes, 5 GiB
	$(PY_DEV) export/bench_eager.py --recipe ding --runs 12

bench-gpu: $(DEV) ## on a machine with an NVIDIA GPU: its tests, then every figure, to out/bench-gpu
	$(PY_DEV) -m tests.gpu.everything --out out/bench-gpu

out/phantoms: | $(DEV)
	$(PY_DEV) train/phantoms.py --count 40 --size 512 --out $@

serve: $(RUNTIME) ## the screen at http://127.0.0.1:8080, fed with the demo recording
	$(PY) runtime/infer.py --camera runtime/demo/hand.mp4 --web 127.0.0.1:8080 --headless --store out/sessions

faults: $(DEV) ## each process killed 200 times, disks and databases that fail; about 20 minutes
	DERMEDGE_FAULT_ROUNDS=$${DERMEDGE_FAULT_ROUNDS:-200} $(PY_DEV) -m pytest tests/faults

soak: $(DEV) ## the camera loop for half an hour (MINUTES=…): nothing may grow
	$(PY_DEV) -m tests.faults.soak --minutes $${MINUTES:-30}

vm: $(DEV) ## V4L2 and USB cameras in an emulated machine with Debian's kernel (as root, on Debian)
	bash tests/vm/boot.sh

clean: ## what was built and measured here; the two environments stay
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find runtime train calibration export tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME):
	$(call environment,.venv,$(LEAN))

$(DEV):
	$(call environment,.venv-dev,.[dev])

# $(1): the folder, $(2): what to install. The mark is written last: half an environment is none.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "dermedge needs Python 3.10 or newer. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@echo "Installing dermedge[$(patsubst .[%],%,$(2))] into $(1) …"
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '$(2)'
	@rm -f $(1)/.made-* && touch $@
endef
