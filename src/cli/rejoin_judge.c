/*
 * rejoin_judge.c: what a failed program said.  What follows is decided in core/rewind.h.
 *
 * pg_rewind wants a session of SQL, which the leader may refuse for as long as nobody looks: all
 * connections are in use, the database is gone, a right is missing.  A clone comes in as a standby
 * does, and needs none of that.  So what is refused again and again is a reason to clone; what did
 * not reach the leader never is, because copying everything would not either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/rejoin_internal.h"
#include "config/state_directory.h"
#include "node/state.h"

static bool
has_one(const char *words, const char *const signs[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strstr(words, signs[i]) != NULL)
			return true;
	return false;
}

#define HAS_ONE(words, signs) has_one(words, signs, sizeof(signs) / sizeof((signs)[0]))

bool
rejoin_is_refusal(const char *words)
{
	static const char *const answers[] = {"FATAL:", "permission denied", "must be a superuser"};
	/* Its answers, too, and each passes, or would meet a clone as well. */
	static const char *const passes[] = {"is starting up",
										 "is shutting down",
										 "in recovery mode",
										 "not yet accepting connections",
										 "may not act as the primary",
										 "password authentication",
										 "terminating connection"};

	return HAS_ONE(words, answers) && !HAS_ONE(words, passes);
}

static bool
is_passing(const char *words)
{
	static const char *const signs[] = {"connection to server",
										"could not connect",
										"server closed the connection",
										"could not receive",
										"could not fetch",
										"terminating connection",
										"No space left on device",
										"must be a superuser",
										"permission denied",
										"password authentication",
										"is starting up",
										"is shutting down",
										"could not translate host",
										"lock file"};

	return HAS_ONE(words, signs);
}

FhaRewindEnd
rejoin_judge(const char *words)
{
	if (words[0] == '\0')
		return FHA_REWIND_SILENT;
	if (rejoin_is_refusal(words))
		return FHA_REWIND_REFUSED;
	return is_passing(words) ? FHA_REWIND_PASSING : FHA_REWIND_HOPELESS;
}

int
rejoin_count_refusal(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE];
	char text[16];
	char *before = NULL;
	int count = 0;

	if (fha_state_path(config, "rewind-refused", path, sizeof(path), NULL) != FHA_OK)
		return 0;
	if (fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK)
		count = fha_rewind_count_refusal(strtol(before, NULL, 10));
	else
		count = fha_rewind_count_refusal(0);
	free(before);
	(void) snprintf(text, sizeof(text), "%d\n", count);
	return fha_file_replace(path, text, strlen(text), NULL) == FHA_OK ? count : 0;
}

void
rejoin_forget_refusals(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE];

	if (fha_state_path(config, "rewind-refused", path, sizeof(path), NULL) == FHA_OK)
		(void) unlink(path);
}
