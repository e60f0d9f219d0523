/*
 * certificate.c: what PostgreSQL serves TLS with.  See certificate.h.
 *
 * A pair from outside is copied, never served in place: its two files change one after the other,
 * and PostgreSQL wants the key to be this user's alone.
 */
#include "cli/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "config/state_directory.h"
#include "node/state.h"

#define FILE_MAX (256 * 1024) /* a chain has some kilobytes */
#define DAY_S (24L * 3600)
#define OWN_DAYS 3650
/* One that was made here is made anew this long before its end. */
#define OWN_RENEW_DAYS 30
#define SERIAL_BYTES 16

typedef struct Pair
{
	char *certificate; /* PEM */
	char *key;
} Pair;

static void
pair_forget(Pair *pair)
{
	free(pair->certificate);
	if (pair->key != NULL)
		explicit_bzero(pair->key, strlen(pair->key));
	free(pair->key);
	memset(pair, 0, sizeof(*pair));
}

static FhaCode
read_pair(const char *certificate, const char *key, Pair *out, FhaError *err)
{
	FhaCode code = fha_file_read(certificate, FILE_MAX, &out->certificate, err);

	if (code == FHA_OK)
		code = fha_file_read(key, FILE_MAX, &out->key, err);
	if (code != FHA_OK)
		pair_forget(out);
	return code;
}

/* A key with a passphrase would ask a terminal for it. */
static int
no_passphrase(char *out, int size, int writing, void *argument)
{
	(void) out;
	(void) size;
	(void) writing;
	(void) argument;
	return -1;
}

/* Why PostgreSQL cannot serve it, or its standbys not log in over it; NULL: both can. */
static const char *
fault_of(const Pair *pair, time_t until)
{
	BIO *in = BIO_new_mem_buf(pair->certificate, -1);
	BIO *key_in = BIO_new_mem_buf(pair->key, -1);
	X509 *certificate = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
	EVP_PKEY *key =
		key_in == NULL ? NULL : PEM_read_bio_PrivateKey(key_in, NULL, no_passphrase, NULL);
	const char *fault = NULL;
	int digest = NID_undef;

	if (certificate == NULL)
		fault = "its certificate is not in PEM";
	else if (key == NULL)
		fault = "its key is not in PEM, or has a passphrase";
	else if (X509_check_private_key(certificate, key) != 1)
		fault = "its key does not belong to its certificate";
	else if (X509_cmp_time(X509_get0_notAfter(certificate), &until) < 0)
		fault = "its certificate has expired";
	else if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1 ||
			 digest == NID_undef)
		fault = "its signature has no digest of its own (Ed25519), which channel binding needs";
	X509_free(certificate);
	EVP_PKEY_free(key);
	BIO_free(in);
	BIO_free(key_in);
	return fault;
}

static char *
bio_take_text(BIO *bio)
{
	char *bytes;
	long size = BIO_get_mem_data(bio, &bytes);
	char *text = size <= 0 ? NULL : malloc((size_t) size + 1);

	if (text != NULL)
	{
		memcpy(text, bytes, (size_t) size);
		text[size] = '\0';
	}
	return text;
}

static EVP_PKEY *
make_key(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	if (context != NULL && EVP_PKEY_keygen_init(context) == 1 &&
		EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1)
		(void) EVP_PKEY_keygen(context, &key);
	EVP_PKEY_CTX_free(context);
	return key;
}

static bool
name_it(X509 *certificate, const FhaConfig *config)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	char names[2 * FHA_NAME_SIZE + 30];
	X509_EXTENSION *extension;
	bool done;

	(void) snprintf(names, sizeof(names), "DNS:%s,DNS:%s", config->member_name,
					config->cluster_name);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	done =
		extension != NULL &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
								   (const unsigned char *) config->member_name, -1, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1 &&
		X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return done;
}

static bool
number_it(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f; /* positive */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return done;
}

static FhaCode
make_pair(const FhaConfig *config, Pair *out, FhaError *err)
{
	EVP_PKEY *key = make_key();
	X509 *certificate = X509_new();
	BIO *certificate_out = BIO_new(BIO_s_mem());
	BIO *key_out = BIO_new(BIO_s_mem());

	/* A clock that is some hours behind ours must not refuse it. */
	if (key != NULL && certificate != NULL && certificate_out != NULL && key_out != NULL &&
		X509_set_version(certificate, 2) == 1 && number_it(certificate) &&
		X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(certificate), OWN_DAYS * DAY_S) != NULL &&
		X509_set_pubkey(certificate, key) == 1 && name_it(certificate, config) &&
		X509_sign(certificate, key, EVP_sha256()) > 0 &&
		PEM_write_bio_X509(certificate_out, certificate) == 1 &&
		PEM_write_bio_PrivateKey(key_out, key, NULL, NULL, 0, NULL, NULL) == 1)
	{
		out->certificate = bio_take_text(certificate_out);
		out->key = bio_take_text(key_out);
	}
	BIO_free(key_out);
	BIO_free(certificate_out);
	X509_free(certificate);
	EVP_PKEY_free(key);
	if (out->certificate != NULL && out->key != NULL)
		return FHA_OK;
	pair_forget(out);
	return fha_error(err, FHA_NO_MEMORY, "could not make a certificate");
}

/* A crash between the two leaves a pair that does not fit, and is replaced. */
static FhaCode
certificate_store(const char *certificate, const char *key, const Pair *pair, FhaError *err)
{
	FhaCode code = fha_file_replace(key, pair->key, strlen(pair->key), err);

	return code == FHA_OK
			   ? fha_file_replace(certificate, pair->certificate, strlen(pair->certificate), err)
			   : code;
}

/* The pair from outside; `out` stays empty, and `refused` may say why. */
static void
read_given(const FhaConfig *config, Pair *out, char *refused, size_t size)
{
	char certificate[FHA_PATH_SIZE + 16];
	char key[FHA_PATH_SIZE + 16];
	const char *fault = NULL;
	FhaError err;
	FhaCode code;

	refused[0] = '\0';
	if (config->tls_directory[0] == '\0')
		return;
	(void) snprintf(certificate, sizeof(certificate), "%s/tls.crt", config->tls_directory);
	(void) snprintf(key, sizeof(key), "%s/tls.key", config->tls_directory);
	code = read_pair(certificate, key, out, &err);
	if (code == FHA_NOT_FOUND)
		return; /* an optional Secret */
	if (code == FHA_OK)
		fault = fault_of(out, time(NULL));
	if (code != FHA_OK || fault != NULL)
		(void) snprintf(refused, size, "the certificate in \"%.80s\" is not taken: %.160s",
						config->tls_directory, fault == NULL ? err.text : fault);
	if (fault != NULL)
		pair_forget(out);
}

FhaCode
certificate_keep(const FhaConfig *config, bool *changed, char *refused, size_t size, FhaError *err)
{
	char certificate[FHA_PATH_SIZE];
	char key[FHA_PATH_SIZE];
	Pair there = {NULL, NULL};
	Pair wanted = {NULL, NULL};
	time_t margin;
	FhaCode code = fha_state_path(config, "server.crt", certificate, sizeof(certificate), err);

	*changed = false;
	if (code == FHA_OK)
		code = fha_state_path(config, "server.key", key, sizeof(key), err);
	if (code != FHA_OK)
		return code;
	read_given(config, &wanted, refused, size);
	/* One from outside is renewed there: it serves to its end. */
	margin = refused[0] == '\0' ? OWN_RENEW_DAYS * DAY_S : 0;
	if (read_pair(certificate, key, &there, err) == FHA_OK &&
		fault_of(&there, time(NULL) + margin) != NULL)
		pair_forget(&there);
	if (wanted.key == NULL && there.key == NULL)
		code = make_pair(config, &wanted, err);
	if (code == FHA_OK && wanted.key != NULL &&
		(there.key == NULL || strcmp(wanted.key, there.key) != 0 ||
		 strcmp(wanted.certificate, there.certificate) != 0))
	{
		code = certificate_store(certificate, key, &wanted, err);
		*changed = code == FHA_OK;
	}
	pair_forget(&there);
	pair_forget(&wanted);
	return code;
}
