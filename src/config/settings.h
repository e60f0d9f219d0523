/*
 * settings.h: what the words in the rows of settings.def mean.
 */
#ifndef FHA_CONFIG_SETTINGS_H
#define FHA_CONFIG_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

#define FHA_SETTING_PREFIX "fawkes_ha."

/* When a setting is read, who may set it, and what becomes of it in postgresql.auto.conf. */
typedef enum FhaSettingTraits
{
	FHA_START = 1 << 0,       /* read when the server starts */
	FHA_RELOAD = 1 << 1,      /* taken over by SIGHUP */
	FHA_OWN = 1 << 2,         /* each member's own: `fawkes-ha set` refuses it */
	FHA_NOT_ALTERED = 1 << 3, /* ALTER SYSTEM refuses it */
	FHA_STRIPPED = 1 << 4,    /* the supervisor takes it out of postgresql.auto.conf */
	FHA_MANAGED = FHA_OWN | FHA_NOT_ALTERED | FHA_STRIPPED,
	FHA_MOVED = 1 << 5, /* the supervisor moves it from there into commands.conf */
	FHA_ON = 1 << 6,    /* has to be on */
} FhaSettingTraits;

/* What a text may be.  "" is always allowed but for BOOTSTRAP.  Of kind NAME, it takes FHA_NAME_SIZE bytes. */
typedef enum FhaTextKind
{
	FHA_TEXT_NAME,            /* of a cluster or a member */
	FHA_TEXT_LOCK,            /* a lock's uri */
	FHA_TEXT_PATH,            /* absolute */
	FHA_TEXT_ADDRESS,         /* host:port */
	FHA_TEXT_LISTEN,          /* IP address and port */
	FHA_TEXT_POD,             /* a pod's name */
	FHA_TEXT_BOOTSTRAP,       /* "initdb", "initdb:member" or "none" */
	FHA_TEXT_DATABASE,        /* a database that may be given an owner */
	FHA_TEXT_STORE_URL,       /* of store/settings.h */
	FHA_TEXT_STORE_ENDPOINT,  /* http:// or https:// and a host */
	FHA_TEXT_STORE_REGION,    /* any */
	FHA_TEXT_SERVER_NAME,     /* in a store; any here */
	FHA_TEXT_COMPRESSION,     /* of core/compression.h */
	FHA_TEXT_BACKUP_SCHEDULE, /* of core/cron.h */
	FHA_TEXT_RETENTION,       /* of core/retention_policy.h */
} FhaTextKind;

/* A number's field of FhaConfig counts milliseconds, bytes or things, whatever its unit is for PostgreSQL. */
#define FHA_FIELD(name, unit) FHA_FIELD_##unit(name)
#define FHA_FIELD_ms(name) name##_ms
#define FHA_FIELD_s(name) name##_ms
#define FHA_FIELD_kB(name) name##_bytes
#define FHA_FIELD_count(name) name

#define FHA_UNIT_ms INT64_C(1)
#define FHA_UNIT_s (1000 * FHA_UNIT_ms)
#define FHA_UNIT_min (60 * FHA_UNIT_s)
#define FHA_UNIT_h (60 * FHA_UNIT_min)
#define FHA_UNIT_B INT64_C(1)
#define FHA_UNIT_kB (1024 * FHA_UNIT_B)
#define FHA_UNIT_MB (1024 * FHA_UNIT_kB)
#define FHA_UNIT_GB (1024 * FHA_UNIT_MB)
#define FHA_UNIT_TB (1024 * FHA_UNIT_GB)
#define FHA_UNIT_count INT64_C(1)

/* (30, min) in milliseconds, bytes or things; and as a person would write it. */
#define FHA_AMOUNT(pair) FHA_AMOUNT_OF pair
#define FHA_AMOUNT_OF(count, unit) (INT64_C(count) * FHA_UNIT_##unit)
#define FHA_AMOUNT_TEXT(pair) FHA_AMOUNT_TEXT_OF pair
#define FHA_AMOUNT_TEXT_OF(count, unit) #count FHA_UNIT_TEXT_##unit
#define FHA_UNIT_TEXT_ms "ms"
#define FHA_UNIT_TEXT_s "s"
#define FHA_UNIT_TEXT_min "min"
#define FHA_UNIT_TEXT_h "h"
#define FHA_UNIT_TEXT_kB "kB"
#define FHA_UNIT_TEXT_MB "MB"
#define FHA_UNIT_TEXT_TB "TB"
#define FHA_UNIT_TEXT_count ""

#define FHA_FLAG_off false
#define FHA_FLAG_on true

/*
 * FhaSettingTraits of the setting whose name is the first `length` bytes, one of fawkes_ha or of
 * PostgreSQL, in letters of any size; 0: it has no row.
 */
FHA_API unsigned fha_setting_traits(const char *name, size_t length);

#endif
