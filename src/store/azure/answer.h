/*
 * answer.h: what Azure's Blob service says: lists, blocks, and refusals.
 *
 * Blocks belong to a blob's name and not to an upload, so a block's id says whose it is:
 * base64("fha." upload "." number).  All ids of a name have the same length, as Azure demands.  An upload
 * has a block 0 since its beginning, and a block 99999 once it was aborted, because no request
 * removes a block.  Neither is ever part of a blob.  Azure drops all blocks of a name when a blob of
 * that name is written, and a week after the last block came.
 */
#ifndef FHA_STORE_AZURE_ANSWER_H
#define FHA_STORE_AZURE_ANSWER_H

#include "store/driver.h"

/* 32 hex digits; the first 8 are when it began, in seconds since 1970, by the clock of the beginner. */
#define FHA_AZURE_UPLOAD_SIZE FHA_UUID_SIZE
#define FHA_AZURE_BLOCK_ID_SIZE 57

#define FHA_AZURE_BLOCK_BEGUN 0u
#define FHA_AZURE_BLOCK_ABORTED 99999u

/* With the time in seconds since 1970, and chance.  IO. */
FHA_MUST_CHECK FhaCode fha_azure_upload_new(char out[FHA_AZURE_UPLOAD_SIZE], int64_t now_s,
											FhaError *err);
bool fha_azure_upload_valid(const char *upload);
int64_t fha_azure_upload_began_s(const char *upload);
/* Of a valid upload; number: at most 99999. */
void fha_azure_block_id(const char *upload, unsigned number, char out[FHA_AZURE_BLOCK_ID_SIZE]);

typedef struct FhaAzureBlock
{
	char upload[FHA_AZURE_UPLOAD_SIZE];
	unsigned number;
	uint64_t size;
} FhaAzureBlock;

/* The uncommitted blocks of a name that are ours, by upload and number. */
typedef struct FhaAzureBlocks
{
	FhaAzureBlock *blocks;
	size_t count;
	size_t room;
} FhaAzureBlocks;

/* Of Get Block List.  PROTOCOL, NO_MEMORY; release it in any case. */
FHA_MUST_CHECK FhaCode fha_azure_blocks_read(const char *data, size_t size, FhaAzureBlocks *out,
											 FhaError *err);
void fha_azure_blocks_release(FhaAzureBlocks *blocks);
/* The parts of an upload, and how many; NULL: it was not begun, or it was aborted. */
const FhaAzureBlock *fha_azure_blocks_of(const FhaAzureBlocks *blocks, const char *upload,
										 size_t *count);

/*
 * Of List Blobs, into result: objects, and the name of the next page.  Folders that a hierarchical
 * namespace shows as blobs are no objects.  PROTOCOL, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_azure_list_read(const char *data, size_t size,
										   const FhaStoreSettings *settings, FhaStoreResult *result,
										   FhaError *err);

#define FHA_AZURE_WORD_SIZE 64
#define FHA_AZURE_MESSAGE_SIZE 128

/* An answer that is no success. */
typedef struct FhaAzureFault
{
	int status;
	char word[FHA_AZURE_WORD_SIZE]; /* "BlobNotFound"; "": it has none, so it is not Azure's */
	char message[FHA_AZURE_MESSAGE_SIZE]; /* printable; "": none */
} FhaAzureFault;

/* header: x-ms-error-code, or "".  Of the body the sentence alone is taken, and nothing that was signed. */
void fha_azure_fault_read(int status, const char *header, const char *data, size_t size,
						  FhaAzureFault *out);

/*
 * The code for a FhaStoreResult, and a sentence.  writes: what was asked may have been carried out.
 * clock_off_s: the server's clock minus ours; 0: not known.
 */
FhaCode fha_azure_fault_judge(const FhaAzureFault *fault, bool writes, int64_t clock_off_s,
							  FhaError *err);

#endif
