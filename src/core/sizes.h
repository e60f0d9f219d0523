/*
 * sizes.h: how many bytes each kind of text takes, with its NUL.
 *
 * A size that a file or a room alone uses stands there.  A limit on what is counted or read is a ..._MAX, and no size.
 */
#ifndef FHA_SIZES_H
#define FHA_SIZES_H

#define FHA_NAME_SIZE 41     /* of a cluster or a member: with an incarnation it fits NAMEDATALEN */
#define FHA_ID_SIZE 17       /* 16 hex digits: incarnations, nonces of a write, requests */
#define FHA_UUID_SIZE 33     /* 32 hex digits: clusters and boots */
#define FHA_KEY_ID_SIZE 9    /* 8 hex digits */
#define FHA_MAC_TEXT_SIZE 65 /* HMAC-SHA-256 in hex digits */
#define FHA_WORD_SIZE 16     /* one of a fixed list: kinds, roles, states */
#define FHA_RULE_ID_SIZE 41

#define FHA_SENTENCE_SIZE 200                  /* reasons and messages */
#define FHA_CAUSE_SIZE 64                      /* how a PostgreSQL ended */
#define FHA_SUSPECTS_SIZE 100                  /* names of settings */
#define FHA_REQUESTER_SIZE 64                  /* the person who asked for something */
#define FHA_NEWS_SIZE (FHA_SENTENCE_SIZE + 80) /* what a node says of itself */
#define FHA_FACTS_SIZE 1024                    /* the names of all facts */

#define FHA_TIME_SIZE 25 /* wall clock for people */
#define FHA_TIME_NAMESPACE_SIZE 24

#define FHA_ADDRESS_SIZE 256 /* host:port */
#define FHA_LISTEN_SIZE FHA_ADDRESS_SIZE
#define FHA_URL_SIZE (FHA_ADDRESS_SIZE + 10) /* https://host:port/ */
#define FHA_KUBE_NAME_SIZE 254               /* of an object, which is at most a DNS subdomain */
#define FHA_POD_SIZE FHA_KUBE_NAME_SIZE

#define FHA_RECORD_NAME_SIZE FHA_KUBE_NAME_SIZE /* in a lock, which may be one of Kubernetes */
#define FHA_VERSION_SIZE 64                     /* of a record or an object; "": there is none */
#define FHA_WATCH_SIGN_SIZE 128

#define FHA_PATH_SIZE 1024
#define FHA_PROC_PATH_SIZE 64                  /* of a file in /proc/PID */
#define FHA_TITLE_SIZE 256                     /* as much of a process's title as is looked at */
#define FHA_LOCK_SIZE FHA_PATH_SIZE            /* the uri */
#define FHA_BOOTSTRAP_SIZE (FHA_NAME_SIZE + 7) /* initdb:member */
#define FHA_CONNINFO_SIZE 2048                 /* from one member to another's PostgreSQL */
#define FHA_PASSWORD_SIZE 1025                 /* that is given from outside */

#define FHA_STORE_URL_SIZE (FHA_PATH_SIZE + 8) /* dir:/path, or the url of a bucket */
#define FHA_STORE_REGION_SIZE 64
#define FHA_STORE_ENDPOINT_SIZE FHA_URL_SIZE
#define FHA_SERVER_NAME_SIZE 256     /* in a store of backups */
#define FHA_COMPRESSION_SIZE 16      /* gzip:6 */
#define FHA_BACKUP_SCHEDULE_SIZE 128 /* of cron */
#define FHA_RETENTION_SIZE 64        /* 30d */

#define FHA_LSN_TEXT_SIZE 18
#define FHA_WAL_NAME_SIZE 25 /* of a segment or a history file */
#define FHA_SLOT_NAME_SIZE 64
#define FHA_DATABASE_SIZE 64 /* PostgreSQL cuts longer names */
#define FHA_SETTING_NAME_SIZE 64
#define FHA_SETTING_VALUE_SIZE 256

#endif
