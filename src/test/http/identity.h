/*
 * identity.h: a certificate for a test, made at run time.
 */
#ifndef FHA_TEST_IDENTITY_H
#define FHA_TEST_IDENTITY_H

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define NEEDED(condition)                                                                  \
	do                                                                                     \
	{                                                                                      \
		if (!(condition))                                                                  \
		{                                                                                  \
			(void) fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                       \
		}                                                                                  \
	} while (0)

/* A certificate that vouches for itself, and its key; both in PEM too. */
typedef struct Identity
{
	X509 *cert;
	EVP_PKEY *key;
	char cert_pem[4096];
	char key_pem[4096];
} Identity;

static void
bio_text(BIO *bio, char *out, size_t size)
{
	int length = BIO_read(bio, out, (int) size - 1);

	NEEDED(length > 0);
	out[length] = '\0';
	BIO_free(bio);
}

/* key: taken over.  purpose: what extendedKeyUsage says; NULL: nothing is said. */
static void
identity_make(Identity *out, const char *name, const char *address, EVP_PKEY *key,
			  const char *purpose)
{
	X509_EXTENSION *extension;
	X509_NAME *subject;
	BIO *bio;

	out->key = key;
	out->cert = X509_new();
	NEEDED(out->key != NULL && out->cert != NULL);
	subject = X509_get_subject_name(out->cert);
	NEEDED(X509_set_version(out->cert, 2) == 1);
	NEEDED(ASN1_INTEGER_set(X509_get_serialNumber(out->cert), 1) == 1);
	NEEDED(X509_gmtime_adj(X509_getm_notBefore(out->cert), -3600) != NULL);
	NEEDED(X509_gmtime_adj(X509_getm_notAfter(out->cert), 86400) != NULL);
	NEEDED(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *) name, -1,
									  -1, 0) == 1);
	NEEDED(X509_set_issuer_name(out->cert, subject) == 1);
	NEEDED(X509_set_pubkey(out->cert, out->key) == 1);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, address);
	NEEDED(extension != NULL && X509_add_ext(out->cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	NEEDED(extension != NULL && X509_add_ext(out->cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
	if (purpose != NULL)
	{
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, purpose);
		NEEDED(extension != NULL && X509_add_ext(out->cert, extension, -1) == 1);
		X509_EXTENSION_free(extension);
	}
	NEEDED(X509_sign(out->cert, out->key, EVP_sha256()) > 0);
	bio = BIO_new(BIO_s_mem());
	NEEDED(PEM_write_bio_X509(bio, out->cert) == 1);
	bio_text(bio, out->cert_pem, sizeof(out->cert_pem));
	bio = BIO_new(BIO_s_mem());
	NEEDED(PEM_write_bio_PrivateKey(bio, out->key, NULL, NULL, 0, NULL, NULL) == 1);
	bio_text(bio, out->key_pem, sizeof(out->key_pem));
}

static void
identity_init(Identity *out, const char *name, const char *address)
{
	identity_make(out, name, address, EVP_EC_gen("P-256"), NULL);
}

static void
identity_release(Identity *identity)
{
	X509_free(identity->cert);
	EVP_PKEY_free(identity->key);
}

#endif
