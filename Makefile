# `make` builds, `make demo` shows, `make test` tests.  Meson does the work.
B ?= build

all: $(B)/build.ninja
	@ninja -C $(B)

$(B)/build.ninja:
	@meson setup $(B) $(SETUP)

unit: all
	@meson test -C $(B) --suite unit --print-errorlogs

asan:; @$(MAKE) unit B=build-asan SETUP='-Db_sanitize=address,undefined -Db_lundef=false'
tsan:; @$(MAKE) unit B=build-tsan SETUP='-Db_sanitize=thread -Db_lundef=false'

clean:; rm -rf build build-*
.PHONY: all unit asan tsan clean
