/*
 * seal.c: Tink's AES256_GCM_HKDF_1MB by OpenSSL.  See backup/seal.h.
 *
 * An object is a header (its size, a salt, the beginning of all nonces) and segments: ciphertext and tag.  A segment's nonce is that
 * beginning, its number, and 1 for the last one.  Its key is derived from ours, the salt and the associated data.
 */
#include "backup/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define SEAL_SEGMENT ((size_t) 1024 * 1024)
#define SEAL_TAG 16
#define SEAL_SALT 32
#define SEAL_PREFIX 7
#define SEAL_NONCE 12
#define SEAL_HEADER (1 + SEAL_SALT + SEAL_PREFIX)
#define SEAL_FILE_MAX ((size_t) 64 * 1024)
#define SEAL_BASE64_SIZE 44

/* --- keys */

static bool
seal_id(FhaSealKey *key)
{
	static const char about[] = "fawkes_ha: the id of a key";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned size;

	if (HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes), (const unsigned char *) about,
			 sizeof(about) - 1, sum, &size) == NULL)
		return false;
	for (size_t i = 0; i < (FHA_SEAL_ID_SIZE - 1) / 2; i++)
		(void) snprintf(key->id + 2 * i, 3, "%02x", sum[i]);
	return true;
}

/* 32 bytes are 43 digits and a "=". */
static bool
seal_key_parse(FhaSealKey *out, const char *line, size_t size)
{
	unsigned char bytes[SEAL_BASE64_SIZE / 4 * 3];
	bool is_key = size == SEAL_BASE64_SIZE && line[size - 1] == '=' && line[size - 2] != '=' &&
				  EVP_DecodeBlock(bytes, (const unsigned char *) line, SEAL_BASE64_SIZE) ==
					  (int) sizeof(bytes);

	if (is_key)
		memcpy(out->bytes, bytes, sizeof(out->bytes));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return is_key;
}

FhaCode
fha_seal_keys_parse(FhaSealKeys *out, const char *text, FhaError *err)
{
	FhaCode code = FHA_OK;
	unsigned line = 0;

	*out = (FhaSealKeys){.count = 0};
	while (*text != '\0' && code == FHA_OK)
	{
		size_t size = strcspn(text, "\n");
		size_t used = size;

		line++;
		while (used > 0 && (text[used - 1] == ' ' || text[used - 1] == '\r'))
			used--;
		if (used > 0 && text[0] != '#')
		{
			if (out->count == FHA_SEAL_KEYS_MAX)
				code = fha_error(err, FHA_INVALID, "more than %d keys", FHA_SEAL_KEYS_MAX);
			else if (!seal_key_parse(&out->keys[out->count], text, used))
				code = fha_error(
					err, FHA_INVALID,
					"line %u is no key: 32 bytes in base64, as of \"openssl rand -base64 32\"",
					line);
			else if (!seal_id(&out->keys[out->count++]))
				code = fha_error(err, FHA_NO_MEMORY, "out of memory");
		}
		text += size + (text[size] == '\n');
	}
	if (code == FHA_OK && out->count == 0)
		code = fha_error(err, FHA_INVALID, "no key in it");
	if (code != FHA_OK)
		fha_seal_keys_forget(out);
	return code;
}

FhaCode
fha_seal_keys_read(FhaSealKeys *out, const char *path, FhaError *err)
{
	char *text;
	FhaError why;
	FhaCode code = fha_file_read(path, SEAL_FILE_MAX, &text, err);

	if (code != FHA_OK)
		return code;
	code = fha_seal_keys_parse(out, text, &why);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	return code == FHA_OK ? FHA_OK : fha_error(err, code, "\"%.120s\": %s", path, why.text);
}

const FhaSealKey *
fha_seal_keys_find(const FhaSealKeys *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++)
	{
		if (strcmp(keys->keys[i].id, id) == 0)
			return &keys->keys[i];
	}
	return NULL;
}

void
fha_seal_keys_forget(FhaSealKeys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

/* --- segments, both ways */

/* What both ways have. */
typedef struct Seal
{
	FhaStream stream;
	FhaCode (*make_segment)(struct Seal *seal, bool is_last, FhaError *err);
	EVP_CIPHER_CTX *cipher;
	FhaSealKeys keys; /* that may open */
	unsigned char prefix[SEAL_PREFIX];
	uint32_t segment; /* the number of the next one */
	char *object;
	size_t in_size;
	size_t in_wanted;   /* a segment is whole then */
	unsigned char *in;  /* a segment, as it comes */
	unsigned char *out; /* header and segment, as it goes */
} Seal;

/* RFC 5869 for one block: the salt makes a key of ours, which the associated data turns into the object's. */
static bool
seal_derive(const FhaSealKey *key, const unsigned char *salt, const char *object,
			unsigned char *out)
{
	unsigned char extracted[EVP_MAX_MD_SIZE];
	size_t size = strlen(object);
	unsigned char *info = malloc(size + 1);
	unsigned made;
	bool is_made;

	if (info == NULL)
		return false;
	memcpy(info, object, size);
	info[size] = 1;
	is_made = HMAC(EVP_sha256(), salt, SEAL_SALT, key->bytes, sizeof(key->bytes), extracted,
				   &made) != NULL &&
			  HMAC(EVP_sha256(), extracted, (int) made, info, size + 1, out, &made) != NULL;
	OPENSSL_cleanse(extracted, sizeof(extracted));
	free(info);
	return is_made;
}

/* The object's key, by ours, into the cipher. */
static bool
seal_use_key(Seal *seal, const FhaSealKey *key, const unsigned char *salt, int encrypts)
{
	unsigned char derived[EVP_MAX_MD_SIZE];
	bool is_set =
		seal_derive(key, salt, seal->object, derived) &&
		EVP_CipherInit_ex(seal->cipher, EVP_aes_256_gcm(), NULL, derived, NULL, encrypts) == 1;

	OPENSSL_cleanse(derived, sizeof(derived));
	return is_set;
}

static bool
seal_use_nonce(Seal *seal, bool is_last)
{
	unsigned char nonce[SEAL_NONCE];

	memcpy(nonce, seal->prefix, SEAL_PREFIX);
	for (size_t i = 0; i < 4; i++)
		nonce[SEAL_PREFIX + i] = (unsigned char) (seal->segment >> (24 - 8 * i));
	nonce[SEAL_NONCE - 1] = is_last;
	return EVP_CipherInit_ex(seal->cipher, NULL, NULL, NULL, nonce, -1) == 1;
}

/* Of `size` bytes at `from`, whose place is said by the nonce; the tag is behind them, or comes there. */
static bool
seal_encrypt(Seal *seal, const unsigned char *from, size_t size, unsigned char *to, bool is_last)
{
	int made;

	return seal_use_nonce(seal, is_last) &&
		   EVP_EncryptUpdate(seal->cipher, to, &made, from, (int) size) == 1 &&
		   EVP_EncryptFinal_ex(seal->cipher, to + size, &made) == 1 &&
		   EVP_CIPHER_CTX_ctrl(seal->cipher, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, to + size) == 1;
}

static bool
seal_decrypt(Seal *seal, unsigned char *from, size_t size, unsigned char *to, bool is_last)
{
	int made;

	return seal_use_nonce(seal, is_last) &&
		   EVP_DecryptUpdate(seal->cipher, to, &made, from, (int) size) == 1 &&
		   EVP_CIPHER_CTX_ctrl(seal->cipher, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, from + size) == 1 &&
		   EVP_DecryptFinal_ex(seal->cipher, to + size, &made) == 1;
}

static FhaCode
seal_segment(Seal *seal, bool is_last, FhaError *err)
{
	size_t header = seal->segment == 0 ? SEAL_HEADER : 0;

	if (!seal_encrypt(seal, seal->in, seal->in_size, seal->out + header, is_last))
		return fha_error(err, FHA_NO_MEMORY,
						 "out of memory"); /* LCOV_EXCL_LINE: it has all it needs */
	seal->stream.out = (const char *) seal->out;
	seal->stream.out_size = header + seal->in_size + SEAL_TAG;
	seal->segment++;
	seal->in_size = 0;
	seal->in_wanted = SEAL_SEGMENT - SEAL_TAG;
	return FHA_OK;
}

/* The first segment: it says which key it is. */
static FhaCode
unseal_first(Seal *seal, size_t size, bool is_last, FhaError *err)
{
	const unsigned char *salt = seal->in + 1;

	memcpy(seal->prefix, seal->in + 1 + SEAL_SALT, SEAL_PREFIX);
	for (size_t i = 0; i < seal->keys.count; i++)
	{
		if (!seal_use_key(seal, &seal->keys.keys[i], salt, 0))
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		if (seal_decrypt(seal, seal->in + SEAL_HEADER, size, seal->out, is_last))
			return FHA_OK;
	}
	return fha_error(
		err, FHA_DENIED,
		"no key opens \"%.120s\": it was sealed with another key, as another object, or is damaged",
		seal->object);
}

static FhaCode
unseal_segment(Seal *seal, bool is_last, FhaError *err)
{
	size_t header = seal->segment == 0 ? SEAL_HEADER : 0;
	size_t size = seal->in_size - header - SEAL_TAG;
	FhaCode code = FHA_OK;

	if (seal->in_size < header + SEAL_TAG || (header > 0 && seal->in[0] != SEAL_HEADER))
		return fha_error(err, FHA_INVALID, "\"%.150s\" is not sealed, or was cut off",
						 seal->object);
	if (header > 0)
		code = unseal_first(seal, size, is_last, err);
	else if (!seal_decrypt(seal, seal->in, size, seal->out, is_last))
		code =
			fha_error(err, FHA_INVALID, "\"%.150s\" is damaged or was cut off, in its segment %u",
					  seal->object, seal->segment);
	if (code != FHA_OK)
		return code;
	seal->stream.out = (const char *) seal->out;
	seal->stream.out_size = size;
	seal->segment++;
	seal->in_size = 0;
	return FHA_OK;
}

static FhaCode
seal_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	Seal *seal = (Seal *) stream;
	size_t room;

	/* There is more, so the segment that is whole is not the last. */
	if (seal->in_size == seal->in_wanted)
	{
		FhaCode code = seal->make_segment(seal, false, err);

		if (code != FHA_OK)
			return code;
	}
	room = seal->in_wanted - seal->in_size;
	*taken = size < room ? size : room;
	memcpy(seal->in + seal->in_size, data, *taken);
	seal->in_size += *taken;
	return FHA_OK;
}

static FhaCode
seal_make(FhaStream *stream, FhaError *err)
{
	Seal *seal = (Seal *) stream;

	if (!stream->is_finished)
		return FHA_AGAIN;
	stream->is_ended = true;
	return seal->make_segment(seal, true, err);
}

static void
seal_close(FhaStream *stream)
{
	Seal *seal = (Seal *) stream;

	EVP_CIPHER_CTX_free(seal->cipher);
	fha_seal_keys_forget(&seal->keys);
	free(seal->object);
	free(seal->in);
	free(seal->out);
	free(seal);
}

/* NULL: no memory. */
static Seal *
seal_new(const char *object)
{
	static const FhaStreamKind kind = {.take = seal_take, .make = seal_make, .close = seal_close};
	Seal *seal = calloc(1, sizeof(*seal));

	if (seal == NULL)
		return NULL;
	seal->stream.kind = &kind;
	seal->cipher = EVP_CIPHER_CTX_new();
	seal->object = strdup(object);
	seal->in = malloc(SEAL_SEGMENT);
	seal->out = malloc(SEAL_SEGMENT);
	if (seal->cipher != NULL && seal->object != NULL && seal->in != NULL && seal->out != NULL)
		return seal;
	seal_close(&seal->stream);
	return NULL;
}

uint64_t
fha_sealed_size(uint64_t size)
{
	uint64_t segment = SEAL_SEGMENT - SEAL_TAG;
	uint64_t segments = (size + SEAL_HEADER + segment - 1) / segment;

	return size + SEAL_HEADER + segments * SEAL_TAG;
}

FhaCode
fha_seal_open(FhaStream **out, const FhaSealKey *key, const char *object, FhaError *err)
{
	Seal *seal = seal_new(object);
	unsigned char *header;

	*out = NULL;
	if (seal == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	header = seal->out;
	header[0] = SEAL_HEADER;
	seal->make_segment = seal_segment;
	seal->in_wanted = SEAL_SEGMENT - SEAL_HEADER - SEAL_TAG;
	if (RAND_bytes(header + 1, SEAL_SALT + SEAL_PREFIX) != 1 ||
		!seal_use_key(seal, key, header + 1, 1))
	{
		seal_close(&seal->stream);
		return fha_error(err, FHA_IO, "no random numbers, or no memory, to seal with");
	}
	memcpy(seal->prefix, header + 1 + SEAL_SALT, SEAL_PREFIX);
	*out = &seal->stream;
	/* analyzer: no leak, seal begins with its stream */
	return FHA_OK;
}

FhaCode
fha_unseal_open(FhaStream **out, const FhaSealKeys *keys, const char *object, FhaError *err)
{
	Seal *seal = seal_new(object);

	*out = NULL;
	if (seal == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	seal->make_segment = unseal_segment;
	seal->in_wanted = SEAL_SEGMENT;
	seal->keys = *keys;
	*out = &seal->stream;
	/* analyzer: no leak, seal begins with its stream */
	return FHA_OK;
}
