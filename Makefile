# swarmwitness. The targets people use: demo, check (T=name for one test),
# bench, fuzz (FUZZ_S=seconds each), install, clean. V=1 shows the commands.

PREFIX ?= /usr/local
V ?= 0
T ?=
FUZZ_S ?= 60
Q := $(if $(filter 1,$(V)),,@)

# A stamp that is the same for the same commit: nothing else enters a build.
VERSION := 0.1
COMMIT := $(shell c=$$(git rev-parse --short=12 HEAD 2>/dev/null) || \
	{ echo unknown; exit; }; git diff --quiet HEAD -- 2>/dev/null || \
	c=$$c+changed; echo $$c)

ROOMS := wire schema capture monitor report
SRC := $(wildcard $(ROOMS:%=%/*.c))
EMBED := $(wildcard schema/*.sql report/*.sql report/*.css)
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/bench_*.c))
# What bench_census.py, test_census.py and others run beside the monitor.
MANY := $(patsubst %,build/release/bench/%,manypeers shaker)

# Objects that may call nothing outside PURE_ALLOW: wire/, and the state
# machines and arithmetic of the other rooms.
PURE := $(wildcard wire/*.c) \
	$(patsubst %,schema/%.c,merkle sparse utf8) \
	$(patsubst %,capture/%.c,guess httpmsg packet) \
	$(patsubst %,monitor/%.c,asked asks book bookturn budget due extend hosts jump meter \
		sample session tier vote) \
	$(patsubst %,report/%.c,claimtime estimate verdict)
PURE_ALLOW := mem(cpy|move|set|cmp|chr|rchr)|__mem(cpy|move|set)_chk|str(len|cmp|ncmp)|snprintf|__snprintf_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|SHA(1|256)(_Init|_Update|_Final|_Transform)?|RC4(_set_key)?
BANNED := strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|strtok|tmpnam|mktemp|system|popen

LIBS := libuv libcurl libssl libcrypto sqlite3 libpcap libmaxminddb libseccomp zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
LDLIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lpthread -lm

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wformat=2 -Werror
COMMON := -std=gnu11 -I. $(PKG_CFLAGS) $(WARN) -MMD -MP \
	-DOPENSSL_API_COMPAT=0x10100000L -D_GNU_SOURCE
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection -fPIE
RELEASE := -O2 -g $(HARDEN)
SAN := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -DSW_SANITIZED
FUZZF := -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -DSW_SANITIZED
LINK_RELEASE := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack \
	-Wl,--compress-debug-sections=zlib

CC := gcc
CLANG := clang
# Of schema/lanes.c; there is no such library for other processors.
LDLIBS += $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),-lIPSec_MB)

.PHONY: all check demo bench fuzz layers pure banned install clean deps \
	tests warnings geo FORCE
.DEFAULT_GOAL := all

# --- the program -----------------------------------------------------------

all: deps
	$(Q)$(MAKE) --no-print-directory build/release/swarmwitness

build/release/swarmwitness: $(SRC:%.c=build/release/%.o) build/release/main.o
	@echo "  LINK    $@"
	$(Q)$(CC) $(LINK_RELEASE) -o $@ $^ $(LDLIBS)

build/san/swarmwitness: $(SRC:%.c=build/san/%.o) build/san/main.o
	@echo "  LINK    $@"
	$(Q)$(CC) $(SAN) -o $@ $^ $(LDLIBS)

build/release/%.o: %.c | build/embed
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $(RELEASE) -Ibuild/embed -c -o $@ $<

build/san/%.o: %.c | build/embed
	@echo "  CC san  $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $(SAN) -Ibuild/embed -c -o $@ $<

build/fuzz/%.o: %.c | build/embed
	@echo "  CC fuzz $<"
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(COMMON) $(FUZZF) -Ibuild/embed -c -o $@ $<

build/clang/%.o: %.c | build/embed
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(COMMON) -O1 -Ibuild/embed -c -o $@ $<

# Text that the program carries: schema/evidence.sql becomes evidence_sql[].
build/embed: $(EMBED) build/embed/version.h
	@mkdir -p $@
	$(Q)for f in $(EMBED); do \
		n=$$(basename $$f | tr .- __); \
		{ echo "static const unsigned char $$n[] = {"; \
		  od -An -v -tx1 $$f | sed 's/ \(..\)/0x\1,/g'; \
		  echo "0x00};"; } > $@/$$n.h.new; \
		cmp -s $@/$$n.h.new $@/$$n.h && rm $@/$$n.h.new || \
			mv $@/$$n.h.new $@/$$n.h; \
	done; touch $@

# Looked at again once build/embed is made: what changed is compiled anew.
$(foreach f,$(EMBED),build/embed/$(subst .,_,$(notdir $(f))).h): build/embed ;

build/embed/version.h: FORCE
	@mkdir -p $(@D)
	@{ echo '#define SW_VERSION "$(VERSION)"'; \
	   echo '#define SW_COMMIT "$(COMMIT)"'; } > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# --- tests -----------------------------------------------------------------

build/san/unit/%: build/san/tests/unit/%.o $(SRC:%.c=build/san/%.o)
	@echo "  LINK    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN) -o $@ $^ $(LDLIBS) -lcmocka

build/fuzz/run/%: build/fuzz/tests/fuzz/%.o $(SRC:%.c=build/fuzz/%.o)
	@echo "  LINK    $@"
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZF) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

build/release/bench/%: build/release/tests/bench/%.o $(SRC:%.c=build/release/%.o)
	@echo "  LINK    $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(LINK_RELEASE) -o $@ $^ $(LDLIBS)

.SECONDARY:

tests: $(UNIT:%=build/san/unit/%) build/san/swarmwitness \
	build/release/swarmwitness

# Both compilers, no warning.
warnings: $(SRC:%.c=build/clang/%.o) build/clang/main.o

# All of it, or what the tests need that T names.
NAMED := $(T) $(T:%=test_%)
FUZZERS := $(FUZZ:%=build/fuzz/run/%)
ifeq ($(T),)
NEEDS := tests $(MANY) $(FUZZERS)
else
NEEDS := build/san/swarmwitness build/release/swarmwitness \
	$(patsubst %,build/san/unit/%,$(filter $(UNIT),$(NAMED))) \
	$(if $(filter test_bounds test_census test_faults test_soak,$(NAMED)),$(MANY)) \
	$(if $(filter fuzz,$(T)),$(FUZZERS))
endif

check: deps
	$(Q)$(MAKE) --no-print-directory -j2 warnings $(NEEDS)
	$(Q)tests/run $(T)

fuzz: deps
	$(Q)$(MAKE) --no-print-directory -j2 $(FUZZERS)
	$(Q)FUZZ_S=$(FUZZ_S) tests/fuzz/run

bench: deps
	$(Q)$(MAKE) --no-print-directory -j2 build/release/swarmwitness \
		$(BENCH:%=build/release/bench/%) $(MANY)
	$(Q)tests/bench/run $(T)

demo: all
	$(Q)tests/interop/demo

geo:
	$(Q)tests/geo/fetch

# --- the rules of the house ------------------------------------------------

layers:
	$(Q)tests/layers

pure: $(PURE:%.c=build/release/%.o)
	$(Q)set -e; nm -g --defined-only $^ | awk 'NF == 3 { print $$3 }' | \
		sort -u > build/pure.own; \
	nm -A -u $^ > build/pure.all; \
	awk '{ n = $$NF; if (n !~ /^($(PURE_ALLOW))$$/) \
		print n, $$1 }' build/pure.all > build/pure.calls; \
	sort -u -o build/pure.calls build/pure.calls; \
	if join -v 2 build/pure.own build/pure.calls | grep .; then \
		echo "pure: calls outside the allow-list" >&2; exit 1; fi

# In the source, not the objects: gcc makes a strcpy of a bounded memcpy.
banned:
	$(Q)! grep -nE '(^|[^_a-z0-9])($(BANNED)) *\(' $(SRC) main.c

# --- machine ---------------------------------------------------------------

deps:
	$(Q)tests/deps

install: all
	$(Q)install -D -m 755 build/release/swarmwitness \
		"$(DESTDIR)$(PREFIX)/bin/swarmwitness"
	$(Q)sed 's|/usr/local/|$(PREFIX)/|' docs/swarmwitness@.service | \
		install -D -m 644 /dev/stdin \
		"$(DESTDIR)$(PREFIX)/lib/systemd/system/swarmwitness@.service"
	$(Q)install -D -m 644 docs/swarmwitness.1 \
		"$(DESTDIR)$(PREFIX)/share/man/man1/swarmwitness.1"
	@echo "  INSTALL $(DESTDIR)$(PREFIX)"

clean:
	$(Q)rm -rf build

-include $(wildcard build/*/*/*.d build/*/*.d build/*/tests/*/*.d)
