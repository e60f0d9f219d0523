/*
 * identity.c: see store/s3/identity.h.
 */
#include "store/s3/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define IDENTITY_FILE_BYTES (64 * 1024)
/* Credentials that were fetched so lately are not the reason for a refusal. */
#define IDENTITY_FRESH_MS 5000

/* --- keys of the settings */

static FhaCode
identity_take_secret(FhaSecret *out, const FhaStoreSecret *from, FhaError *err)
{
	FhaCode code;

	memcpy(out->path, from->file, sizeof(out->path));
	if (out->path[0] != '\0')
	{
		code = fha_secret_read(out->path, FHA_TOKEN_MAX, &out->text, &out->seen, err);
		return code == FHA_OK ? fha_secret_trim_token(out->text, out->path, err) : code;
	}
	out->text = from->text == NULL || from->text[0] == '\0' ? NULL : strdup(from->text);
	if (out->text == NULL && from->text != NULL && from->text[0] != '\0')
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return out->text == NULL ? FHA_OK : fha_secret_trim_token(out->text, "the settings", err);
}

static FhaCode
identity_open_keys(FhaS3Identity *identity, const FhaStoreSettings *settings, FhaError *err)
{
	FhaCode code = identity_take_secret(&identity->access, &settings->access, err);

	identity->who = FHA_S3_KEYS;
	if (code == FHA_OK)
		code = identity_take_secret(&identity->secret, &settings->secret, err);
	if (code == FHA_OK)
		code = identity_take_secret(&identity->session, &settings->token, err);
	if (code == FHA_OK && (identity->access.text == NULL || identity->secret.text == NULL))
		code = fha_error(err, FHA_INVALID,
						 "a store of the kind s3 or gs wants a key's name and its secret");
	return code;
}

/* --- Google's file */

/* The file, if it is another one than before; a folder of Kubernetes' is a link that changes. */
static FhaCode
identity_read_google(FhaS3Identity *identity, FhaError *err)
{
	FhaGoogle google;
	struct stat seen;
	char *json;
	FhaCode code = fha_secret_read(identity->google_path, IDENTITY_FILE_BYTES, &json, &seen, err);

	if (code == FHA_OK)
		code = fha_google_open(&google, json, NULL, err);
	fha_secret_free(json);
	if (code != FHA_OK)
		return code;
	fha_google_close(&identity->google);
	identity->google = google;
	identity->google_seen = seen;
	return FHA_OK;
}

static bool
identity_google_changed(const FhaS3Identity *identity)
{
	const struct stat *seen = &identity->google_seen;
	struct stat now;

	return identity->google_path[0] != '\0' && stat(identity->google_path, &now) == 0 &&
		   (now.st_ino != seen->st_ino || now.st_dev != seen->st_dev ||
			now.st_size != seen->st_size || now.st_mtim.tv_sec != seen->st_mtim.tv_sec ||
			now.st_mtim.tv_nsec != seen->st_mtim.tv_nsec);
}

static FhaCode
identity_open_google(FhaS3Identity *identity, const char *path, const char *json, FhaError *err)
{
	identity->who = FHA_S3_GOOGLE;
	identity->credentials.source = &fha_google_source;
	identity->credentials.owner = &identity->google;
	if (path == NULL || path[0] == '\0')
		return fha_google_open(&identity->google, json, NULL, err);
	(void) snprintf(identity->google_path, sizeof(identity->google_path), "%s", path);
	return identity_read_google(identity, err);
}

/* --- all kinds */

static FhaCode
identity_open_surroundings(FhaS3Identity *identity, const FhaStoreSettings *settings, FhaError *err)
{
	FhaAwsEnvironment environment;

	if (settings->kind == FHA_STORE_GCS)
		return identity_open_google(identity, getenv("GOOGLE_APPLICATION_CREDENTIALS"), NULL, err);
	fha_aws_environment(&environment);
	if (settings->region[0] != '\0')
		environment.region = settings->region;
	identity->who = FHA_S3_AWS;
	identity->credentials.source = &fha_aws_source;
	identity->credentials.owner = &identity->aws;
	return fha_aws_open(&identity->aws, &environment, err);
}

FhaCode
fha_s3_identity_open(FhaS3Identity *identity, const FhaStoreSettings *settings,
					 FhaHttpClient *client, FhaError *err)
{
	identity->credentials.client = client;
	switch (settings->identity)
	{
		case FHA_STORE_BY_NOTHING:
			identity->who = FHA_S3_NOBODY;
			return FHA_OK;
		case FHA_STORE_BY_KEY:
			return identity_open_keys(identity, settings, err);
		case FHA_STORE_BY_SURROUNDINGS:
			return identity_open_surroundings(identity, settings, err);
		case FHA_STORE_BY_SERVICE_ACCOUNT:
			if (settings->kind == FHA_STORE_GCS)
				return identity_open_google(
					identity, settings->secret.file,
					settings->secret.text == NULL ? "" : settings->secret.text, err);
			break;
		case FHA_STORE_BY_SAS:
		case FHA_STORE_BY_CONNECTION_STRING:
			break;
	}
	return fha_error(err, FHA_INVALID, "a store of this kind takes no credentials of that kind");
}

void
fha_s3_identity_close(FhaS3Identity *identity)
{
	fha_credentials_close(&identity->credentials);
	fha_secret_free(identity->access.text);
	fha_secret_free(identity->secret.text);
	fha_secret_free(identity->session.text);
	fha_aws_close(&identity->aws);
	fha_google_close(&identity->google);
	memset(identity, 0, sizeof(*identity));
}

static bool
identity_read_keys(FhaS3Identity *identity, bool in_any_case)
{
	bool changed = fha_secret_refresh(&identity->access, NULL, in_any_case);

	changed = fha_secret_refresh(&identity->secret, NULL, in_any_case) || changed;
	changed = fha_secret_refresh(&identity->session, NULL, in_any_case) || changed;
	if (changed)
		identity->generation++;
	return changed;
}

FhaCode
fha_s3_identity_want(FhaS3Identity *identity, const char *ca, FhaS3Keys *out, FhaError *err)
{
	FhaCode code;

	*out = (FhaS3Keys){.generation = identity->generation};
	if (identity->who == FHA_S3_KEYS)
	{
		(void) identity_read_keys(identity, false);
		*out = (FhaS3Keys){.access = identity->access.text,
						   .secret = identity->secret.text,
						   .session = identity->session.text,
						   .generation = identity->generation};
	}
	if (identity->who == FHA_S3_AWS && identity->aws.kind == FHA_AWS_KEYS)
		*out = (FhaS3Keys){.access = identity->aws.keys.access,
						   .secret = identity->aws.keys.secret,
						   .session = identity->aws.keys.session};
	if (identity->credentials.source == NULL || out->access != NULL)
		return FHA_OK;
	/* What is read anew in the middle of a request would be mixed up with its answer. */
	if (identity_google_changed(identity) && !identity->credentials.asking &&
		identity_read_google(identity, NULL) == FHA_OK)
		fha_credentials_distrust(&identity->credentials);
	identity->credentials.ca = ca;
	code = fha_credentials_want(&identity->credentials, err);
	if (code == FHA_OK)
		*out = (FhaS3Keys){.access = identity->aws.keys.access,
						   .secret = identity->aws.keys.secret,
						   .session = identity->aws.keys.session,
						   .bearer = identity->google.token,
						   .generation = identity->credentials.generation};
	return code;
}

bool
fha_s3_identity_refused(FhaS3Identity *identity, unsigned generation)
{
	FhaCredentials *credentials = &identity->credentials;

	if (identity->who == FHA_S3_KEYS)
		return generation != identity->generation || identity_read_keys(identity, true);
	if (credentials->source == NULL ||
		(identity->who == FHA_S3_AWS && identity->aws.kind == FHA_AWS_KEYS))
		return false;
	if (generation != credentials->generation || !credentials->has)
		return true;
	if (fha_now_ms() < credentials->got_at_ms + IDENTITY_FRESH_MS)
		return false;
	fha_credentials_distrust(credentials);
	return true;
}

const char *
fha_s3_identity_region(const FhaS3Identity *identity)
{
	const char *region = identity->aws.environment.region;

	return region == NULL ? "" : region;
}
