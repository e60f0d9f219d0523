/*
 * planted.c: the negative control of the sanitized supervisor: faults for its sanitizers to see, one
 * that FAWKES_PLANTED names, whenever the supervisor releases the ownership lock.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"

void __real_fha_node_close(FhaNode *node);
void __wrap_fha_node_close(FhaNode *node);

void
__wrap_fha_node_close(FhaNode *node)
{
	const char *planted = getenv("FAWKES_PLANTED");
	volatile int number = INT_MAX;
	static void *volatile kept;

	__real_fha_node_close(node);
	if (node == NULL || planted == NULL)
		return;
	if (strcmp(planted, "use after free") == 0)
		number = *(volatile char *) node; /* analyzer: planted */
	else if (strcmp(planted, "overflow") == 0)
		number = number + 1;
	else if (strcmp(planted, "leak") == 0)
	{
		kept = malloc(77);
		kept = NULL;
		number = kept == NULL;
	}
}
