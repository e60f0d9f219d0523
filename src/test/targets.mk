# What a person or CI checks and measures; included by the Makefile.

# Names what fails; the programs mostly wait.
PROVE = --failures --comments -j$(PROGRAMS)
PROGRAMS = 6
check-unit: $(UNIT)
	@CMOCKA_MESSAGE_OUTPUT=TAP prove $(PROVE) --exec '' $(UNIT)

# Which room may include which is in src/README.md; core may call nothing but itself and mem*/str*.
# The laws of names are in CONTRIBUTING.md.
check-layers: $(LIB_OBJS)
	@$(PYTHON) test/layers.py
	@$(PYTHON) test/names.py
	@bad=$$(nm -u src/core/*.o | awk '/ U /{print $$2}' | grep -vE '^(mem|str|fha_|_GLOBAL_OFFSET_TABLE_)' || true); \
	if [ -n "$$bad" ]; then echo "src/core calls: $$bad"; exit 1; fi

FORMATTED = $(wildcard *.c src/*/*.[ch] src/*/*/*.[ch])
format:
	@clang-format-14 -i $(FORMATTED)
format-check:
	@echo '  clang-format-14 over $(words $(FORMATTED)) files'
	@clang-format-14 --dry-run --Werror $(FORMATTED)

# These want the installed extension, an ordinary user and Debian's own python3;
# ./check sees to all of it.
PYTHON = /usr/bin/python3
LAB    = PYTHONPATH=test PG_CONFIG=$(shell command -v $(PG_CONFIG)) $(PYTHON)
PGTAP  = $(wildcard src/test/pgtap/*.sql)
# Tests mostly wait, so that more workers than cores are busy; each takes a file at a time.  WORKERS=0: in order, in one process.
WORKERS      = 3
KUBE_WORKERS = 2
TEST_LIMIT   = 300
RUN_PYTEST   = $(LAB) -m pytest -p no:cacheprovider -q -rfEs --timeout=$(TEST_LIMIT) --timeout-method=signal
IN_PARALLEL  = $(if $(filter-out 0,$(1)),-n $(1) --dist loadfile)
check-regress:
	$(LAB) -m lab.plain $(MAKE) --no-print-directory installcheck || { cat regression.diffs 2>/dev/null; exit 1; }
check-pgtap:
	@test -n "$(PGTAP)" || { echo "no test in src/test/pgtap"; exit 1; }
	$(LAB) -m lab.plain pg_prove --failures --comments $(PGTAP)
check-behaviour: $(STORE_SUITE)
	$(RUN_PYTEST) $(call IN_PARALLEL,$(WORKERS)) --durations=10 -m 'not long and not kube' test $(PYTEST)
# A control plane of Kubernetes, whose binary test/install.sh has built.
check-kube: $(KUBE_SUITE)
	$(RUN_PYTEST) $(call IN_PARALLEL,$(KUBE_WORKERS)) --durations=10 -m 'kube and not long' test $(PYTEST)
# What one server shows of the fence, and a failover of each kind: for versions besides the main one.
SHORT = test_fence.py test_requests.py test_metrics.py $(addprefix test_failover.py::test_,killed_postmaster_loses_no_row \
        killed_node_is_replaced_and_rejoins stopped_primary_acknowledges_nothing_when_it_wakes \
        switchover_loses_no_row all_nodes_agree_when_nobody_writes)
SHORT += test_archive.py::test_one_member_archives
SHORT += $(if $(filter 18,$(MAJORVERSION)),test_since_18.py)
check-behaviour-short:
	$(RUN_PYTEST) $(call IN_PARALLEL,$(WORKERS)) --durations=5 $(addprefix test/,$(SHORT))

# The table of settings in the reference, out of src/config/settings.def.
reference:
	@$(PYTHON) test/settings_table.py

# As an ordinary user, on what is installed, with chromium.
page-picture:
	$(LAB) test/page_picture.py docs/status-page.png

# Random faults, each judged: SEED=n for the same ones again, FAULTS='kill-node ...' for those alone.
EVENTS = 200
CHAOS  = $(if $(LOCK),--lock $(LOCK)) $(if $(MEMBERS),--members $(MEMBERS)) $(if $(MINUTES),--minutes $(MINUTES)) --events $(EVENTS) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON)) $(FAULTS)
chaos:
	test/install.sh bench$(if $(filter kubernetes,$(LOCK)),-kube) chaos.py $(CHAOS)
# What takes minutes, as an ordinary user.
check-long: src/test/core/decide_test
	src/test/core/decide_test each
	$(LAB) -m pytest -p no:cacheprovider -q -rfEs --durations=10 -m long test $(PYTEST)
	$(LAB) test/chaos.py $(CHAOS)

# What needs no server: seconds, before every commit.
check-short: check-layers format-check check-unit

# Every safety rule has a mutant that breaks it, and a test that notices: docs/mutants.md.
mutants:
	$(LAB) test/mutants.py
mutants-short:
	$(LAB) test/mutants.py --short

# PGXS has a rule of that name, which only says no: replaced when it is asked for, so
# that make warns about it at no other time.
ifneq ($(filter check,$(MAKECMDGOALS)),)
check:
	./check
endif

# Every test of a server, with each of the other versions.
check-versions:
	./check versions
# The newest drivers of five kinds through a failover; network is needed to prepare them: not in ./check.
check-drivers:
	test/drivers.sh
# Debian 13's 17, in a folder of some 1.5 GB.  Minutes, and it wants a Debian mirror: not in ./check.
check-pg17:
	test/pg17.sh
# On a bare Debian 12 in a folder, as root; STAGES='unit behaviour' runs these alone.
check-fresh:
	test/fresh.sh $(STAGES)
# Debian packages, in a copy; the test of them installs these into a bare Debian 12 in a folder: minutes, and it wants a Debian
# mirror: not in ./check.
deb:
	@test/deb.sh build
check-deb:
	@test/deb.sh check
# Beside four processes that do nothing but compute: as on a machine that has other work.
check-busy:
	@test/busy.sh 4 $(MAKE) --no-print-directory check-behaviour
demo:
	./demo
# Real kubelets and pods, as root: the bed itself, and the cluster of deploy/ in it.
e2e-bed:
	test/e2e.sh e2e_bed.py
RUNS = 5
e2e:
	test/e2e.sh e2e.py --runs $(RUNS) $(if $(LEASE),--lease $(LEASE)) $(if $(JSON),--json $(abspath $(JSON))) $(FAULTS)
bench-failover:
	test/install.sh bench bench_failover.py --runs $(RUNS) $(if $(JSON),--json $(JSON))
# The one window in which a stopped process may acknowledge late, in nanoseconds.
bench-window:
	test/install.sh bench bench_window.py $(if $(JSON),--json $(JSON))
STARTS = 12
bench-fence: SECONDS = 3
bench-fence:
	test/install.sh bench bench_fence.py --starts $(STARTS) --seconds $(SECONDS) $(if $(DIR),--dir $(DIR)) $(if $(JSON),--json $(JSON))
# Under valgrind, whatever else the machine does.
bench-fence-instructions:
	test/install.sh bench bench_instructions.py $(if $(DIR),--dir $(DIR)) $(if $(JSON),--json $(JSON))
bench-idle: SECONDS = 60
bench-idle:
	test/install.sh bench bench_idle.py --seconds $(SECONDS) $(if $(JSON),--json $(JSON))
bench-exporter: SECONDS = 10
bench-exporter: PAIRS = 10
bench-exporter:
	test/install.sh bench bench_exporter.py --pairs $(PAIRS) --seconds $(SECONDS) $(if $(JSON),--json $(JSON))
CLUSTERS = 50
bench-api: SECONDS = 60
bench-api:
	test/install.sh bench-kube bench_api.py --clusters $(CLUSTERS) --seconds $(SECONDS) $(if $(JSON),--json $(JSON))

help:
	@echo 'make                 build the library, the extension and the command'
	@echo 'make install         install them where pg_config points'
	@echo 'make uninstall       remove what install put there'
	@echo 'make demo            three nodes, four ways to lose a primary (./demo)'
	@echo 'make check           every test; installs what it needs (./check, or ./check STAGE... for some of it)'
	@echo 'make check-versions  every test of a server with PostgreSQL 16 and 18; ./check has a short form'
	@echo 'make check-pg17      the same with PostgreSQL 17, as root, in a folder with Debian 13'
	@echo 'make check-drivers   psycopg, asyncpg, pgx, node-postgres and pgjdbc with HikariCP through switchover, kill,'
	@echo '                     restart and a frozen node; fetches them once'
	@echo "make check-fresh     ./check on a bare Debian 12 that it makes in a folder, as root; STAGES='unit ...' for some of it"
	@echo 'make deb             packages for Debian 12, by debian/, in a copy of the tree; says where they are'
	@echo 'make check-deb       the same, with lintian, and one member from them in a bare Debian 12, as root'
	@echo 'make check-busy      the tests of behaviour beside four processes that only compute'
	@echo 'make check-short     layers, format and unit tests: seconds, no server'
	@echo 'make check-unit, check-layers, format-check, check-regress, check-pgtap, check-behaviour, check-kube'
	@echo '                     one stage of the check; PYTEST="-k NAME" for one test of behaviour'
	@echo 'make check-behaviour-short  what one server shows of the fence, and one failover of each kind'
	@echo 'make chaos           EVENTS [200] random faults on three nodes, each judged; SEED=n repeats them,'
	@echo "                     FAULTS='kill-node stop-node' takes those alone; installs what it needs"
	@echo '                     LOCK=links or kubernetes: members are cut off the lock and lead by promises;'
	@echo '                     MEMBERS=4, MINUTES=20 (no event is begun after)'
	@echo 'make sim             the node loop of whole clusters in simulated time: COUNT [100] scenarios from SEED [1] on;'
	@echo '                     SIM=-t: with the trace, SIM=-r: each twice, the traces must be the same,'
	@echo '                     SIM=-h: prints a hash of each trace'
	@echo 'make check-sim       2,000 scenarios and more on all cores, from seed 1 on and from a new one, or SEED=n'
	@echo 'make sim-long        new ones for HOURS, or COUNT of them'
	@echo "make sim-mutants     the rules whose removal the simulation notices; MUTANTS='S7 ...': those mutants"
	@echo 'make check-long      what takes minutes, as an ordinary user, on what is installed: each world of the rules, attacks, chaos'
	@echo 'make mutants         each safety rule is broken, and the test that guards it must notice'
	@echo 'make mutants-short   the quick ones of them, for CI'
	@echo 'make fuzz            new inputs for each parser, SECONDS each [60]'
	@echo 'make fuzz-short      the same for 5 seconds'
	@echo 'make coverage        lines and branches of the library that the unit tests reach'
	@echo 'make check-sanitized  the supervisor with ASan and UBSan through failover, rewind and clone'
	@echo 'make analyze         gcc -fanalyzer, clang --analyze, cppcheck, shellcheck, pyflakes'
	@echo 'make reference       the table of settings in docs/reference.md, out of src/config/settings.def'
	@echo 'make page-picture    the picture of the status page in the README, as an ordinary user, with chromium'
	@echo 'make format          clang-format-14 over everything'
	@echo 'make e2e             the cluster of deploy/ on four real nodes, as root: each event RUNS times [5];'
	@echo "                     FAULTS='delete-pod ...' takes those alone, LEASE=6/4/1 other times"
	@echo 'make e2e-bed         those nodes alone: what the tests take for granted of them'
	@echo 'make bench-failover  each event RUNS times [5]; JSON=FILE appends the figures'
	@echo 'make bench-window    nanoseconds from the last test of the lease to the send; JSON=FILE too'
	@echo 'make bench-fence     CPU time per transaction with the fence and without, STARTS [12] of both servers with four runs'
	@echo '                     of SECONDS [3]; TPS; its nanoseconds per commit; on a tmpfs, DIR [/dev/shm/fawkes-bench]'
	@echo 'make bench-fence-instructions  instructions per transaction with the extension and without, by valgrind'
	@echo 'make bench-idle      CPU, wake-ups and memory of our processes in an idle cluster, SECONDS [60]'
	@echo 'make bench-exporter  a scrape of 1,000 tables in five databases, and what ten a second take from pgbench,'
	@echo '                     in PAIRS [10] of runs of SECONDS [10]'
	@echo 'make bench-api       requests and CPU that a cluster costs a real API server, and renewals of'
	@echo '                     CLUSTERS [50] of three members on it, SECONDS [60] each; builds Kubernetes'

.PHONY: check-unit check-layers format format-check check-regress check-pgtap check-behaviour check-kube \
        check-behaviour-short check-versions check-drivers check-pg17 check-fresh deb check-deb check-busy check-short check-long chaos mutants reference page-picture \
        mutants-short check demo e2e e2e-bed bench-failover bench-window bench-fence bench-fence-instructions bench-idle bench-exporter bench-api help
