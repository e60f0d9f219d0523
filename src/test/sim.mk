# The deterministic simulation: whole clusters of the real node loop in simulated time.  docs/testing.md
# says what it is.  Objects lie in build-sim/: those of the library, without what src/test/sim replaces.
SIM_REPLACED = $(addprefix src/,base/writer.c lock/dir/driver.c peer/client.c)
# What sim_same.c computes once.
SIM_WRAPPED  = PKCS5_PBKDF2_HMAC fha_cluster_parse fha_member_parse fha_record_owner fha_json_finish
SIM_OBJS     = $(patsubst %.c,build-sim/%.o,$(filter-out $(SIM_REPLACED),$(LIB_SOURCES)) $(wildcard src/test/sim/*.c))
comma = ,

build-sim/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(PLAIN) -MMD -MP -Isrc -c -o $@ $<
build-sim/src/show/page.o: $(wildcard src/show/page/*)
build-sim/sim: $(SIM_OBJS)
	@echo '  LD  $@'
	@$(CC) $(addprefix -Wl$(comma)--wrap=,$(SIM_WRAPPED)) -o $@ $^ $(LIBS_CONTROL)
-include $(SIM_OBJS:.o=.d)

sim: SEED = 1
sim: COUNT = 100
sim: build-sim/sim
	@build-sim/sim $(SIM) $(SEED) $(COUNT)

.PHONY: sim
