# PGXS of the server that PG_CONFIG names; included by each Makefile that builds a
# module for it.

PG_CONFIG  ?= pg_config
PGXS       := $(wildcard $(shell $(PG_CONFIG) --pgxs))
ifneq ($(PGXS),)
include $(PGXS)
else
# What needs no server, `make help` for example, goes on.
all install uninstall installcheck: no-server
no-server:
	@echo '"$(PG_CONFIG)" names no PGXS: install postgresql-server-dev-NN, or give PG_CONFIG=/path/to/pg_config' >&2
	@false
.PHONY: no-server
endif

# A server built with a newer gcc asks for warnings that this compiler may not know.
NEWER_WARNINGS = -Wmissing-variable-declarations
ifneq ($(filter $(NEWER_WARNINGS),$(CFLAGS)),)
ifneq ($(shell $(CC) $(NEWER_WARNINGS) -x c -fsyntax-only /dev/null 2>&1),)
override CFLAGS := $(filter-out $(NEWER_WARNINGS),$(CFLAGS))
endif
endif
