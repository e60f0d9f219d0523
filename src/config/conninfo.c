/*
 * conninfo.c: the connection string from one member's PostgreSQL to another's.  See conninfo.h.
 */
#include "config/conninfo.h"

#include <stdio.h>
#include <string.h>

#include "config/state_directory.h"

bool
fha_append_quoted(char *out, size_t size, size_t *used, const char *text, const char *special,
				  char escape)
{
	for (; *text != '\0'; text++)
	{
		if (*used + 3 > size)
			return false;
		if (strchr(special, *text) != NULL)
			out[(*used)++] = escape == '\0' ? *text : escape;
		out[(*used)++] = *text;
	}
	out[*used] = '\0';
	return true;
}

static FhaCode
not_an_address(const char *address, FhaError *err)
{
	(void) fha_error(err, FHA_INVALID, "\"%s\" is not host:port", address);
	return FHA_INVALID;
}

static FhaCode
split_address(const char *address, char *host, size_t host_size, char *port, size_t port_size,
			  FhaError *err)
{
	const char *colon = strrchr(address, ':');
	const char *start = address;
	size_t length;

	if (colon == NULL || colon == address || colon[1] == '\0')
		return not_an_address(address, err);
	length = (size_t) (colon - address);
	if (start[0] == '[' && start[length - 1] == ']')
	{
		start++;
		length -= 2;
	}
	if (length == 0 || length >= host_size || strlen(colon + 1) >= port_size ||
		strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return not_an_address(address, err);
	/* A line break would end the line in follow.conf, and with it the server's configuration. */
	for (size_t i = 0; i < length; i++)
		if ((unsigned char) start[i] < ' ' || start[i] == '[')
			return not_an_address(address, err);
	memcpy(host, start, length);
	host[length] = '\0';
	(void) snprintf(port, port_size, "%s", colon + 1);
	return FHA_OK;
}

/*
 * Whoever has a leader's address answers there: after a forged record, or on the port of a server
 * that is down.  So the other side has to prove by SCRAM that it has a verifier of the password, and
 * is not told the password because it asks.  libpq can insist on that with TLS alone before 16.  With
 * TLS no authority vouches for a certificate: who cannot bind the channel to the password has no
 * verifier of it, so that nobody can stand between.  Certificates in a home directory and tickets of
 * Kerberos are somebody else's: no file can have the name that is given for them.
 */
#define NOTHING_OF_HOME \
	" gssencmode=disable sslcert=/dev/null/none sslkey=/dev/null/none sslrootcert=/dev/null/none"

const char *
fha_conninfo_terms(bool tls, int postgres)
{
	if (tls)
		return "sslmode=require channel_binding=require" NOTHING_OF_HOME;
	if (postgres >= 16)
		return "sslmode=prefer require_auth=scram-sha-256" NOTHING_OF_HOME;
	return "sslmode=prefer" NOTHING_OF_HOME;
}

FhaCode
fha_conninfo(const FhaConfig *config, const char *address, const char *application_name, char *out,
			 size_t size, FhaError *err)
{
	char host[FHA_ADDRESS_SIZE];
	char port[8];
	char passfile[FHA_PATH_SIZE];
	size_t used;
	FhaCode code = split_address(address, host, sizeof(host), port, sizeof(port), err);

	if (code == FHA_OK)
		code = fha_state_path(config, "pgpass", passfile, sizeof(passfile), err);
	if (code != FHA_OK)
		return code;
	/* A standby that cannot reach its leader must notice it within seconds, not hours. */
	used = (size_t) snprintf(out, size,
							 "port=%s user=" FHA_REPLICATION_USER " application_name=%s "
							 "connect_timeout=3 keepalives_idle=5 keepalives_interval=2 "
							 "keepalives_count=3 %s host='",
							 port, application_name, fha_conninfo_terms(config->tls, FHA_POSTGRES));
	if (used < size && fha_append_quoted(out, size, &used, host, "'\\", '\\') &&
		fha_append_quoted(out, size, &used, "' passfile='", "", '\0') &&
		fha_append_quoted(out, size, &used, passfile, "'\\", '\\') &&
		fha_append_quoted(out, size, &used, "'", "", '\0'))
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "the connection string to %s is too long", address);
}
