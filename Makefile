# `make` builds, `make demo` shows, `make test` tests.  Meson does the work.
B ?= build
PYTHON ?= /usr/bin/python3

all: $(B)/build.ninja
	@ninja -C $(B)

$(B)/build.ninja:
	@meson setup $(B) $(SETUP)

# These two need nothing done before them on a fresh Debian 12.
demo:
	@tools/setup build demo
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/demo --build $(B)

# QUICK=1: without the slow tests.  LAB=1: with those that boot lab hosts.
# T: suites, and options of tests/run.
test:
	@tools/setup build test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/run --build $(B) $(if $(QUICK),--quick) $(if $(LAB),--lab) $(T)

# What needs a kernel with bonds, RDMA, netem, KVM.  SUITES: only these of it.
lab:
	@$(MAKE) --no-print-directory test T="$(or $(SUITES),lab)"

# One suite, or suite:test, COUNT times; without a SEED there is a new one.
COUNT ?= 10
soak:
	@tools/setup build test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/run --build $(B) --soak $(COUNT) $(if $(SEED),--seed $(SEED)) $(SUITE)

unit: all
	@meson test -C $(B) --suite unit --print-errorlogs

install: all
	@meson install -C $(B) $(if $(DESTDIR),--destdir $(DESTDIR))

asan:; @$(MAKE) --no-print-directory unit B=build-asan \
	SETUP='-Db_sanitize=address,undefined -Db_lundef=false'
# A child that shares our memory until it is the program is no fork to it.
tsan:; @TSAN_OPTIONS=die_after_fork=0 $(MAKE) --no-print-directory unit B=build-tsan \
	SETUP='-Db_sanitize=thread -Db_lundef=false'

lint:
	@tools/setup build lint
	@$(MAKE) --no-print-directory all
	@tools/lint $(B)

# QUICK=1: one run of each, less memory, some ten minutes.  O: options of
# bench/run.py, say O='--only cards'.
bench:
	@tools/setup build bench
	@$(MAKE) --no-print-directory all
	@$(PYTHON) bench/run.py $(if $(QUICK),--quick) $(O)

# What a page costs at each stage, against bench/micro/instructions.txt.
instructions:
	@tools/setup build instructions
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/instructions $(B)

# SECONDS_EACH per target; the corpus in tests/fuzz/corpus is read, not grown.
SECONDS_EACH ?= 60
fuzz:
	@tools/setup build fuzz
	@CC=clang $(MAKE) --no-print-directory all B=build-fuzz SETUP='-Dfuzz=true -Db_lundef=false'
	@tools/fuzz build-fuzz $(SECONDS_EACH)

deb:
	@tools/setup build deb
	@tools/deb

clean:; rm -rf build build-*
.PHONY: deb all demo test lab soak unit install asan tsan lint bench instructions fuzz clean
