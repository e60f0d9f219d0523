/*
 * supervisor_mounts.c: what is given to this node from outside, and may change while it runs:
 * settings, the replication password, the owner's name and password, the certificate.
 */
#include "cli/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/certificate.h"
#include "cli/process.h"
#include "config/cluster_conf.h"
#include "config/conninfo.h"
#include "config/pgpass.h"
#include "config/state_directory.h"
#include "peer/listener.h"

#define LOOK_MS 1000
/* A certificate of our own ends without any file changing. */
#define CERTIFICATE_MS (3600 * 1000)

/* *length: without the line break that editors add. */
static FhaCode
check_password(const char *text, const char *path, size_t *length, FhaError *err)
{
	*length = strcspn(text, "\r\n");
	if (*length == 0 || *length >= FHA_PASSWORD_SIZE ||
		text[*length + strspn(text + *length, "\r\n")])
		return fha_error(err, FHA_INVALID,
						 "\"%.120s\" has no password: one line of at most %d bytes", path,
						 FHA_PASSWORD_SIZE - 1);
	return FHA_OK;
}

/* pgpass out of fawkes_ha.password_file, where that is set. */
static FhaCode
mounts_keep_password(const FhaConfig *config, bool *changed, FhaError *err)
{
	char line[2 * FHA_PASSWORD_SIZE + 62];
	char path[FHA_PATH_SIZE];
	char *given = NULL;
	char *before = NULL;
	size_t length = 0;
	size_t used = 0;
	FhaCode code;

	if (config->password_file[0] == '\0')
		return FHA_OK;
	code = fha_state_path(config, "pgpass", path, sizeof(path), err);
	if (code == FHA_OK)
		code = fha_file_read(config->password_file, FHA_PASSWORD_SIZE + 1, &given, err);
	if (code == FHA_OK)
		code = check_password(given, config->password_file, &length, err);
	if (code == FHA_OK)
	{
		used = (size_t) sprintf(line, "*:*:*:" FHA_REPLICATION_USER ":");
		for (size_t i = 0; i < length; i++)
		{
			if (given[i] == ':' || given[i] == '\\')
				line[used++] = '\\';
			line[used++] = given[i];
		}
		line[used++] = '\n';
		line[used] = '\0';
		if (fha_file_read(path, FHA_PGPASS_SIZE - 1, &before, NULL) != FHA_OK ||
			strcmp(before, line) != 0)
		{
			code = fha_file_replace(path, line, used, err);
			*changed = code == FHA_OK;
		}
	}
	if (given != NULL)
		explicit_bzero(given, strlen(given));
	if (before != NULL)
		explicit_bzero(before, strlen(before));
	explicit_bzero(line, sizeof(line));
	free(given);
	free(before);
	return code;
}

static FhaCode
keep_certificate(Supervisor *self, bool *changed, FhaError *err)
{
	char refused[sizeof(self->refused)];
	bool news = false;
	FhaCode code;

	self->certificate_at_ms = fha_now_ms();
	if (!self->config.tls)
		return FHA_OK;
	code = certificate_keep(&self->config, &news, refused, sizeof(refused), err);
	if (code != FHA_OK)
		return code;
	if (refused[0] != '\0' && strcmp(refused, self->refused) != 0)
		supervisor_warn(self, "certificate_refused", "%s", refused);
	memcpy(self->refused, refused, sizeof(refused));
	*changed = *changed || news;
	return FHA_OK;
}

/*
 * Who mounts a volume for a group gives it everything there, and PostgreSQL and libpq refuse what
 * others may use.  A file or directory that is not there, or another user's, stays as it is.
 */
static FhaCode
close_to_others(const char *path, mode_t allowed, FhaError *err)
{
	struct stat status;

	if (stat(path, &status) != 0 || status.st_uid != geteuid() ||
		(status.st_mode & 0777 & ~allowed) == 0 || chmod(path, status.st_mode & allowed) == 0)
		return FHA_OK;
	return fha_error_errno(err, FHA_IO, "could not close \"%.120s\" to other users", path);
}

FhaCode
supervisor_close_volume(const Supervisor *self, FhaError *err)
{
	static const char *const files[] = {"pgpass", "server.key"};
	char path[FHA_PATH_SIZE];
	FhaCode code = FHA_OK;

	if (self->given->path == NULL)
		return FHA_OK;
	for (size_t i = 0; code == FHA_OK && i < sizeof(files) / sizeof(files[0]); i++)
	{
		code = fha_state_path(&self->config, files[i], path, sizeof(path), err);
		if (code == FHA_OK)
			code = close_to_others(path, 0600, err);
	}
	return code == FHA_OK ? close_to_others(self->config.data_directory, 0750, err) : code;
}

FhaCode
supervisor_take_mounts(Supervisor *self, bool *changed, FhaError *err)
{
	FhaCode code = mounts_keep_password(&self->config, changed, err);

	return code == FHA_OK ? keep_certificate(self, changed, err) : code;
}

void
supervisor_take_news(Supervisor *self)
{
	bool changed = false;
	FhaError err;
	FhaCode code = settings_file_take(self->given, &self->config, &changed, &err);

	if (code == FHA_OK)
		code = supervisor_reload(self, &err);
	if (code != FHA_OK)
		supervisor_warn(self, "settings_not_taken", "settings are kept as they were: %s", err.text);
	if (supervisor_take_mounts(self, &changed, &err) != FHA_OK)
		supervisor_warn(self, "mounts_not_taken", "%s", err.text);
	if (self->listener != NULL)
		fha_listener_reload(self->listener, &self->config);
	if (self->postmaster != 0)
		(void) kill(self->postmaster, SIGHUP);
	else if (self->foreign != 0 && process_works_in(self->foreign, self->config.data_directory))
		(void) kill(self->foreign, SIGHUP);
}

/* Whatever else a volume's writer does to files: one of these is another then. */
static void
look_at(const char *directory, const char *name, MountedFile *out)
{
	char path[FHA_PATH_SIZE + 32];
	struct stat status;

	memset(out, 0, sizeof(*out));
	(void) snprintf(path, sizeof(path), "%s%s%s", directory, name[0] == '\0' ? "" : "/", name);
	if (directory[0] == '\0' || stat(path, &status) != 0)
		return;
	out->device = status.st_dev;
	out->inode = status.st_ino;
	out->size = status.st_size;
	out->changed = status.st_mtim;
}

void
supervisor_mind_mounts(Supervisor *self)
{
	const FhaConfig *config = &self->config;
	MountedFile seen[MOUNTED_FILES];

	if (fha_now_ms() < self->looked_at_ms + LOOK_MS)
		return;
	memset(seen, 0, sizeof(seen));
	look_at(self->given->path == NULL ? "" : self->given->path, "", &seen[0]);
	look_at(config->password_file, "", &seen[1]);
	look_at(config->credentials_directory, "username", &seen[2]);
	look_at(config->credentials_directory, "password", &seen[3]);
	look_at(config->readonly_credentials_directory, "username", &seen[4]);
	look_at(config->readonly_credentials_directory, "password", &seen[5]);
	look_at(config->tls_directory, "tls.crt", &seen[6]);
	look_at(config->tls_directory, "tls.key", &seen[7]);
	if (self->looked_at_ms != 0 && memcmp(seen, self->mounted, sizeof(seen)) != 0)
	{
		supervisor_say(self, "mounts_changed",
					   "a file that was given to this node has changed: read again");
		supervisor_take_news(self);
	}
	else if (fha_now_ms() >= self->certificate_at_ms + CERTIFICATE_MS)
		supervisor_take_news(self);
	memcpy(self->mounted, seen, sizeof(seen));
	self->looked_at_ms = fha_now_ms();
}
