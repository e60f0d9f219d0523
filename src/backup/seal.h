/*
 * seal.h: a stream that encrypts, and the way back.
 *
 * The format is Tink's streaming AEAD, AES256_GCM_HKDF_1MB: segments of 1 MiB, each of which proves its place, that it is whole, and
 * whether it is the last.  The object's key in the store is associated data, so one object cannot stand in for another.
 * Tink reads what is written here, and what Tink writes is read here.
 *
 * A file of keys has a line for each: 32 bytes in base64, as `openssl rand -base64 32` prints them.  Empty lines, and those
 * that begin with "#", do not count.  The first key seals; each of them opens.  So a new key is put in front, and the old one stays
 * until nothing is needed that it sealed.
 */
#ifndef FHA_BACKUP_SEAL_H
#define FHA_BACKUP_SEAL_H

#include <stdint.h>

#include "backup/stream.h"

#define FHA_SEAL_KEY_BYTES 32
#define FHA_SEAL_KEYS_MAX 16
#define FHA_SEAL_ID_SIZE 17

typedef struct FhaSealKey
{
	unsigned char bytes[FHA_SEAL_KEY_BYTES];
	/* Follows from the key and says nothing of it: backup.info may have it. */
	char id[FHA_SEAL_ID_SIZE];
} FhaSealKey;

typedef struct FhaSealKeys
{
	FhaSealKey keys[FHA_SEAL_KEYS_MAX];
	size_t count; /* at least 1 */
} FhaSealKeys;

/* INVALID: which line, and not what is in it. */
FHA_MUST_CHECK FhaCode fha_seal_keys_parse(FhaSealKeys *out, const char *text, FhaError *err);

/* Of a file; as above, and NOT_FOUND, IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_seal_keys_read(FhaSealKeys *out, const char *path, FhaError *err);

/* NULL: there is none of that id, so what it sealed cannot be opened. */
FHA_API const FhaSealKey *fha_seal_keys_find(const FhaSealKeys *keys, const char *id);

/* Wipes them. */
void fha_seal_keys_forget(FhaSealKeys *keys);

/* How many bytes become of `size`. */
uint64_t fha_sealed_size(uint64_t size);

/* `object` is the object's key, and copied.  NO_MEMORY; IO: no random numbers. */
FHA_MUST_CHECK FhaCode fha_seal_open(FhaStream **out, const FhaSealKey *key, const char *object,
									 FhaError *err);

/*
 * The way back; keys are copied.  No byte comes out that was not proved.
 * DENIED, once the first segment is there: no key opens it, which is also so if it was sealed as another object.
 * INVALID: a later segment is damaged or at a wrong place, or the object was cut off.
 */
FHA_MUST_CHECK FhaCode fha_unseal_open(FhaStream **out, const FhaSealKeys *keys, const char *object,
									   FhaError *err);

#endif
