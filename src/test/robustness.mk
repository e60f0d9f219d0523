# Fuzzing, static analysis, coverage, and the supervisor under sanitizers: docs/testing.md.
# What these builds make lies in build-*/, apart from what is installed.

# --- fuzzing: one file is one target, src/test/fuzz/NAME_fuzz.c with its inputs in corpus/NAME.
# What a target defines itself stands for what the sources have under that name (muldefs).
FUZZ_CC      = clang-14
FUZZ_SAN     = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS   = -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra $(FUZZ_SAN) $(MUTANT)
FUZZ_TARGETS = $(patsubst src/test/fuzz/%.c,build-fuzz/%,$(wildcard src/test/fuzz/*_fuzz.c))
FUZZ_OBJS    = $(patsubst %.c,build-fuzz/%.o,$(LIB_SOURCES) $(filter-out src/cli/main.c,$(wildcard src/cli/*.c)))

build-fuzz/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -DFAWKES_HA_VERSION='"$(VERSION)"' -DFHA_POSTGRES=$(MAJORVERSION) $(LIBPQ_INCLUDE) -Isrc -c -o $@ $<
build-fuzz/lib.a: $(FUZZ_OBJS)
	@rm -f $@ && ar qcs $@ $^
build-fuzz/%_fuzz: src/test/fuzz/%_fuzz.c src/test/fuzz/fuzz.h src/cli/main.c build-fuzz/lib.a
	@echo '  FUZZ  $*'
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -Wl,-z,muldefs -Isrc -I$(shell $(PG_CONFIG) --includedir) -o $@ $< build-fuzz/lib.a $(LIBS_CONTROL) -lpq
-include $(FUZZ_OBJS:.o=.d)

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

# --- the supervisor with ASan and UBSan, the library's sources in it: the agent's plain library, in a
# plain postgres, is another matter.  PostgreSQL's programs are the installed ones.
SANITIZED_OBJS = $(SANITIZED) $(patsubst %.c,build-sanitized/%.o,$(wildcard src/cli/*.c) src/test/sanitized/planted.c)
build-sanitized/fawkes-ha: $(SANITIZED_OBJS)
	@$(CC) $(SAN) -Wl,--wrap=fha_node_close -o $@ $^ $(LIBS_CONTROL) -L$(libdir) -lpq
-include $(wildcard build-sanitized/src/*/*.d build-sanitized/src/*/*/*.d)

check-sanitized:
	$(LAB) -m pytest -p no:cacheprovider -q -rfEs test/test_sanitized.py

# --- coverage of the library by the unit tests.  A line that none can reach is excused in itself,
# with the reason: LCOV_EXCL_LINE: WHY (LCOV_EXCL_START: WHY ... LCOV_EXCL_STOP for several).
COVERED_OBJS  = $(patsubst %.c,build-coverage/%.o,$(LIB_SOURCES) src/test/coverage.c)
COVERED_TESTS = $(patsubst src/test/%,build-coverage/%,$(UNIT))
# Counts of two threads are exact: gcov may print others as negative, which gcovr does not read.
COVERAGE      = --coverage -fprofile-update=atomic -O0 -g -std=c11 -D_GNU_SOURCE -fvisibility=hidden -DFAWKES_HA_VERSION='"$(VERSION)"' -DFHA_POSTGRES=$(MAJORVERSION)
CORE_LINES    = 100
ROOM_LINES    = 99
GCOVR         = gcovr --root . --object-directory build-coverage --exclude-throw-branches -e src/test

build-coverage/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(COVERAGE) -MMD -MP -Isrc -c -o $@ $<
-include $(COVERED_OBJS:.o=.d)
$(COVERED_TESTS): build-coverage/%: src/test/%.c $(COVERED_OBJS)
	@mkdir -p $(@D)
	@$(CC) $(COVERAGE) -fno-profile-arcs -fno-test-coverage -Isrc -Wl,--wrap=_exit,--wrap=kill $(call wraps,$@) $(if $(findstring torture,$@),src/test/torture/torture.c) -o $@ $< $(COVERED_OBJS) --coverage -lcmocka -lssl $(LIBS_CONTROL)
coverage: $(COVERED_TESTS)
	@find build-coverage -name '*.gcda' -delete
	@! grep -nE '(L|G)COVR?_EXCL_[A-Z_]*(LINE|START)' $(LIB_SOURCES) | grep -vE 'LCOV_EXCL_(LINE|START): [a-zA-Z]' || { echo 'an exception without its reason'; exit 1; }
	@CMOCKA_MESSAGE_OUTPUT=TAP prove $(PROVE) --exec '' $(COVERED_TESTS) >build-coverage/tests.log 2>&1 || { cat build-coverage/tests.log; exit 1; }
	@$(GCOVR) -f src/core --fail-under-line $(CORE_LINES)
	@$(GCOVR) $(addprefix -f src/,$(filter-out core,$(LIB_ROOMS))) --fail-under-line $(ROOM_LINES)
	@echo Branches: && $(GCOVR) --branches $(addprefix -f src/,$(LIB_ROOMS)) | grep -E '^(TOTAL|File|src)' | cut -c1-70

.PHONY: fuzz fuzz-short analyze check-sanitized coverage
