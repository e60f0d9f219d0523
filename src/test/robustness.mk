# Fuzzing, static analysis, coverage, and the supervisor under sanitizers: docs/testing.md.
# What these builds make lies in build-*/, apart from what is installed.

# --- fuzzing: one file is one target, src/test/fuzz/NAME_fuzz.c with its inputs in corpus/NAME
FUZZ_CC      = clang-14
FUZZ_SAN     = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS   = -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra $(FUZZ_SAN) $(MUTANT)
FUZZ_TARGETS = $(patsubst src/test/fuzz/%.c,build-fuzz/%,$(wildcard src/test/fuzz/*_fuzz.c))
FUZZ_OBJS    = $(patsubst %.c,build-fuzz/%.o,$(LIB_SOURCES) $(filter-out src/cli/main.c,$(wildcard src/cli/*.c)))

build-fuzz/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -DFAWKES_HA_VERSION='"$(VERSION)"' -Isrc/core -Isrc/control -Isrc/cli -c -o $@ $<
build-fuzz/lib.a: $(FUZZ_OBJS)
	@rm -f $@ && ar rcs $@ $^
build-fuzz/%_fuzz: src/test/fuzz/%_fuzz.c src/test/fuzz/fuzz.h src/cli/main.c build-fuzz/lib.a
	@echo '  FUZZ  $*'
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -Isrc/core -Isrc/control -Isrc/cli -I$(shell $(PG_CONFIG) --includedir) -o $@ $< build-fuzz/lib.a $(LIBS_CONTROL) -lpq
-include $(wildcard build-fuzz/src/*/*.d)

# Every input that is kept, then SECONDS of new ones for each target.  Whatever breaks a target is
# left in build-fuzz/ as NAME-crash-...: once it is mended, that file belongs into the corpus.
SECONDS = 60
fuzz: $(FUZZ_TARGETS)
	@src/test/fuzz/run.sh $(SECONDS) $(patsubst build-fuzz/%_fuzz,%,$(FUZZ_TARGETS))
fuzz-short:
	@$(MAKE) --no-print-directory -j2 fuzz SECONDS=5

# --- static analysis: no findings, or the reason in the line
analyze:
	@src/test/analyze.sh $(PG_CONFIG)

.PHONY: fuzz fuzz-short analyze
