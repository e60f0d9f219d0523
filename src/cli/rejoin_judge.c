/*
 * rejoin_judge.c: what a failed program said: try again, or never again?
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

/* With the supervisor's back-off some 90 s; the leader puts our role right within 60. */
#define REFUSALS_MAX 7

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

bool
rejoin_is_passing(const char *words)
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

bool
rejoin_is_refused_for_good(const FhaConfig *config)
{
	char path[FHA_PATH_MAX];
	char text[16];
	char *before = NULL;
	long count = 0;

	if (fha_state_path(config, "rewind-refused", path, sizeof(path), NULL) != FHA_OK)
		return false;
	if (fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK)
		count = strtol(before, NULL, 10);
	free(before);
	if (count < 0 || count >= REFUSALS_MAX)
		count = 0;
	count++;
	(void) snprintf(text, sizeof(text), "%ld\n", count);
	return fha_file_replace(path, text, strlen(text), NULL) == FHA_OK && count == REFUSALS_MAX;
}

void
rejoin_forget_refusals(const FhaConfig *config)
{
	char path[FHA_PATH_MAX];

	if (fha_state_path(config, "rewind-refused", path, sizeof(path), NULL) == FHA_OK)
		(void) unlink(path);
}
