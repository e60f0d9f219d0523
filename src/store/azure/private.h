/*
 * private.h: the parts of the Azure driver: driver.c has calls, verbs.c what they do, send.c one request.
 */
#ifndef FHA_STORE_AZURE_PRIVATE_H
#define FHA_STORE_AZURE_PRIVATE_H

#include "base/secret.h"
#include "store/azure/answer.h"
#include "store/azure/connection.h"
#include "store/azure/sign.h"
#include "store/azure/token.h"

/* Of a try that needs many: blobs to delete, names whose blocks are looked at. */
#define FHA_AZURE_SLOTS_MAX 16
/* Uploads that this process has seen since their beginning. */
#define FHA_AZURE_KNOWN_MAX 64

/* The blob's metadata that names the upload it was made of. */
#define FHA_AZURE_UPLOAD_META "x-ms-meta-fha_upload"

typedef struct FhaAzure FhaAzure;
typedef struct FhaAzureTry FhaAzureTry;

typedef enum FhaAzureWhat
{
	FHA_AZURE_PROPERTIES, /* Get Blob Properties */
	FHA_AZURE_GET,        /* Get Blob */
	FHA_AZURE_PUT,        /* Put Blob */
	FHA_AZURE_LIST,       /* List Blobs */
	FHA_AZURE_BLOCKS,     /* Get Block List */
	FHA_AZURE_BLOCK,      /* Put Block */
	FHA_AZURE_COMMIT,     /* Put Block List */
	FHA_AZURE_DELETE      /* Delete Blob */
} FhaAzureWhat;

/* One request of a try, and its place for the next. */
typedef struct FhaAzureSlot
{
	FhaAzureTry *try_;
	FhaHttpCall call;
	FhaAzureWhat what;
	const char *key; /* with the store's prefix */
	unsigned number; /* of a block */
	bool busy;
	bool waits;          /* for a token */
	unsigned generation; /* of the token that it has */
	FhaText body;
} FhaAzureSlot;

struct FhaAzureTry
{
	FhaAzureTry *next;
	FhaAzure *azure;
	FhaStoreCall *call;
	bool ended;
	bool broken;          /* a GET whose bytes make no sense: ended by the next step */
	size_t key_next;      /* DELETE, UPLOADS: the next that no slot has */
	FhaStoreResult names; /* UPLOADS: that may have blocks */
	uint64_t from;        /* GET: where its bytes begin, and how many there are */
	uint64_t expected;
	char upload[FHA_AZURE_UPLOAD_SIZE]; /* BEGIN */
	size_t slot_count;
	FhaAzureSlot slots[];
};

struct FhaAzure
{
	FhaStore store;
	FhaHttpClient client;
	FhaSecret secret; /* as the settings have it */
	FhaSecret ca;
	/* What follows from it. */
	FhaAzureConnection access;
	unsigned char *key;
	size_t key_size;
	char origin[FHA_AZURE_BASE_SIZE]; /* scheme, host and port of access.base */
	const char *path;                 /* in access.base: "" or "/account" */
	FhaAzureTokens tokens;
	FhaAzureTry *tries;
	char known[FHA_AZURE_KNOWN_MAX][FHA_AZURE_UPLOAD_SIZE];
	size_t known_next;
};

/* From the settings and the secret.  INVALID, NO_MEMORY; then all is as it was. */
FHA_MUST_CHECK FhaCode fha_azure_take_access(FhaAzure *azure, FhaError *err);

void fha_azure_key_free(unsigned char *key, size_t size);

/*
 * Send what the slot says.  OK: it is on its way, or waits for a token.  ended: as FhaHttpAsk's, whose owner
 * is the slot.
 */
FHA_MUST_CHECK FhaCode fha_azure_send(FhaAzureSlot *slot, FhaError *err);
void fha_azure_drop(FhaAzureSlot *slot);

bool fha_azure_writes(FhaAzureWhat what);

/* What libcurl brings, for send.c. */
bool fha_azure_headed(FhaHttpCall *call);
size_t fha_azure_take(const char *data, size_t size, void *owner);
void fha_azure_answered(FhaHttpCall *call);

/* INVALID: Azure cannot have one of the keys. */
FHA_MUST_CHECK FhaCode fha_azure_check_keys(const FhaStoreAsked *asked, FhaError *err);
/* Other than OK: the try has ended, and was not marked so. */
FHA_MUST_CHECK FhaCode fha_azure_try_begin(FhaAzureTry *try_, FhaError *err);
/* The first end of a try counts; its other requests are broken off. */
void fha_azure_try_end(FhaAzureTry *try_, FhaCode code);
/* Send the slot's next request, or end the try. */
void fha_azure_slot_send(FhaAzureSlot *slot, FhaAzureWhat what);

#endif
