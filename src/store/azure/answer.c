/*
 * answer.c: see store/azure/answer.h.
 */
#include "store/azure/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/tame.h"
#include "store/encode.h"
#include "store/xml.h"

/* Azure refuses requests whose time is 15 minutes off. */
#define CLOCK_OFF_MAX_S 840

/* --- uploads and their blocks */

#define BLOCK_MARK "fha."
#define BLOCK_TEXT_SIZE (sizeof(BLOCK_MARK) + FHA_AZURE_UPLOAD_SIZE - 1 + 1 + 5)

FhaCode
fha_azure_upload_new(char out[FHA_AZURE_UPLOAD_SIZE], int64_t now_s, FhaError *err)
{
	(void) snprintf(out, FHA_AZURE_UPLOAD_SIZE, "%08" PRIx32, (uint32_t) now_s);
	return fha_random_hex(out + 8, FHA_AZURE_UPLOAD_SIZE - 8, err);
}

bool
fha_azure_upload_valid(const char *upload)
{
	return strspn(upload, "0123456789abcdef") == FHA_AZURE_UPLOAD_SIZE - 1 &&
		   upload[FHA_AZURE_UPLOAD_SIZE - 1] == '\0';
}

int64_t
fha_azure_upload_began_s(const char *upload)
{
	char digits[9];

	memcpy(digits, upload, 8);
	digits[8] = '\0';
	return (int64_t) strtoul(digits, NULL, 16);
}

void
fha_azure_block_id(const char *upload, unsigned number, char out[FHA_AZURE_BLOCK_ID_SIZE])
{
	char text[BLOCK_TEXT_SIZE + 8];
	FhaText id = {.data = NULL};

	(void) snprintf(text, sizeof(text), BLOCK_MARK "%s.%05u", upload, number);
	fha_base64_encode(&id, text, strlen(text), false);
	(void) snprintf(out, FHA_AZURE_BLOCK_ID_SIZE, "%s", fha_text_string(&id));
	fha_text_release(&id);
}

/* False: it is not one of ours. */
static bool
block_read_id(const char *id, FhaAzureBlock *out)
{
	static const size_t mark = sizeof(BLOCK_MARK) - 1;
	size_t size;
	char *text = (char *) fha_base64_decode(id, &size);
	char *number;
	bool known = false;

	if (text != NULL && size == BLOCK_TEXT_SIZE - 1 && memcmp(text, BLOCK_MARK, mark) == 0 &&
		text[mark + FHA_AZURE_UPLOAD_SIZE - 1] == '.')
	{
		memcpy(out->upload, text + mark, FHA_AZURE_UPLOAD_SIZE - 1);
		out->upload[FHA_AZURE_UPLOAD_SIZE - 1] = '\0';
		number = text + mark + FHA_AZURE_UPLOAD_SIZE;
		out->number = 0;
		known = fha_azure_upload_valid(out->upload);
		for (int i = 0; i < 5; i++)
		{
			known = known && number[i] >= '0' && number[i] <= '9';
			out->number = 10 * out->number + (unsigned) (number[i] - '0');
		}
	}
	free(text);
	return known;
}

static bool
read_u64(const char *text, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 19)
		return false;
	*out = strtoull(text, &end, 10);
	return *end == '\0';
}

typedef struct BlocksReader
{
	FhaAzureBlocks *blocks;
	FhaAzureBlock block;
	bool whole; /* the document is one of blocks */
	bool known;
	bool sized;
	FhaCode code;
} BlocksReader;

static void
blocks_begin(void *owner, const char *path, const char *const *attributes)
{
	BlocksReader *reader = owner;

	(void) attributes;
	if (strcmp(path, "BlockList") == 0)
		reader->whole = true;
	if (strcmp(path, "BlockList/UncommittedBlocks/Block") == 0)
		reader->known = reader->sized = false;
}

static void
blocks_add(BlocksReader *reader)
{
	FhaAzureBlocks *blocks = reader->blocks;

	if (!reader->sized)
		reader->code = FHA_PROTOCOL;
	if (!reader->known || reader->code != FHA_OK)
		return;
	if (blocks->count == blocks->room)
	{
		size_t room = 2 * blocks->room + 64;
		FhaAzureBlock *larger = realloc(blocks->blocks, room * sizeof(*larger));

		if (larger == NULL)
		{
			/* LCOV_EXCL_START: no memory */
			reader->code = FHA_NO_MEMORY;
			return;
			/* LCOV_EXCL_STOP */
		}
		blocks->blocks = larger;
		blocks->room = room;
	}
	blocks->blocks[blocks->count++] = reader->block;
}

static void
blocks_end(void *owner, const char *path, const char *text)
{
	BlocksReader *reader = owner;

	if (strcmp(path, "BlockList/UncommittedBlocks/Block/Name") == 0)
		reader->known = block_read_id(text, &reader->block);
	else if (strcmp(path, "BlockList/UncommittedBlocks/Block/Size") == 0)
		reader->sized = read_u64(text, &reader->block.size);
	else if (strcmp(path, "BlockList/UncommittedBlocks/Block") == 0)
		blocks_add(reader);
}

static int
block_compare(const void *left, const void *right)
{
	const FhaAzureBlock *one = left;
	const FhaAzureBlock *other = right;
	int by_upload = strcmp(one->upload, other->upload);

	if (by_upload != 0)
		return by_upload;
	return (one->number > other->number) - (one->number < other->number);
}

FhaCode
fha_azure_blocks_read(const char *data, size_t size, FhaAzureBlocks *out, FhaError *err)
{
	BlocksReader reader = {.blocks = out, .code = FHA_OK};
	FhaCode code;

	memset(out, 0, sizeof(*out));
	code = fha_xml_read(data, size, &(FhaXmlReader){blocks_begin, blocks_end, &reader}, err);
	if (code != FHA_OK)
		return code;
	if (reader.code == FHA_NO_MEMORY)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	if (!reader.whole || reader.code != FHA_OK)
		return fha_error(err, FHA_PROTOCOL, "Azure's list of blocks is none");
	if (out->count > 0)
		qsort(out->blocks, out->count, sizeof(*out->blocks), block_compare);
	return FHA_OK;
}

void
fha_azure_blocks_release(FhaAzureBlocks *blocks)
{
	free(blocks->blocks);
	memset(blocks, 0, sizeof(*blocks));
}

const FhaAzureBlock *
fha_azure_blocks_of(const FhaAzureBlocks *blocks, const char *upload, size_t *count)
{
	const FhaAzureBlock *first = blocks->blocks;
	const FhaAzureBlock *end = blocks->blocks + blocks->count;
	const FhaAzureBlock *last;

	*count = 0;
	while (first < end && strcmp(first->upload, upload) != 0)
		first++;
	for (last = first; last < end && strcmp(last->upload, upload) == 0; last++)
		;
	if (first == last || first->number != FHA_AZURE_BLOCK_BEGUN ||
		last[-1].number == FHA_AZURE_BLOCK_ABORTED)
		return NULL;
	*count = (size_t) (last - first) - 1;
	return first + 1;
}

/* --- lists */

typedef struct ListReader
{
	const FhaStoreSettings *settings;
	FhaStoreResult *result;
	FhaError *err;
	FhaText name;
	FhaStoreObject object;
	bool whole;
	bool encoded;
	bool named;
	bool is_directory;
	FhaCode code;
} ListReader;

static void
blobs_begin(void *owner, const char *path, const char *const *attributes)
{
	ListReader *reader = owner;

	if (strcmp(path, "EnumerationResults") == 0)
		reader->whole = true;
	else if (strcmp(path, "EnumerationResults/Blobs/Blob") == 0 ||
			 strcmp(path, "EnumerationResults/Blobs/BlobPrefix") == 0)
	{
		memset(&reader->object, 0, sizeof(reader->object));
		reader->named = reader->is_directory = false;
	}
	else if (strcmp(path, "EnumerationResults/Blobs/Blob/Name") == 0 ||
			 strcmp(path, "EnumerationResults/Blobs/BlobPrefix/Name") == 0)
	{
		reader->encoded = false;
		for (size_t i = 0; attributes != NULL && attributes[i] != NULL; i += 2)
			if (strcmp(attributes[i], "Encoded") == 0)
				reader->encoded = strcmp(attributes[i + 1], "true") == 0;
	}
}

static bool
blobs_take_name(ListReader *reader, const char *text)
{
	fha_text_clear(&reader->name);
	fha_text_add(&reader->name, text);
	if (reader->name.failed || reader->name.size == 0)
		return false;
	/* With an element's name that XML cannot hold, Azure says so, and encodes it. */
	if (reader->encoded && !fha_percent_decode(reader->name.data))
		return false;
	reader->named = true;
	return true;
}

static void
blobs_add(ListReader *reader)
{
	const char *name = fha_text_string(&reader->name);

	if (!reader->named)
		reader->code = fha_error(reader->err, FHA_PROTOCOL, "Azure lists a blob without a name");
	else if (!reader->is_directory)
		reader->code = fha_store_add_object(reader->result, reader->settings, name, strlen(name),
											&reader->object, reader->err);
}

/* Of an object; it is known to be below its Properties. */
static bool
blobs_take_property(ListReader *reader, const char *property, const char *text)
{
	if (strcmp(property, "Content-Length") == 0)
		return read_u64(text, &reader->object.size);
	if (strcmp(property, "Last-Modified") == 0)
		return fha_http_date_parse(text, &reader->object.modified_s);
	if (strcmp(property, "ResourceType") == 0)
		reader->is_directory = strcmp(text, "directory") == 0;
	return true;
}

static void
blobs_end(void *owner, const char *path, const char *text)
{
	static const char properties[] = "EnumerationResults/Blobs/Blob/Properties/";
	ListReader *reader = owner;
	bool understood = true;

	if (reader->code != FHA_OK)
		return;
	if (strcmp(path, "EnumerationResults/Blobs/Blob/Name") == 0 ||
		strcmp(path, "EnumerationResults/Blobs/BlobPrefix/Name") == 0)
		understood = blobs_take_name(reader, text);
	else if (strncmp(path, properties, sizeof(properties) - 1) == 0)
		understood = blobs_take_property(reader, path + sizeof(properties) - 1, text);
	else if (strcmp(path, "EnumerationResults/Blobs/Blob") == 0)
		blobs_add(reader);
	else if (strcmp(path, "EnumerationResults/Blobs/BlobPrefix") == 0)
	{
		reader->object.is_folder = true;
		blobs_add(reader);
	}
	else if (strcmp(path, "EnumerationResults/NextMarker") == 0 && text[0] != '\0')
		reader->code =
			fha_store_set_text(&reader->result->next, text, FHA_STORE_PAGE_SIZE, reader->err);
	if (!understood)
		reader->code = fha_error(reader->err, FHA_PROTOCOL,
								 "Azure's list of blobs has one that makes no sense");
}

FhaCode
fha_azure_list_read(const char *data, size_t size, const FhaStoreSettings *settings,
					FhaStoreResult *result, FhaError *err)
{
	ListReader reader = {.settings = settings, .result = result, .err = err, .code = FHA_OK};
	FhaCode code = fha_xml_read(data, size, &(FhaXmlReader){blobs_begin, blobs_end, &reader}, err);

	if (code == FHA_OK)
		code = reader.code;
	if (code == FHA_OK && !reader.whole)
		code = fha_error(err, FHA_PROTOCOL, "Azure's list of blobs is none");
	fha_text_release(&reader.name);
	return code;
}

/* --- refusals */

static void
fault_end(void *owner, const char *path, const char *text)
{
	FhaAzureFault *fault = owner;

	if (strcmp(path, "Error/Code") == 0 && fault->word[0] == '\0')
		fha_copy_printable(fault->word, sizeof(fault->word), text, strlen(text));
	else if (strcmp(path, "Error/Message") == 0)
		fha_copy_printable(fault->message, sizeof(fault->message), text, strlen(text));
}

void
fha_azure_fault_read(int status, const char *header, const char *data, size_t size,
					 FhaAzureFault *out)
{
	memset(out, 0, sizeof(*out));
	out->status = status;
	fha_copy_printable(out->word, sizeof(out->word), header, strlen(header));
	if (size > 0)
		(void) !fha_xml_read(data, size, &(FhaXmlReader){NULL, fault_end, out}, NULL);
}

/* What an operator does about it; NULL: the server's own sentence says enough. */
typedef struct FaultRow
{
	const char *word;
	FhaCode code;
	const char *advice;
} FaultRow;

#define ROLE "give the identity the role \"Storage Blob Data Contributor\" on the container"

static const FaultRow fault_rows[] = {
	{"BlobNotFound", FHA_NOT_FOUND, NULL},
	{"BlobAlreadyExists", FHA_CONFLICT, NULL},
	/* Of a write with If-None-Match; a GET with If-Match comes later, and finds the other blob. */
	{"ConditionNotMet", FHA_CONFLICT, NULL},
	{"TargetConditionNotMet", FHA_CONFLICT, NULL},
	{"InvalidBlockList", FHA_NOT_FOUND, NULL},
	{"InvalidRange", FHA_INVALID, NULL},
	{"ContainerNotFound", FHA_INVALID, "the container does not exist: create it"},
	{"ResourceNotFound", FHA_INVALID, "the account or the container does not exist"},
	{"ContainerDisabled", FHA_DENIED, NULL},
	{"ContainerBeingDeleted", FHA_AGAIN, NULL},
	{"AuthenticationFailed", FHA_DENIED, "the key, SAS or token is wrong or has expired"},
	{"InvalidAuthenticationInfo", FHA_DENIED, "the key, SAS or token is wrong or has expired"},
	{"NoAuthenticationInformation", FHA_DENIED, "the container is not public: give credentials"},
	{"AuthorizationFailure", FHA_DENIED,
	 "the account's firewall or the SAS does not allow it, or the key is wrong"},
	{"AuthorizationPermissionMismatch", FHA_DENIED, ROLE ", or the SAS the right"},
	{"AuthorizationServiceMismatch", FHA_DENIED, "the SAS is not for the Blob service"},
	{"AuthorizationResourceTypeMismatch", FHA_DENIED, "the SAS must be for containers and objects"},
	{"AuthorizationProtocolMismatch", FHA_DENIED, "the SAS is for https alone"},
	{"AuthorizationSourceIPMismatch", FHA_DENIED, "the SAS is not for this machine's address"},
	{"InsufficientAccountPermissions", FHA_DENIED, ROLE},
	{"KeyBasedAuthenticationNotPermitted", FHA_DENIED,
	 "the account takes no keys: use an identity"},
	{"AccountIsDisabled", FHA_DENIED, NULL},
	{"LeaseIdMissing", FHA_DENIED, "another program has a lease on it"},
	{"BlobImmutableDueToPolicy", FHA_DENIED, NULL},
	{"SnapshotsPresent", FHA_DENIED, NULL},
	{"BlobArchived", FHA_INVALID, "the blob is archived: rehydrate it first"},
	{"BlobBeingRehydrated", FHA_AGAIN, NULL},
	{"InvalidBlobOrBlock", FHA_INVALID,
	 "another program's unfinished upload has this name: Azure drops it after a week"},
	{"BlockCountExceedsLimit", FHA_INVALID, NULL},
	{"ServerBusy", FHA_AGAIN, NULL},
	/* Damaged on its way. */
	{"Md5Mismatch", FHA_IO, NULL},
};

static const FaultRow *
fault_row_of(const char *word)
{
	for (size_t i = 0; i < sizeof(fault_rows) / sizeof(fault_rows[0]); i++)
		if (strcmp(fault_rows[i].word, word) == 0)
			return &fault_rows[i];
	return NULL;
}

/* Of a status alone. */
static FhaCode
fault_code(const FhaAzureFault *fault, bool writes)
{
	if (fault->status == 429 || (fault->status == 503 && fault->word[0] != '\0'))
		return FHA_AGAIN;
	if (fault->status == 507)
		return FHA_FULL;
	/* The server gave up on it, and may have done so late; a proxy may have passed it on before it said so. */
	if (fault->status >= 500 || fault->status == 408)
		return writes ? FHA_UNKNOWN : FHA_IO;
	if (fault->status < 400 || fault->word[0] == '\0')
		return FHA_PROTOCOL;
	return fault->status == 401 || fault->status == 403 ? FHA_DENIED : FHA_INVALID;
}

FhaCode
fha_azure_fault_judge(const FhaAzureFault *fault, bool writes, int64_t clock_off_s, FhaError *err)
{
	const FaultRow *row = fault_row_of(fault->word);
	FhaCode code = row != NULL ? row->code : fault_code(fault, writes);
	const char *advice = row != NULL ? row->advice : NULL;

	if (code == FHA_DENIED && (clock_off_s > CLOCK_OFF_MAX_S || clock_off_s < -CLOCK_OFF_MAX_S))
		return fha_error(
			err, code,
			"Azure answers %d %s: this machine's clock is %" PRId64 " minutes %s: set it right",
			fault->status, fault->word, (clock_off_s < 0 ? -clock_off_s : clock_off_s) / 60,
			clock_off_s < 0 ? "fast" : "slow");
	if (fault->word[0] == '\0')
		return fha_error(err, code,
						 "HTTP status %d without x-ms-error-code: this is not Azure's answer",
						 fault->status);
	return fha_error(err, code, "Azure answers %d %s%s%s", fault->status, fault->word,
					 advice == NULL && fault->message[0] == '\0' ? "" : ": ",
					 advice != NULL ? advice : fault->message);
}
