/*
 * supervisor_no_start.c: why PostgreSQL does not start, for those who look at the cluster.
 *
 * A setting of all members can be one with which no server starts: more memory than there is, a
 * group that this machine does not have.  PostgreSQL's words do not name the setting, so those are
 * told with which this member's server has not run yet.
 */
#include <stdio.h>
#include <string.h>

#include "base/tame.h"
#include "cli/supervisor.h"

void
supervisor_note_settings(Supervisor *self)
{
	FhaError err;

	if (fha_settings_recall(&self->config, &self->tried, &err) != FHA_OK)
		supervisor_warn(self, "settings_not_recalled", "%s", err.text);
}

static bool
ran_with(const Supervisor *self, const FhaSetting *setting)
{
	for (size_t i = 0; i < self->ran.count; i++)
		if (strcmp(self->ran.settings[i].name, setting->name) == 0)
			return strcmp(self->ran.settings[i].value, setting->value) == 0;
	return false;
}

void
supervisor_note_no_start(Supervisor *self, const char *why)
{
	const char *words = self->watermark->last_words;
	size_t used = 0;

	(void) snprintf(self->no_start, sizeof(self->no_start), "%.*s", FHA_SENTENCE_SIZE - 1,
					words[0] == '\0' ? why : words);
	fha_tame(self->no_start);
	self->suspects[0] = '\0';
	for (size_t i = 0; i < self->tried.count; i++)
	{
		const FhaSetting *setting = &self->tried.settings[i];

		if (!ran_with(self, setting) &&
			used + strlen(setting->name) + sizeof(", ") <= sizeof(self->suspects))
			used += (size_t) snprintf(self->suspects + used, sizeof(self->suspects) - used, "%s%s",
									  used == 0 ? "" : ", ", setting->name);
	}
}

void
supervisor_note_run(Supervisor *self)
{
	self->ran = self->tried;
}
