/*
 * azure.c: the driver for Azure's Blob service.
 *
 * An object is a block blob.  An upload is blocks of its name that no blob has yet (store/azure/answer.h).
 * What follows from Azure's having no uploads:
 * - When two uploads have the same key, the first COMPLETE, or a PUT of that key, ends the other one:
 *   its COMPLETE says NOT_FOUND, or CONFLICT with if_absent.
 * - ABORT marks an upload and frees no room.  Azure frees it when the key is written, or a week after
 *   the last part came.
 * - A part that comes after another process has aborted the upload is taken, but never completed.
 * - UPLOADS does not list an upload whose key has an object: Azure does not tell that it has blocks, too.
 *   It says when an upload began by the clock of its beginner.
 * - Another program's unfinished upload of the same key may have block ids of another length.  Azure then takes
 *   none of ours: INVALID.
 *
 * COMPLETE looks for all parts first.  The blob then carries its upload's name as metadata, so a
 * COMPLETE whose answer was lost recognises its own blob.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/azure/private.h"

static FhaAzure *
azure_of(FhaStore *store)
{
	return (FhaAzure *) store;
}

/* --- the life of a try */

static void
azure_try_free(FhaAzureTry *try_)
{
	for (size_t i = 0; i < try_->slot_count; i++)
		fha_azure_drop(&try_->slots[i]);
	fha_store_result_release(&try_->names);
	free(try_);
}

static void
azure_try_unlink(FhaAzureTry *try_)
{
	FhaAzureTry **link = &try_->azure->tries;

	while (*link != try_)
		link = &(*link)->next;
	*link = try_->next;
	try_->call->try_ = NULL;
}

static size_t
azure_slot_count(const FhaStoreRequest *request)
{
	if (request->verb == FHA_STORE_UPLOADS)
		return FHA_AZURE_SLOTS_MAX;
	if (request->verb != FHA_STORE_DELETE)
		return 1;
	return request->key_count < FHA_AZURE_SLOTS_MAX ? request->key_count : FHA_AZURE_SLOTS_MAX;
}

static FhaCode
azure_start(FhaStore *store, FhaStoreCall *call, FhaError *err)
{
	FhaAzure *azure = azure_of(store);
	size_t count = azure_slot_count(&call->asked->request);
	FhaCode code = fha_azure_check_keys(call->asked, err);
	FhaAzureTry *try_;

	if (code != FHA_OK)
		return code;
	try_ = calloc(1, sizeof(*try_) + count * sizeof(try_->slots[0]));
	if (try_ == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	try_->azure = azure;
	try_->call = call;
	try_->slot_count = count;
	for (size_t i = 0; i < count; i++)
		try_->slots[i] = (FhaAzureSlot){.try_ = try_, .key = call->asked->full_key};
	try_->next = azure->tries;
	azure->tries = try_;
	call->try_ = try_;
	code = fha_azure_try_begin(try_, err);
	if (code != FHA_OK)
	{
		azure_try_unlink(try_);
		azure_try_free(try_);
	}
	return code;
}

static FhaStoreCall *
azure_step(FhaStore *store)
{
	FhaAzure *azure = azure_of(store);

	fha_http_call_step(&azure->client);
	for (FhaAzureTry *try_ = azure->tries; try_ != NULL; try_ = try_->next)
	{
		FhaStoreCall *call = try_->call;

		if (try_->broken)
			fha_azure_try_end(try_, FHA_PROTOCOL);
		if (!try_->ended)
			continue;
		azure_try_unlink(try_);
		azure_try_free(try_);
		return call;
	}
	return NULL;
}

static void
azure_resume(FhaStore *store, FhaStoreCall *call)
{
	FhaAzureTry *try_ = call->try_;

	(void) store;
	if (!try_->ended)
		fha_http_call_go_on(&try_->slots[0].call);
}

static bool
azure_cancel(FhaStore *store, FhaStoreCall *call)
{
	FhaAzureTry *try_ = call->try_;
	bool may_apply = false;

	(void) store;
	for (size_t i = 0; i < try_->slot_count; i++)
		may_apply = may_apply || (try_->slots[i].busy && fha_azure_writes(try_->slots[i].what) &&
								  try_->slots[i].call.sent);
	azure_try_unlink(try_);
	azure_try_free(try_);
	return may_apply;
}

static int
azure_fd(const FhaStore *store)
{
	return ((const FhaAzure *) store)->client.epoll;
}

static int64_t
azure_wake_at_ms(const FhaStore *store)
{
	const FhaAzure *azure = (const FhaAzure *) store;

	for (const FhaAzureTry *try_ = azure->tries; try_ != NULL; try_ = try_->next)
		if (try_->ended || try_->broken)
			return 0;
	return azure->client.timer_at_ms;
}

/* There is a token now, or the reason why not. */
static void
azure_token_changed(void *owner)
{
	FhaAzure *azure = owner;

	for (FhaAzureTry *try_ = azure->tries; try_ != NULL; try_ = try_->next)
		for (size_t i = 0; i < try_->slot_count; i++)
			if (try_->slots[i].waits && azure->tokens.failure.code == FHA_OK)
				fha_azure_slot_send(&try_->slots[i], try_->slots[i].what);
			else if (try_->slots[i].waits)
			{
				try_->call->result.error = azure->tokens.failure;
				fha_azure_try_end(try_, azure->tokens.failure.code);
			}
}

static FhaCode
azure_read_file(FhaSecret *secret, const char *path, const char *kind, FhaError *err)
{
	FhaCode code;

	(void) snprintf(secret->path, sizeof(secret->path), "%s", path);
	code = fha_secret_read(path, kind == NULL ? FHA_TOKEN_MAX : FHA_PEM_MAX, &secret->text,
						   &secret->seen, err);
	if (code == FHA_OK)
		code = kind == NULL ? fha_secret_trim_token(secret->text, path, err)
							: fha_secret_check_pem(secret->text, kind, path, err);
	/* It is the setting that is wrong. */
	if (code == FHA_NOT_FOUND && err != NULL)
		err->code = FHA_INVALID;
	return code == FHA_NOT_FOUND ? FHA_INVALID : code;
}

static FhaCode
azure_read_secrets(FhaAzure *azure, FhaError *err)
{
	const FhaStoreSettings *settings = &azure->store.settings;
	FhaCode code = FHA_OK;

	if (settings->ca_file[0] != '\0')
		code = azure_read_file(&azure->ca, settings->ca_file, "CERTIFICATE", err);
	if (code == FHA_OK && settings->secret.file[0] != '\0')
		return azure_read_file(&azure->secret, settings->secret.file, NULL, err);
	if (code == FHA_OK && settings->secret.text != NULL)
	{
		azure->secret.text = strdup(settings->secret.text);
		if (azure->secret.text == NULL)
			code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	}
	return code;
}

static FhaCode
azure_check_settings(const FhaStoreSettings *settings, FhaError *err)
{
	size_t length = strlen(settings->bucket);

	if (length < 3 || length > 63 ||
		strspn(settings->bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return fha_error(err, FHA_INVALID,
						 "\"%.80s\" is no container of Azure: it has 3 to 63 lower-case letters, "
						 "digits and dashes",
						 settings->bucket);
	if (settings->identity != FHA_STORE_BY_NOTHING && settings->identity != FHA_STORE_BY_KEY &&
		settings->identity != FHA_STORE_BY_SAS &&
		settings->identity != FHA_STORE_BY_CONNECTION_STRING &&
		settings->identity != FHA_STORE_BY_SURROUNDINGS)
		return fha_error(
			err, FHA_INVALID,
			"Azure takes a key, a SAS, a connection string, or the machine's identity");
	return FHA_OK;
}

static void
azure_close(FhaStore *store)
{
	FhaAzure *azure = azure_of(store);

	fha_azure_tokens_close(&azure->tokens);
	fha_http_client_release(&azure->client);
	fha_azure_connection_release(&azure->access);
	fha_azure_key_free(azure->key, azure->key_size);
	fha_secret_free(azure->secret.text);
	fha_secret_free(azure->ca.text);
}

static FhaCode
azure_open(FhaStore *store, FhaError *err)
{
	FhaAzure *azure = azure_of(store);
	FhaCode code = azure_check_settings(&store->settings, err);

	if (code != FHA_OK)
		return code;
	azure->tokens.client = &azure->client;
	azure->tokens.ca = &azure->ca;
	azure->tokens.changed = azure_token_changed;
	azure->tokens.owner = azure;
	fha_azure_environment(&azure->tokens.environment);
	code = fha_http_client_init(&azure->client, err);
	if (code == FHA_OK)
		code = azure_read_secrets(azure, err);
	if (code == FHA_OK)
		code = fha_azure_take_access(azure, err);
	if (code != FHA_OK)
		azure_close(store);
	return code;
}

const FhaStoreDriver fha_store_azure_driver = {
	.handle_size = sizeof(FhaAzure),
	.open = azure_open,
	.close = azure_close,
	.fd = azure_fd,
	.wake_at_ms = azure_wake_at_ms,
	.start = azure_start,
	.step = azure_step,
	.resume = azure_resume,
	.cancel = azure_cancel,
};
