# fawkes_ha: PGXS for the extension, one rule each for the library, the command
# and the unit tests.  `make help` lists what a person would type.

EXTENSION    = fawkes_ha
# sql/README.md.  A script that CREATE or ALTER EXTENSION runs is these files, in this order; the newest is not released yet.
SCRIPT_1.0      = 1.0/head every/guard 1.0/state 1.0/views 1.0/requests 1.0/rights
SCRIPT_1.0--1.1 = 1.1/head every/guard 1.1/lag 1.1/metrics 1.1/user_metrics 1.1/readonly 1.1/rights
SCRIPT_1.1--1.2 = 1.2/head every/guard 1.2/lag 1.2/views 1.2/metrics 1.2/requests
STEPS        = 1.0 1.0--1.1 1.1--1.2
DATA_built   = $(STEPS:%=build-sql/$(EXTENSION)--%.sql)
MODULE_big   = fawkes_ha
OBJS         = fawkes_ha.o $(patsubst %.c,%.o,$(wildcard src/pg/*.c))
PG_CPPFLAGS  = -I$(srcdir)/src
# No call from us to us goes through the table of symbols: the fence runs at every commit.
PG_CFLAGS    = -Wextra -Wno-unused-parameter -Wno-sign-compare -fno-semantic-interposition $(WERROR) $(MUTANT)
# Debian's PGXS sets no rpath: the library lies beside the extension.
SHLIB_LINK   = -L. -lfawkes_control -Wl,-rpath,'$$ORIGIN' -Wl,-Bsymbolic-functions
REGRESS      = basic rules settings metrics
override with_llvm = no

LIB          = libfawkes_control.so
CLI          = fawkes-ha
LIB_ROOMS    = core base config record http store kube lock peer node show backup
LIB_SOURCES  = $(wildcard $(foreach room,$(LIB_ROOMS),src/$(room)/*.c src/$(room)/*/*.c))
LIB_OBJS     = $(LIB_SOURCES:.c=.o)
CLI_OBJS     = $(patsubst %.c,%.o,$(wildcard src/cli/*.c))
# Those that take the longest begin first, so that none is left alone at the end.
LONGEST      = lock/lock store/http_call torture/torture_node lock/lock_kube node/node_promise kube/kube store/azure node/node \
               store/s3 store/store_dir backup/retention
UNIT_FIRST   = $(LONGEST:%=src/test/%_test)
UNIT         = $(UNIT_FIRST) $(filter-out $(UNIT_FIRST),$(patsubst %.c,%,$(wildcard src/test/*/*_test.c)))
KUBE_SUITE   = src/test/lock/lock_kube_suite
STORE_SUITE  = src/test/store/store_suite
API_LOAD     = src/test/api_load/api_load
PAGE_SERVER  = src/test/page/page_server
BACKUP_INFO  = src/test/interop/backup_info
PACK         = src/test/interop/pack
EXTRA_CLEAN  = build-for build-sql $(LIB) $(LIB_OBJS) $(LIB_OBJS:.o=.d) $(CLI) $(CLI_OBJS) $(CLI_OBJS:.o=.d) $(UNIT) $(KUBE_SUITE) $(STORE_SUITE) $(API_LOAD) $(PAGE_SERVER) $(BACKUP_INFO) $(PACK)

include src/pgxs.mk

WARN   = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
         -Wformat=2 -Wcast-qual -Wwrite-strings
PLAIN  = -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -fvisibility=hidden $(WARN) $(WERROR) $(MUTANT) $(COPT) \
         -DFAWKES_HA_VERSION='"$(VERSION)"' -DFHA_POSTGRES=$(MAJORVERSION) $(LIBPQ_INCLUDE)
# For the command alone.
LIBPQ_INCLUDE = -isystem $(includedir)
SAN    = -fsanitize=address,undefined -fno-sanitize-recover=all
LIBS_CONTROL = -ljson-c -lmicrohttpd -lgnutls -lcurl -lexpat -lyaml -lcrypto -lisal -lz -lzstd -llz4 -lbz2 -llzma
# The version stands in the control file, where CREATE EXTENSION looks for it. What has it compiled in is built anew with it.
VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)
VERSIONED := $(patsubst %.c,%.o,$(shell grep -l FAWKES_HA_VERSION src/*/*.c src/*/*/*.c))
$(VERSIONED) $(foreach build,sanitized fuzz coverage sim,$(addprefix build-$(build)/,$(VERSIONED))): $(EXTENSION).control

# A tree that was built for one server is built anew for another, the library and the command too: what their libpq can do
# differs (FHA_POSTGRES). For clean, the file is of EXTRA_CLEAN.
BUILT_FOR := $(shell $(PG_CONFIG) --version) in $(pkglibdir)
build-for: $(if $(filter-out 0,$(shell echo '$(BUILT_FOR)' | cmp -s - build-for; echo $$?)),build-for-another)
	@echo '$(BUILT_FOR)' >$@
$(OBJS) $(LIB_OBJS) $(CLI_OBJS) $(CLI): build-for
.PHONY: build-for-another

all: $(LIB) $(CLI)
$(MODULE_big).so: $(LIB)
$(OBJS): $(wildcard src/*/*.h src/*/*/*.h src/*/*.def)

# An empty line between two files: the scripts of released versions are, byte for byte, as they were written.
$(foreach step,$(STEPS),$(eval build-sql/$(EXTENSION)--$(step).sql: $(SCRIPT_$(step):%=sql/%.sql)))
$(DATA_built): Makefile
	@mkdir -p $(@D)
	@awk 'FNR == 1 && NR > 1 { print "" } 1' $(filter %.sql,$^) >$@

# An include names its room; which room may include which is in src/README.md.
$(LIB_OBJS) $(CLI_OBJS): %.o: %.c
	$(CC) $(PLAIN) -MMD -MP -Isrc -c -o $@ $<
# The assembler puts the status page's files into it.
src/show/page.o build-sanitized/src/show/page.o: $(wildcard src/show/page/*)
# -z defs: not one symbol of PostgreSQL can hide in the library.
$(LIB): $(LIB_OBJS)
	$(CC) $(COPT) -shared -Wl,-soname,$@ -Wl,-z,defs -o $@ $^ $(LIBS_CONTROL)
# The libpq of the PostgreSQL that it is built for; where the system looks by itself needs no path.
LIBPQ_RPATH = $(addprefix :,$(filter-out /usr/lib /usr/lib/%-linux-gnu,$(libdir)))
$(CLI): $(CLI_OBJS) $(LIB)
	$(CC) $(COPT) -o $@ $(CLI_OBJS) -L. -lfawkes_control -lcrypto -L$(libdir) -lpq -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib:$(pkglibdir)$(LIBPQ_RPATH)'
-include $(LIB_OBJS:.o=.d) $(CLI_OBJS:.o=.d)

# Unit tests have the sources in them: unexported functions, sanitised.
SANITIZED = $(patsubst %.c,build-sanitized/%.o,$(LIB_SOURCES))
build-sanitized/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(PLAIN) $(SAN) -fno-omit-frame-pointer -MMD -MP -Isrc -c -o $@ $<
$(UNIT) $(KUBE_SUITE) $(STORE_SUITE): %: build-sanitized/%.o $(SANITIZED)
	@echo '  LD  $@'
	@$(CC) $(SAN) $(call wraps,$@) -o $@ $^ $(UNIT_LIBS)
UNIT_LIBS = -lcmocka -lssl $(LIBS_CONTROL)
comma = ,
# What the linker replaces in a program, by the test's name; for coverage too.
wraps = $(patsubst %,-Wl$(comma)--wrap=%,$(WRAPS_$(notdir $1)))
# No memory and a failing disk, everywhere in turn.
TORTURED = $(addprefix src/test/torture/torture,_test _node_test _kube_test _store_test _archive_test)
TORTURE_OBJ = build-sanitized/src/test/torture/torture.o
$(TORTURED): $(TORTURE_OBJ)
TORTURE_WRAPS = strdup open openat close read write pwrite fsync rename mkdir fstat linkat getdents64 getrandom
WRAPS_torture_test = $(TORTURE_WRAPS)
WRAPS_torture_kube_test = $(TORTURE_WRAPS)
WRAPS_torture_store_test = $(TORTURE_WRAPS) pread mkdirat fstatat renameat unlinkat ftruncate fdopendir readdir
WRAPS_torture_archive_test = $(TORTURE_WRAPS) pread fstatat fha_now_ms fha_store_open pthread_create
WRAPS_torture_node_test = $(TORTURE_WRAPS) fha_now_ms
# The lock's suite gets between a scan, a link and their neighbours, and lets memory run out; on a real
# API server, which test/test_kube_lock.py starts, it gets between a call and its sending.
WRAPS_lock_test = linkat getdents64 geteuid fchown malloc realloc
WRAPS_lock_kube_suite = fha_kube_start
WRAPS_lock_kube_test = fha_kube_start fha_now_ms
# Calls of an object store whose pauses pass as they are waited for.
WRAPS_store_test = fha_now_ms poll
# WAL out of an archive whose pauses pass as they are waited for.
WRAPS_fetch_test = fha_now_ms
WRAPS_inventory_test = fha_now_ms poll
WRAPS_prune_test = fha_now_ms poll
# Calls of a store that are counted.
WRAPS_base_backup_test = fha_store_start
# A directory whose disk does as the test says, and flushes nothing.
WRAPS_store_dir_test = fsync pread pwrite linkat renameat renameat2 open geteuid fchown pthread_create
# The archive on a store in memory, in played time.
WRAPS_archive_test = fha_store_open fha_now_ms fha_packer_start
# A deadline comes when the test says so.
WRAPS_server_test = fha_now_ms
WRAPS_azure_token_test = fha_now_ms
# Nodes whose time passes with their turns, and whose lock and disk answer at once.
PLAYED_WRAPS = fha_now_ms fha_lock_open fha_writer_start fha_writer_step fsync
WRAPS_node_test = $(PLAYED_WRAPS)
WRAPS_node_promise_test = $(PLAYED_WRAPS)
WRAPS_node_vitals_test = $(PLAYED_WRAPS)

.PHONY: unit-commands
# The same for test/mutants.py, which compiles and links without asking make each time.
unit-commands:
	$(info compile $(CC) $(PLAIN) $(SAN) -Isrc)
	$(info library $(SANITIZED))
	$(info libraries $(UNIT_LIBS))
	$(foreach test,$(UNIT),$(info link $(test) $(CC) $(SAN) $(call wraps,$(test)) build-sanitized/$(test).o $(if $(filter $(test),$(TORTURED)),$(TORTURE_OBJ))))
	@:

# Many clusters on one API server, for test/bench_api.py: our own code as it is released, no sanitizer.
$(API_LOAD): src/test/api_load/api_load.c $(LIB_OBJS)
	@echo '  CC  $@'
	@$(CC) $(PLAIN) -Isrc -Wl,--wrap=fha_lock_start,--wrap=fha_lock_step -o $@ $^ $(LIBS_CONTROL)

# The status page of a file, for test/test_page.py.
$(PAGE_SERVER): src/test/page/page_server.c $(LIB_OBJS)
	@echo '  CC  $@'
	@$(CC) $(PLAIN) -Isrc -o $@ $^ $(LIBS_CONTROL)

# A backup.info, read and written again, for test/test_barman.py.
$(BACKUP_INFO): src/test/interop/backup_info.c $(LIB_OBJS)
	@echo '  CC  $@'
	@$(CC) $(PLAIN) -Isrc -o $@ $^ $(LIBS_CONTROL)

# Streams of backups, for test/test_backup_streams.py.
$(PACK): src/test/interop/pack.c $(LIB_OBJS)
	@echo '  CC  $@'
	@$(CC) $(PLAIN) -Isrc -o $@ $^ $(LIBS_CONTROL)

install: install-control
install-control: $(LIB) $(CLI)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)' '$(DESTDIR)$(bindir)'
	$(INSTALL_SHLIB) $(LIB) '$(DESTDIR)$(pkglibdir)/$(LIB)'
	$(INSTALL_PROGRAM) $(CLI) '$(DESTDIR)$(bindir)/$(CLI)'
uninstall: uninstall-control
uninstall-control:
	rm -f '$(DESTDIR)$(pkglibdir)/$(LIB)' '$(DESTDIR)$(bindir)/$(CLI)'

include src/test/targets.mk
include src/test/robustness.mk
include src/test/sim.mk
