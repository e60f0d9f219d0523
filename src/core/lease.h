/*
 * lease.h: arithmetic on the lease.
 *
 * Every time is an argument, in milliseconds on the caller's CLOCK_BOOTTIME
 * (S3); nothing here reads a clock, and no time of another node ever comes in.
 */
#ifndef FHA_LEASE_H
#define FHA_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sizes.h"

/* What one observer has seen of the lease record; zeroed is "nothing yet". */
typedef struct FhaWatch
{
	bool seen;                      /* present or absent, it has been looked at */
	bool absent;                    /* there is no record */
	char version[FHA_VERSION_SIZE]; /* what a swap would name; "" when absent */
	char sign[FHA_WATCH_SIGN_SIZE]; /* what only the writer that is watched changes */
	int64_t last_sign_at_ms;        /* the newest sign of life from that writer that we have seen */
	int64_t recorded_duration_ms;   /* what the record asks observers to wait */
} FhaWatch;

/*
 * The record was seen with this version ("" for absent) by an answer that was *received* at
 * now_ms.  The time of receipt, not of asking: the holder's renewal may have been sent in between.
 * sign: what the holder changes with each renewal and nobody else changes; cut off behind
 * FHA_WATCH_SIGN_SIZE - 1 bytes.  The wait begins anew when the sign is another, or when the record
 * comes or goes, and only then.  The version does not count: everybody who writes changes it, and after a
 * restore of the lock the same one comes again under another holder's hand.
 */
void fha_watch_saw(FhaWatch *watch, const char *version, const char *sign,
				   int64_t recorded_duration_ms, int64_t now_ms);

/*
 * S1: may an observer consider the holder gone?  Only when it has itself seen the record (or its
 * absence) unchanged for the longer of its own and the recorded duration.
 */
bool fha_watch_lapsed(const FhaWatch *watch, int64_t own_duration_ms, int64_t now_ms);

/* When fha_watch_lapsed will become true if nothing changes; INT64_MAX if nothing was seen. */
int64_t fha_watch_lapses_at_ms(const FhaWatch *watch, int64_t own_duration_ms);

/* The holder's side; zeroed is "holds nothing". */
typedef struct FhaTenure
{
	int64_t write_ends_at_ms;  /* S1: acknowledgements are allowed before this */
	int64_t shut_at_ms;        /* a renewal sent before this cannot open the fence again */
	int64_t renew_deadline_ms; /* the renew deadline in force */
	int64_t duration_ms;       /* the lease duration last confirmed in the record */
	int64_t raise_at_ms;       /* a higher deadline counts for renewals sent from then on */
	bool promised;             /* S10: write_ends_at comes of members' promises, not of a renewal */
} FhaTenure;

/*
 * A renewal that records duration_ms is about to be sent.  Whoever reads a shorter duration waits
 * only that long, whether or not the write is ever confirmed: what was allowed ends sooner (S1).
 */
void fha_tenure_sending(FhaTenure *tenure, int64_t sent_at_ms, int64_t renew_deadline_ms,
						int64_t duration_ms);

/*
 * A renewal that was sent at sent_at_ms is confirmed, and recorded duration_ms.  Counted from the
 * sending: an observer may have begun its own wait at any time after that (S1).
 * A raised deadline counts only after the raised duration has stood for the old duration; one that
 * is not shorter than the recorded duration does not count at all.
 */
void fha_tenure_confirm(FhaTenure *tenure, int64_t sent_at_ms, int64_t renew_deadline_ms,
						int64_t duration_ms);

/*
 * S10: everybody else who may take the lease has promised not to, each for duration_ms from the
 * receipt of a question that was sent at sent_at_ms or later.  As good as a renewal sent then.
 */
void fha_tenure_promised(FhaTenure *tenure, int64_t sent_at_ms);

/* Shut, and stay shut until a renewal sent after now_ms is confirmed. */
void fha_tenure_shut(FhaTenure *tenure, int64_t now_ms);

/* The lease is lost or given away. */
void fha_tenure_end(FhaTenure *tenure, int64_t now_ms);

bool fha_tenure_is_safe(const FhaTenure *tenure, int64_t now_ms);

#endif
