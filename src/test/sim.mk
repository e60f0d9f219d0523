# The deterministic simulation: whole clusters of the real node loop in simulated time.  docs/testing.md
# says what it is.  Objects lie in build-sim/: those of the library, without what src/test/sim replaces.
SIM_REPLACED = $(addprefix src/,base/writer.c lock/dir/driver.c peer/client.c)
# What sim_same.c computes once; and the calls by which a file changes, for sim_disk.c.
SIM_WRAPPED  = PKCS5_PBKDF2_HMAC fha_cluster_parse fha_member_parse fha_record_owner fha_json_finish \
               open write fsync close rename unlink
SIM_OBJS     = $(patsubst %.c,build-sim/%.o,$(filter-out $(SIM_REPLACED),$(LIB_SOURCES)) $(wildcard src/test/sim/*.c))
comma        = ,
SIM_LINK     = $(CC) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPPED)) -o $@

build-sim/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(PLAIN) -MMD -MP -Isrc -c -o $@ $<
build-sim/src/show/page.o: $(wildcard src/show/page/*)
build-sim/sim: $(SIM_OBJS)
	@echo '  LD  $@'
	@$(SIM_LINK) $^ $(LIBS_CONTROL)
-include $(SIM_OBJS:.o=.d)

sim: SEED = 1
sim: COUNT = 100
sim: build-sim/sim
	@build-sim/sim $(SIM) $(SEED) $(COUNT)

# As a stage of ./check, for hours, and with one rule of the product removed: test/simulation.py.
SIMULATION = PYTHONPATH=test $(PYTHON) test/simulation.py
# A test of behaviour may be building it too.
check-sim:
	@flock . $(MAKE) --no-print-directory build-sim/sim
	@$(SIMULATION) check $(if $(SEED),--seed $(SEED))
sim-long: build-sim/sim
	@$(SIMULATION) long $(if $(SEED),--seed $(SEED)) $(if $(HOURS),--hours $(HOURS)) $(if $(COUNT),--count $(COUNT))
sim-mutants: build-sim/sim
	@$(SIMULATION) mutants $(if $(COUNT),--count $(COUNT)) $(if $(WRITE),--write) $(if $(MUTANTS),-k $(MUTANTS))

# simulation.py writes the sources $(MUTATED) into that folder, changed; they stand for the library's.
build-sim/mutant-%/sim: $(SIM_OBJS)
	@for source in $(MUTATED:.c=); do $(CC) $(PLAIN) -Isrc -c -o $(@D)/$$source.o $(@D)/$$source.c || exit 1; done
	@$(SIM_LINK) $(filter-out $(MUTATED:%.c=build-sim/%.o),$^) $(MUTATED:%.c=$(@D)/%.o) $(LIBS_CONTROL)

.PHONY: sim check-sim sim-long sim-mutants
