/*
 * last_words.c: why a server did not come up, for its supervisor.
 *
 * PostgreSQL says it in its log alone, which a person who looks at another member does not have before
 * them. The two processes without which no server comes up leave it in the supervisor's page.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "pg/fence.h"
#include "pg/last_words.h"

static emit_log_hook_type next_hook = NULL;

static void
keep_last_words(ErrorData *error)
{
	if (error->elevel >= FATAL && error->message != NULL &&
		(MyProcPid == PostmasterPid || AmStartupProcess()))
		strlcpy(fence_watermark->last_words, error->message, sizeof(fence_watermark->last_words));
	if (next_hook != NULL)
		next_hook(error);
}

void
last_words_install_hook(void)
{
	if (fence_watermark == NULL)
		return;
	next_hook = emit_log_hook;
	emit_log_hook = keep_last_words;
}
