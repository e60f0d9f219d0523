# What a person or CI checks and measures; included by the Makefile.

check-unit: $(UNIT)
	CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(UNIT)

# core may call nothing but itself and mem*/str*.
check-layers: $(LIB_OBJS)
	@bad=$$(nm -u src/core/*.o | awk '/ U /{print $$2}' | grep -vE '^(mem|str|fha_|_GLOBAL_OFFSET_TABLE_)' || true); \
	if [ -n "$$bad" ]; then echo "src/core calls: $$bad"; exit 1; fi

FORMATTED = $(wildcard *.c src/*/*.c src/*/*.h src/test/*/*.c src/test/*/*.h)
format:
	clang-format-14 -i $(FORMATTED)
format-check:
	clang-format-14 --dry-run --Werror $(FORMATTED)

.PHONY: check-unit check-layers format format-check
