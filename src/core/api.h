/*
 * api.h: what the library exports; everything else is hidden.
 */
#ifndef FHA_API_H
#define FHA_API_H

#define FHA_API __attribute__((visibility("default")))
#define FHA_MUST_CHECK __attribute__((warn_unused_result))
#define FHA_PRINTF(f, a) __attribute__((format(printf, f, a)))

#endif
