/*
 * driver.c: the driver of S3 and of Google's store: tries from their start to their end.
 */
#include <stdlib.h>
#include <string.h>

#include "store/s3/s3.h"

static FhaS3 *
s3_of(FhaStore *store)
{
	return (FhaS3 *) store;
}

static FhaCode
s3_read_ca(FhaS3 *s3, FhaError *err)
{
	const char *path = s3->store.settings.ca_file;
	FhaCode code;

	if (path[0] == '\0')
		return FHA_OK;
	(void) snprintf(s3->ca.path, sizeof(s3->ca.path), "%s", path);
	code = fha_secret_read(path, FHA_PEM_MAX, &s3->ca.text, &s3->ca.seen, err);
	return code == FHA_OK ? fha_secret_check_pem(s3->ca.text, "CERTIFICATE", path, err) : code;
}

static void
s3_close(FhaStore *store)
{
	FhaS3 *s3 = s3_of(store);

	fha_s3_identity_close(&s3->identity);
	fha_http_client_release(&s3->client);
	fha_secret_free(s3->ca.text);
}

static FhaCode
s3_open(FhaStore *store, FhaError *err)
{
	FhaS3 *s3 = s3_of(store);
	FhaCode code = fha_http_client_init(&s3->client, err);

	s3->google = store->settings.kind == FHA_STORE_GCS;
	if (code == FHA_OK)
		code = s3_read_ca(s3, err);
	if (code == FHA_OK)
		code = fha_s3_identity_open(&s3->identity, &store->settings, &s3->client, err);
	if (code == FHA_OK)
	{
		const char *region = store->settings.region;

		if (region[0] == '\0')
			region = fha_s3_identity_region(&s3->identity);
		(void) snprintf(s3->region, sizeof(s3->region), "%s", region);
		code = fha_s3_address(s3, err);
	}
	if (code != FHA_OK)
		s3_close(store);
	return code;
}

static int
s3_fd(const FhaStore *store)
{
	return ((const FhaS3 *) store)->client.epoll;
}

static int64_t
s3_wake_at_ms(const FhaStore *store)
{
	return ((const FhaS3 *) store)->client.timer_at_ms;
}

/* --- tries */

static void
s3_forget(FhaS3 *s3, FhaS3Try *attempt)
{
	FhaS3Try **link = &s3->tries;

	while (*link != attempt)
		link = &(*link)->next;
	*link = attempt->next;
	attempt->call->try_ = NULL;
	fha_http_call_drop(&s3->client, &attempt->http);
	fha_text_release(&attempt->url);
	fha_text_release(&attempt->body);
	free(attempt);
}

static FhaCode
s3_start(FhaStore *store, FhaStoreCall *call, FhaError *err)
{
	FhaS3 *s3 = s3_of(store);
	FhaS3Try *attempt = calloc(1, sizeof(*attempt));
	FhaCode code;

	if (attempt == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	attempt->s3 = s3;
	attempt->call = call;
	attempt->next = s3->tries;
	s3->tries = attempt;
	call->try_ = attempt;
	code = fha_s3_send(attempt, err);
	if (code == FHA_OK || code == FHA_AGAIN)
		return FHA_OK;
	s3_forget(s3, attempt);
	return code;
}

static void
s3_send_waiting(FhaS3 *s3)
{
	for (FhaS3Try *attempt = s3->tries; attempt != NULL; attempt = attempt->next)
		if (attempt->state == FHA_S3_WAITS)
		{
			FhaStoreResult *result = &attempt->call->result;
			FhaCode code = fha_s3_send(attempt, &result->error);

			if (code == FHA_OK || code == FHA_AGAIN)
				continue;
			result->code = code;
			attempt->state = FHA_S3_ENDED;
		}
}

static FhaStoreCall *
s3_step(FhaStore *store)
{
	FhaS3 *s3 = s3_of(store);

	fha_http_call_step(&s3->client);
	s3_send_waiting(s3);
	for (FhaS3Try *attempt = s3->tries; attempt != NULL; attempt = attempt->next)
		if (attempt->state == FHA_S3_ENDED)
		{
			FhaStoreCall *call = attempt->call;

			s3_forget(s3, attempt);
			return call;
		}
	return NULL;
}

static void
s3_resume(FhaStore *store, FhaStoreCall *call)
{
	FhaS3Try *attempt = call->try_;

	(void) store;
	fha_http_call_go_on(&attempt->http);
}

static bool
s3_cancel(FhaStore *store, FhaStoreCall *call)
{
	FhaS3Try *attempt = call->try_;
	bool sent = attempt->step == FHA_S3_MAIN && attempt->state == FHA_S3_SENT && attempt->http.sent;
	bool applied = fha_store_verb_writes(call->asked->request.verb) && (attempt->applied || sent);

	s3_forget(s3_of(store), attempt);
	return applied;
}

const FhaStoreDriver fha_store_s3_driver = {.handle_size = sizeof(FhaS3),
											.open = s3_open,
											.close = s3_close,
											.fd = s3_fd,
											.wake_at_ms = s3_wake_at_ms,
											.start = s3_start,
											.step = s3_step,
											.resume = s3_resume,
											.cancel = s3_cancel};
