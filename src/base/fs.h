/*
 * fs.h: what kind of filesystem is this?
 */
#ifndef FHA_BASE_FS_H
#define FHA_BASE_FS_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Does statfs's f_type name a filesystem that another kernel may serve or share?
 * There a lock of ours says nothing about others, and link(2) may lie when a
 * reply is lost.  FUSE and 9p are counted in: nobody can tell what is behind them.
 */
FHA_API bool fha_fs_is_network(long f_type);

#endif
