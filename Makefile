# One line per task. Everything happens in .venv, which `make build` makes; build/ and dist/ are scratch.
PY = .venv/bin/python
KERNELS = $(filter-out %.inc.c,$(wildcard csrc/*.c csrc/sets/*.c))
C_FILES = $(shell git ls-files 'csrc/*.[ch]' 'benchmarks/*.[ch]' 'tests/*.[ch]')
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: build dev test lint stubs bench bench-check docs asan asan-build tsan wheel manylinux neon clean

build: ; python3 -m venv .venv && .venv/bin/pip install ".[test]"
dev: ; .venv/bin/pip install --quiet "pip>=25.1" && .venv/bin/pip install --quiet --group dev
test: ; .venv/bin/pytest
lint: ; ruff check . && ruff format --check . && cython-lint fastgrad && clang-format --dry-run -Werror $(C_FILES) && codespell
stubs: ; mkdir -p build/stubs && cd build/stubs && ../../$(PY) -m mypy.stubtest fastgrad --ignore-disjoint-bases --ignore-unused-allowlist --mypy-config-file ../../pyproject.toml --allowlist ../../tests/stubtest-allow.txt
bench: ; $(PY) -P -m fastgrad bench $(BENCH)
bench-check: ; $(PY) benchmarks/bench_check.py
docs: ; .venv/bin/pip install --quiet ".[docs]" && rm -rf build/docs && sphinx-build -W --keep-going -q -c docs . build/docs && cp build/docs/README.html build/docs/index.html
asan-build: ; python3 -m venv build/asan/venv && FASTGRAD_BUILD=asan build/asan/venv/bin/pip install --quiet ".[test]"
asan: asan-build ; build/asan/venv/bin/python tests/sanitized.py $(TESTS)
tsan: ; mkdir -p build/tsan && gcc -std=c11 -O1 -g -fsanitize=thread -ffp-contract=off -Wno-psabi -Icsrc -o build/tsan/check tests/check_threads.c $(KERNELS) -lm -pthread && build/tsan/check
wheel: dev ; rm -rf dist && $(PY) -m build --quiet && $(PY) tests/check_dist.py dist
manylinux: dev ; .ci/manylinux
neon: dev ; .ci/neon
clean: ; rm -rf build dist *.egg-info
