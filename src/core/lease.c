/*
 * lease.c: arithmetic on the lease.  See lease.h.
 */
#include "core/lease.h"

#include <string.h>

static int64_t
lease_longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* As much of `text` as there is room for; is it another than before? */
static bool
watch_keep(char *out, size_t size, const char *text)
{
	size_t length = strlen(text);
	bool same;

	if (length >= size)
		length = size - 1;
	same = strncmp(out, text, length) == 0 && out[length] == '\0';
	memcpy(out, text, length);
	out[length] = '\0';
	return !same;
}

void
fha_watch_saw(FhaWatch *watch, const char *version, const char *sign, int64_t recorded_duration_ms,
			  int64_t now_ms)
{
	bool absent = version[0] == '\0';
	bool signed_anew = watch_keep(watch->sign, sizeof(watch->sign), absent ? "" : sign);

	(void) watch_keep(watch->version, sizeof(watch->version), version);
	if (!watch->seen || watch->absent != absent || signed_anew)
		watch->last_sign_at_ms = now_ms;
	watch->seen = true;
	watch->absent = absent;
	watch->recorded_duration_ms = recorded_duration_ms;
}

bool
fha_watch_lapsed(const FhaWatch *watch, int64_t own_duration_ms, int64_t now_ms)
{
	return now_ms >= fha_watch_lapses_at_ms(watch, own_duration_ms);
}

int64_t
fha_watch_lapses_at_ms(const FhaWatch *watch, int64_t own_duration_ms)
{
	if (!watch->seen)
		return INT64_MAX;
	return watch->last_sign_at_ms + lease_longer(own_duration_ms, watch->recorded_duration_ms);
}

void
fha_tenure_sending(FhaTenure *tenure, int64_t sent_at_ms, int64_t renew_deadline_ms,
				   int64_t duration_ms)
{
	if (duration_ms < tenure->duration_ms &&
		sent_at_ms + renew_deadline_ms < tenure->write_ends_at_ms)
		tenure->write_ends_at_ms = sent_at_ms + renew_deadline_ms;
}

static void
tenure_allow(FhaTenure *tenure, int64_t sent_at_ms, bool promised)
{
	int64_t ends_at_ms = sent_at_ms + tenure->renew_deadline_ms;

	if (sent_at_ms < tenure->shut_at_ms || ends_at_ms <= tenure->write_ends_at_ms)
		return;
	tenure->write_ends_at_ms = ends_at_ms;
	tenure->promised = promised;
}

void
fha_tenure_confirm(FhaTenure *tenure, int64_t sent_at_ms, int64_t renew_deadline_ms,
				   int64_t duration_ms)
{
	/* The settings changed while the renewal was under way: it proves nothing for such a deadline. */
	if (renew_deadline_ms >= duration_ms)
		renew_deadline_ms = 0;
	fha_tenure_sending(tenure, sent_at_ms, renew_deadline_ms, duration_ms);
	if (tenure->duration_ms == 0)
	{
		tenure->duration_ms = duration_ms;
		tenure->renew_deadline_ms = renew_deadline_ms;
		tenure->raise_at_ms = sent_at_ms;
	}
	if (duration_ms != tenure->duration_ms)
	{
		tenure->raise_at_ms = sent_at_ms + tenure->duration_ms;
		tenure->duration_ms = duration_ms;
	}
	if (renew_deadline_ms <= tenure->renew_deadline_ms || sent_at_ms >= tenure->raise_at_ms)
		tenure->renew_deadline_ms = renew_deadline_ms;
	tenure_allow(tenure, sent_at_ms, false);
}

void
fha_tenure_promised(FhaTenure *tenure, int64_t sent_at_ms)
{
	/* Nothing was ever recorded: nobody was given this lease. */
	if (tenure->duration_ms != 0)
		tenure_allow(tenure, sent_at_ms, true);
}

void
fha_tenure_shut(FhaTenure *tenure, int64_t now_ms)
{
	tenure->write_ends_at_ms = 0;
	tenure->shut_at_ms = now_ms + 1;
}

void
fha_tenure_end(FhaTenure *tenure, int64_t now_ms)
{
	fha_tenure_shut(tenure, now_ms);
	tenure->renew_deadline_ms = 0;
	tenure->duration_ms = 0;
}

bool
fha_tenure_is_safe(const FhaTenure *tenure, int64_t now_ms)
{
	return now_ms < tenure->write_ends_at_ms;
}
