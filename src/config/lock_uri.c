/*
 * lock_uri.c: how a lock is named.  See lock_uri.h.
 */
#include "config/lock_uri.h"

#include <string.h>

#include "config/settings.h"

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
fha_record_name_valid(const char *name)
{
	size_t length = strnlen(name, FHA_RECORD_NAME_SIZE);

	if (length == 0 || length >= FHA_RECORD_NAME_SIZE)
		return false;
	if (!is_alphanumeric(name[0]) || !is_alphanumeric(name[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(name[i]) && name[i] != '.' && name[i] != '-')
			return false;
	return true;
}

FhaCode
fha_lock_dir_check(const char *path, FhaError *err)
{
	if (path[0] == '/')
		return FHA_OK;
	return fha_error(err, FHA_INVALID,
					 "lock directory \"%.120s\" is not an absolute path: write \"dir:/...\"", path);
}

static bool
uri_take_text(const char *from, size_t length, char *out, size_t size)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(out, from, length);
	out[length] = '\0';
	return true;
}

static bool
take_option(FhaKubePlace *place, const char *option, size_t length)
{
	static const char *const keys[] = {"context=", "namespace=", "cluster="};
	char *const texts[] = {place->context, place->namespace_, place->cluster};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		size_t key = strlen(keys[i]);

		if (length > key && strncmp(option, keys[i], key) == 0)
			return uri_take_text(option + key, length - key, texts[i], FHA_PLACE_TEXT_SIZE) &&
				   (i == 0 || fha_record_name_valid(texts[i]));
	}
	return false;
}

FhaCode
fha_kube_place_parse(const char *rest, FhaKubePlace *place, FhaError *err)
{
	size_t length = strcspn(rest, "?");
	const char *at = rest + length;

	memset(place, 0, sizeof(*place));
	if (length > 0 && (rest[0] != '/' ||
					   !uri_take_text(rest, length, place->kubeconfig, sizeof(place->kubeconfig))))
		return fha_error(err, FHA_INVALID,
						 "\"%.100s\" is not the absolute path of a kubeconfig: write "
						 "\"kubernetes:/path\", or \"kubernetes:\" in a pod",
						 rest);
	while (*at != '\0')
	{
		size_t size = strcspn(++at, "&");

		if (!take_option(place, at, size))
			return fha_error(err, FHA_INVALID,
							 "\"%.*s\" says nothing about a lock: context=NAME, namespace=NAME and "
							 "cluster=NAME do",
							 (int) (size < 80 ? size : 80), at);
		at += size;
	}
	return FHA_OK;
}

static FhaCode
check_kubernetes(const char *rest, FhaError *err)
{
	FhaKubePlace place;

	return fha_kube_place_parse(rest, &place, err);
}

static const FhaTimes dir_times = {
#define FHA_LEASE_TIME(name, unit, usual, ...) .FHA_FIELD(name, unit) = FHA_AMOUNT(usual),
#include "config/settings.def"
};

/* client-go's: an API server is asked over the network. */
static const FhaTimes kube_times = {
#define FHA_LEASE_TIME(name, unit, usual, on_kubernetes, ...) \
	.FHA_FIELD(name, unit) = FHA_AMOUNT(on_kubernetes),
#include "config/settings.def"
};

static const struct
{
	const char *name;
	const FhaTimes *times; /* where nobody sets others */
	FhaCode (*check)(const char *rest, FhaError *err);
} schemes[FHA_LOCK_SCHEMES] = {
	[FHA_LOCK_DIR] = {"dir:", &dir_times, fha_lock_dir_check},
	[FHA_LOCK_KUBERNETES] = {"kubernetes:", &kube_times, check_kubernetes},
};

FhaCode
fha_lock_uri_scheme(const char *uri, FhaLockScheme *scheme, const char **rest, FhaError *err)
{
	for (size_t i = 0; i < FHA_LOCK_SCHEMES; i++)
	{
		size_t length = strlen(schemes[i].name);

		*rest = uri + length;
		*scheme = (FhaLockScheme) i;
		if (strncmp(uri, schemes[i].name, length) == 0)
			return FHA_OK;
	}
	return fha_error(err, FHA_INVALID,
					 "\"%.100s\" names no lock; a lock is \"dir:/absolute/path\" or "
					 "\"kubernetes:[/path/of/kubeconfig][?namespace=NAME]\"",
					 uri);
}

FhaTimes
fha_lock_times(const char *uri)
{
	const char *rest;
	FhaLockScheme scheme;

	return fha_lock_uri_scheme(uri, &scheme, &rest, NULL) == FHA_OK ? *schemes[scheme].times
																	: dir_times;
}

FhaCode
fha_lock_check(const char *uri, FhaError *err)
{
	const char *rest;
	FhaLockScheme scheme;
	FhaCode code = fha_lock_uri_scheme(uri, &scheme, &rest, err);

	return code == FHA_OK ? schemes[scheme].check(rest, err) : code;
}
