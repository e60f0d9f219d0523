# The deterministic simulation: whole clusters of the real node loop in simulated time.  docs/testing.md
# says what it is.  Objects lie in build-sim/: those of the library, without what src/test/sim replaces.
SIM_REPLACED = $(addprefix src/control/,clock.c lock_dir.c ask.c writer.c)
SIM_OBJS     = $(patsubst %.c,build-sim/%.o,$(filter-out $(SIM_REPLACED),$(LIB_SOURCES)) $(wildcard src/test/sim/*.c))

build-sim/src/%.o: src/%.c
	@mkdir -p $(@D)
	@$(CC) $(PLAIN) -MMD -Isrc/core -Isrc/control -Isrc/test/sim -c -o $@ $<
build-sim/src/control/page.o: $(wildcard src/control/page/*)
build-sim/sim: $(SIM_OBJS)
	@echo '  LD  $@'
	@$(CC) -o $@ $^ $(LIBS_CONTROL)
-include $(wildcard build-sim/src/*/*.d build-sim/src/test/sim/*.d)

sim: SEED = 1
sim: COUNT = 100
sim: build-sim/sim
	@build-sim/sim $(SIM) $(SEED) $(COUNT)

.PHONY: sim
