/*
 * send.c: a request to Azure, made and signed.  See store/azure/private.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "store/azure/private.h"
#include "store/encode.h"
#include "store/xml.h"

/* Texts that a request's pairs point to. */
typedef struct SendTexts
{
	char date[FHA_HTTP_DATE_SIZE];
	char range[64];
	char block[FHA_AZURE_BLOCK_ID_SIZE];
	FhaText path;
} SendTexts;

static const struct
{
	const char *method;
	bool writes;
} send_kinds[] = {
	[FHA_AZURE_PROPERTIES] = {"HEAD", false}, [FHA_AZURE_GET] = {"GET", false},
	[FHA_AZURE_PUT] = {"PUT", true},          [FHA_AZURE_LIST] = {"GET", false},
	[FHA_AZURE_BLOCKS] = {"GET", false},      [FHA_AZURE_BLOCK] = {"PUT", true},
	[FHA_AZURE_COMMIT] = {"PUT", true},       [FHA_AZURE_DELETE] = {"DELETE", true},
};

bool
fha_azure_writes(FhaAzureWhat what)
{
	return send_kinds[what].writes;
}

/* --- who we are */

/* Without a path: the url of the account; "http://host/account" where the host does not say it. */
static bool
access_set_base(const FhaStoreSettings *settings, FhaAzureConnection *out)
{
	bool own = strstr(settings->endpoint, ".blob.") != NULL;
	int size;

	if (strstr(settings->endpoint, "://") == NULL || settings->account[0] == '\0')
		return false;
	size = snprintf(out->base, sizeof(out->base), "%s%s%s", settings->endpoint, own ? "" : "/",
					own ? "" : settings->account);
	(void) snprintf(out->account, sizeof(out->account), "%s", settings->account);
	return (size_t) size < sizeof(out->base);
}

static FhaCode
access_copy_secret(const FhaSecret *secret, size_t skipped, char **out, FhaError *err)
{
	if (secret->text == NULL || secret->text[0] == '\0')
		return fha_error(err, FHA_INVALID, "the Azure store's secret is missing");
	*out = strdup(secret->text + skipped);
	if (*out == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

static FhaCode
access_of_settings(const FhaAzure *azure, FhaAzureConnection *out, FhaError *err)
{
	const FhaStoreSettings *settings = &azure->store.settings;
	const FhaSecret *secret = &azure->secret;
	FhaCode code = FHA_OK;

	memset(out, 0, sizeof(*out));
	if (settings->identity == FHA_STORE_BY_CONNECTION_STRING)
		return secret->text == NULL
				   ? fha_error(err, FHA_INVALID, "Azure's connection string is missing")
				   : fha_azure_connection_parse(secret->text, out, err);
	if (!access_set_base(settings, out))
		return fha_error(err, FHA_INVALID, "the Azure store's url names no host or no account");
	if (settings->identity == FHA_STORE_BY_KEY)
		return access_copy_secret(secret, 0, &out->key, err);
	if (settings->identity != FHA_STORE_BY_SAS)
		return FHA_OK;
	code = access_copy_secret(secret, secret->text != NULL && secret->text[0] == '?' ? 1 : 0,
							  &out->sas, err);
	if (code == FHA_OK && !fha_azure_sas_valid(out->sas))
		code = fha_error(err, FHA_INVALID,
						 "the SAS of the Azure store is none: it has no \"sig=\", or white space");
	return code;
}

static void
access_use(FhaAzure *azure, const FhaAzureConnection *access)
{
	const char *host = strstr(access->base, "://") + 3;
	size_t origin = (size_t) (host - access->base) + strcspn(host, "/");

	fha_azure_connection_release(&azure->access);
	azure->access = *access;
	memcpy(azure->origin, access->base, origin);
	azure->origin[origin] = '\0';
	azure->path = azure->access.base + origin;
}

void
fha_azure_key_free(unsigned char *key, size_t size)
{
	if (key != NULL)
		OPENSSL_cleanse(key, size);
	free(key);
}

FhaCode
fha_azure_take_access(FhaAzure *azure, FhaError *err)
{
	FhaAzureConnection access;
	unsigned char *key = NULL;
	size_t key_size = 0;
	FhaCode code = access_of_settings(azure, &access, err);

	if (code == FHA_OK && access.key != NULL)
	{
		key = fha_base64_decode(access.key, &key_size);
		if (key == NULL)
			code = fha_error(err, FHA_INVALID, "the key of the Azure account is no base64");
	}
	if (code != FHA_OK)
	{
		fha_azure_connection_release(&access);
		return code;
	}
	access_use(azure, &access);
	fha_azure_key_free(azure->key, azure->key_size);
	azure->key = key;
	azure->key_size = key_size;
	return FHA_OK;
}

/* --- what is asked */

static void
send_add_range(const FhaStoreCall *call, FhaAzureAsk *ask, SendTexts *texts)
{
	uint64_t offset;
	uint64_t length;

	fha_store_call_range(call, &offset, &length);
	if (length > 0)
		(void) snprintf(texts->range, sizeof(texts->range), "bytes=%" PRIu64 "-%" PRIu64, offset,
						offset + length - 1);
	else if (offset > 0)
		(void) snprintf(texts->range, sizeof(texts->range), "bytes=%" PRIu64 "-", offset);
	else
		return;
	fha_azure_add_header(ask, "range", texts->range);
}

static void
send_add_list(const FhaAzureSlot *slot, FhaAzureAsk *ask)
{
	const FhaStoreRequest *request = &slot->try_->call->asked->request;
	const char *prefix = slot->try_->call->asked->full_key;
	bool uploads = request->verb == FHA_STORE_UPLOADS;

	fha_azure_add_query(ask, "restype", "container");
	fha_azure_add_query(ask, "comp", "list");
	/* Of each name that may have blocks they are asked for. */
	fha_azure_add_query(ask, "maxresults", uploads ? "100" : "1000");
	fha_azure_add_query(ask, "prefix", prefix[0] == '\0' ? NULL : prefix);
	fha_azure_add_query(ask, "marker", request->page);
	fha_azure_add_query(ask, "delimiter", request->delimiter && !uploads ? "/" : NULL);
	fha_azure_add_query(ask, "include", uploads ? "uncommittedblobs" : NULL);
}

static void
send_add_block(const FhaAzureSlot *slot, FhaAzureAsk *ask, SendTexts *texts)
{
	const FhaAzureTry *try_ = slot->try_;
	const FhaStoreRequest *request = &try_->call->asked->request;
	const char *upload = request->verb == FHA_STORE_BEGIN ? try_->upload : request->upload;

	fha_azure_block_id(upload, slot->number, texts->block);
	fha_azure_add_query(ask, "comp", "block");
	fha_azure_add_query(ask, "blockid", texts->block);
}

static void
send_add_what(const FhaAzureSlot *slot, FhaAzureAsk *ask, SendTexts *texts)
{
	const FhaStoreCall *call = slot->try_->call;
	const FhaStoreRequest *request = &call->asked->request;

	switch (slot->what)
	{
		case FHA_AZURE_PROPERTIES:
			break;
		case FHA_AZURE_GET:
			send_add_range(call, ask, texts);
			fha_azure_add_header(ask, "if-match",
								 call->identity[0] == '\0' ? NULL : call->identity);
			break;
		case FHA_AZURE_PUT:
			fha_azure_add_header(ask, "x-ms-blob-type", "BlockBlob");
			fha_azure_add_header(ask, "if-none-match", request->if_absent ? "*" : NULL);
			break;
		case FHA_AZURE_LIST:
			send_add_list(slot, ask);
			break;
		case FHA_AZURE_BLOCKS:
			fha_azure_add_query(ask, "comp", "blocklist");
			fha_azure_add_query(ask, "blocklisttype", "uncommitted");
			break;
		case FHA_AZURE_BLOCK:
			send_add_block(slot, ask, texts);
			break;
		case FHA_AZURE_COMMIT:
			fha_azure_add_query(ask, "comp", "blocklist");
			fha_azure_add_header(ask, FHA_AZURE_UPLOAD_META, request->upload);
			fha_azure_add_header(ask, "if-none-match", request->if_absent ? "*" : NULL);
			break;
		case FHA_AZURE_DELETE:
			fha_azure_add_header(ask, "x-ms-delete-snapshots", "include");
			break;
	}
}

/* The parts in their order, for Put Block List. */
static void
send_make_block_list(FhaAzureSlot *slot)
{
	const FhaStoreRequest *request = &slot->try_->call->asked->request;
	char block[FHA_AZURE_BLOCK_ID_SIZE];

	fha_text_clear(&slot->body);
	fha_text_add(&slot->body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (size_t i = 0; i < request->part_count; i++)
	{
		fha_azure_block_id(request->upload, request->parts[i].number, block);
		fha_text_add_format(&slot->body, "<Uncommitted>%s</Uncommitted>", block);
	}
	fha_text_add(&slot->body, "</BlockList>");
}

/* NULL: the request has no body. */
static const char *
send_body(FhaAzureSlot *slot, size_t *size)
{
	const FhaStoreRequest *request = &slot->try_->call->asked->request;

	*size = 0;
	if (slot->what == FHA_AZURE_COMMIT)
	{
		send_make_block_list(slot);
		*size = slot->body.size;
		return fha_text_string(&slot->body);
	}
	if (slot->what == FHA_AZURE_PUT ||
		(slot->what == FHA_AZURE_BLOCK && request->verb == FHA_STORE_PART))
	{
		*size = request->size;
		return request->size == 0 ? "" : request->data;
	}
	if (slot->what != FHA_AZURE_BLOCK)
		return NULL;
	/* A block has one byte at least. */
	*size = 1;
	return "-";
}

/* --- how it is sent */

/* A secret that others changed in its file counts from now on. */
static void
send_refresh(FhaAzure *azure)
{
	FhaError err;

	if (fha_secret_refresh(&azure->secret, NULL, false))
		(void) !fha_azure_take_access(azure, &err);
	(void) fha_secret_refresh(&azure->ca, "CERTIFICATE", false);
}

static void
send_make_path(const FhaAzureSlot *slot, FhaText *to)
{
	const FhaAzure *azure = slot->try_->azure;

	fha_text_add(to, azure->path);
	fha_text_add_format(to, "/%s", azure->store.settings.bucket);
	if (slot->what == FHA_AZURE_LIST)
		return;
	fha_text_add(to, "/");
	fha_percent_encode(to, slot->key, "/");
}

static void
send_add_headers(FhaHttpCall *call, const FhaAzureAsk *ask)
{
	FhaText line = {.data = NULL};

	for (size_t i = 0; i < ask->header_count; i++)
	{
		fha_text_clear(&line);
		fha_text_add_format(&line, "%s: %s", ask->headers[i].name, ask->headers[i].value);
		fha_http_request_header(&call->request, fha_text_string(&line));
	}
	call->request.failed = call->request.failed || line.failed;
	fha_text_release(&line);
}

/* With the key; a SAS stands in the url, and a token is another header. */
static FhaCode
send_sign(FhaAzure *azure, FhaHttpCall *call, const FhaAzureAsk *ask, FhaError *err)
{
	FhaText line = {.data = NULL};
	bool done;

	fha_text_add(&line, "authorization: ");
	done = fha_azure_sign(&line, ask, azure->access.account, azure->key, azure->key_size);
	if (done)
		fha_http_request_header(&call->request, line.data);
	fha_text_release(&line);
	if (!done)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

static FhaCode
send_start(FhaAzureSlot *slot, const FhaAzureAsk *ask, const char *body, const char *token,
		   FhaError *err)
{
	FhaAzure *azure = slot->try_->azure;
	FhaText url = {.data = NULL};
	FhaCode code = FHA_OK;
	bool failed;

	fha_azure_url(&url, azure->origin, ask, azure->access.sas);
	failed = url.failed;
	fha_http_call_make(
		&slot->call,
		&(FhaHttpAsk){.method = ask->method,
					  .url = fha_text_string(&url),
					  .ca = azure->ca.text,
					  .body = body,
					  .body_size = ask->size,
					  .deadline_at_ms = slot->try_->call->asked->request.deadline_at_ms,
					  .silence_ms = FHA_STORE_STALL_MS,
					  .answer_max = FHA_XML_SIZE_MAX,
					  .headed = slot->what == FHA_AZURE_GET ? fha_azure_headed : NULL,
					  .take = slot->what == FHA_AZURE_GET ? fha_azure_take : NULL,
					  .ended = fha_azure_answered,
					  .owner = slot});
	fha_text_release(&url);
	send_add_headers(&slot->call, ask);
	if (token != NULL)
		fha_http_request_bearer(&slot->call.request, token);
	else if (azure->key != NULL)
		code = send_sign(azure, &slot->call, ask, err);
	slot->busy = code == FHA_OK && !failed && fha_http_call_start(&azure->client, &slot->call);
	if (slot->busy)
		return FHA_OK;
	/* LCOV_EXCL_START: no memory */
	fha_http_call_drop(&azure->client, &slot->call);
	return fha_error(err, FHA_NO_MEMORY, "out of memory");
	/* LCOV_EXCL_STOP */
}

/* OK and NULL: none is wanted, or slot->waits for one. */
static FhaCode
send_get_token(FhaAzureSlot *slot, const char **token, FhaError *err)
{
	FhaAzureTokens *tokens = &slot->try_->azure->tokens;

	*token = NULL;
	if (slot->try_->azure->store.settings.identity != FHA_STORE_BY_SURROUNDINGS)
		return FHA_OK;
	*token = fha_azure_tokens_get(tokens, err);
	slot->generation = tokens->generation;
	slot->waits = *token == NULL && err->code == FHA_OK;
	return err->code;
}

FhaCode
fha_azure_send(FhaAzureSlot *slot, FhaError *err)
{
	FhaAzure *azure = slot->try_->azure;
	FhaAzureAsk ask = {.method = send_kinds[slot->what].method};
	SendTexts texts = {.range = ""};
	const char *token;
	const char *body;
	FhaCode code = send_get_token(slot, &token, err);

	if (code != FHA_OK || slot->waits)
		return code;
	send_refresh(azure);
	body = send_body(slot, &ask.size);
	send_make_path(slot, &texts.path);
	ask.path = fha_text_string(&texts.path);
	fha_http_date_print(fha_wall_ms() / 1000, texts.date, sizeof(texts.date));
	fha_azure_add_header(&ask, "x-ms-date", texts.date);
	fha_azure_add_header(&ask, "x-ms-version", FHA_AZURE_VERSION);
	if (body != NULL)
		fha_azure_add_header(&ask, "content-type", "application/octet-stream");
	send_add_what(slot, &ask, &texts);
	if (texts.path.failed || slot->body.failed)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else
		code = send_start(slot, &ask, body, token, err);
	fha_text_release(&texts.path);
	return code;
}

void
fha_azure_drop(FhaAzureSlot *slot)
{
	fha_http_call_drop(&slot->try_->azure->client, &slot->call);
	fha_text_release(&slot->body);
	slot->busy = slot->waits = false;
}
