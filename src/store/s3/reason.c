/*
 * reason.c: see store/s3/reason.h.
 */
#include "store/s3/reason.h"

#include <string.h>

#include "base/tame.h"
#include "store/xml.h"

typedef struct ReasonRow
{
	const char *word;
	FhaS3Cause cause;
	FhaCode code;
} ReasonRow;

/* What stores say.  Those that a status stands for are below. */
static const ReasonRow reason_words[] = {
	{"NoSuchKey", FHA_S3_CAUSE_CODE, FHA_NOT_FOUND},
	{"NoSuchUpload", FHA_S3_CAUSE_CODE, FHA_NOT_FOUND},
	{"NoSuchBucket", FHA_S3_CAUSE_BUCKET, FHA_INVALID},
	{"AccessDenied", FHA_S3_CAUSE_CODE, FHA_DENIED},
	/* Of an upload's end, where the status is 200 whatever follows. */
	{"InvalidPart", FHA_S3_CAUSE_CODE, FHA_INVALID},
	{"InvalidPartOrder", FHA_S3_CAUSE_CODE, FHA_INVALID},
	{"EntityTooSmall", FHA_S3_CAUSE_CODE, FHA_INVALID},
	{"InvalidAccessKeyId", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"SignatureDoesNotMatch", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"InvalidToken", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"ExpiredToken", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"TokenRefreshRequired", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"InvalidSecurity", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"AuthenticationRequired", FHA_S3_CAUSE_IDENTITY, FHA_DENIED},
	{"SlowDown", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"SlowDownRead", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"SlowDownWrite", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"RequestLimitExceeded", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"TooManyRequests", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"ConditionalRequestConflict", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	{"OperationAborted", FHA_S3_CAUSE_CODE, FHA_AGAIN},
	/* What arrived was not what was sent. */
	{"BadDigest", FHA_S3_CAUSE_CODE, FHA_IO},
	{"XAmzContentSHA256Mismatch", FHA_S3_CAUSE_CODE, FHA_IO},
	{"IncompleteBody", FHA_S3_CAUSE_CODE, FHA_IO},
	{"RequestTimeout", FHA_S3_CAUSE_CODE, FHA_IO},
	{"QuotaExceeded", FHA_S3_CAUSE_CODE, FHA_FULL},
	{"InsufficientStorage", FHA_S3_CAUSE_CODE, FHA_FULL},
	{"XMinioStorageFull", FHA_S3_CAUSE_CODE, FHA_FULL},
	{"XMinioAdminBucketQuotaExceeded", FHA_S3_CAUSE_CODE, FHA_FULL},
	{"PreconditionFailed", FHA_S3_CAUSE_CONDITION, FHA_CONFLICT},
	{"InvalidRange", FHA_S3_CAUSE_RANGE, FHA_INVALID},
	{"NotImplemented", FHA_S3_CAUSE_UNKNOWN_CONDITION, FHA_INVALID},
	{"PermanentRedirect", FHA_S3_CAUSE_REGION, FHA_INVALID},
	{"TemporaryRedirect", FHA_S3_CAUSE_REGION, FHA_INVALID},
	{"AuthorizationHeaderMalformed", FHA_S3_CAUSE_REGION, FHA_INVALID},
	{"IllegalLocationConstraintException", FHA_S3_CAUSE_REGION, FHA_INVALID},
	/* Not a refusal of us: the object has to be fetched from an archive first. */
	{"InvalidObjectState", FHA_S3_CAUSE_CODE, FHA_INVALID},
	{"InternalError", FHA_S3_CAUSE_UNSURE, FHA_IO},
};

static void
reason_of_status(FhaS3Reason *out, int status, bool has_word)
{
	out->cause = FHA_S3_CAUSE_CODE;
	out->code = FHA_INVALID;
	if (status == 401 || status == 403)
	{
		/* Without a word, of a HEAD, it may be the keys. */
		out->cause = has_word ? FHA_S3_CAUSE_CODE : FHA_S3_CAUSE_IDENTITY;
		out->code = FHA_DENIED;
	}
	else if (status == 404)
		/* Some other server's page is no proof of anything. */
		out->code = has_word ? FHA_INVALID : FHA_PROTOCOL;
	else if (status == 409 || status == 429)
		out->code = FHA_AGAIN;
	else if (status == 412)
	{
		out->cause = FHA_S3_CAUSE_CONDITION;
		out->code = FHA_CONFLICT;
	}
	else if (status == 416)
		out->cause = FHA_S3_CAUSE_RANGE;
	else if (status == 501)
		out->cause = FHA_S3_CAUSE_UNKNOWN_CONDITION;
	else if (status == 507)
		out->code = FHA_FULL;
	else if (status >= 500 || status == 408)
	{
		out->cause = FHA_S3_CAUSE_UNSURE;
		out->code = FHA_IO;
	}
	else if (status >= 300 && status < 400)
		out->cause = FHA_S3_CAUSE_REGION;
	else if (status < 400)
		out->code = FHA_PROTOCOL;
}

static void
reason_take(void *owner, const char *path, const char *text)
{
	FhaS3Reason *out = owner;

	if (strcmp(path, "Error/Code") == 0)
		fha_copy_printable(out->word, sizeof(out->word), text, strlen(text));
	else if (strcmp(path, "Error/Message") == 0)
		fha_copy_printable(out->message, sizeof(out->message), text, strlen(text));
	else if (strcmp(path, "Error/Region") == 0)
		fha_copy_printable(out->region, sizeof(out->region), text, strlen(text));
}

void
fha_s3_reason(FhaS3Reason *out, int status, const char *body, size_t size)
{
	FhaXmlReader reader = {.end = reason_take, .owner = out};

	memset(out, 0, sizeof(*out));
	if (size > 0 && fha_xml_read(body, size, &reader, NULL) != FHA_OK)
		/* A page for people, or half of an answer. */
		memset(out, 0, sizeof(*out));
	reason_of_status(out, status, out->word[0] != '\0');
	if (size == 0 && status == 404)
		out->cause = FHA_S3_CAUSE_NOT_FOUND;
	for (size_t i = 0; i < sizeof(reason_words) / sizeof(reason_words[0]); i++)
		if (strcmp(out->word, reason_words[i].word) == 0)
		{
			out->cause = reason_words[i].cause;
			out->code = reason_words[i].code;
		}
}
