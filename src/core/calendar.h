/*
 * calendar.h: dates of the Gregorian calendar and seconds since 1970, both UTC and without leap seconds.
 */
#ifndef FHA_CALENDAR_H
#define FHA_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"

typedef struct FhaDate
{
	int year;    /* 1 to 9999 */
	int month;   /* 1 to 12 */
	int day;     /* from 1 */
	int hour;    /* 0 to 23 */
	int minute;  /* 0 to 59 */
	int second;  /* 0 to 59 */
	int weekday; /* 0: Sunday; what is made of a date does not look at it */
} FhaDate;

/* Seconds since 1970 of the first and the last second that have a date here. */
#define FHA_DATE_FIRST_S (-INT64_C(62135596800))
#define FHA_DATE_LAST_S INT64_C(253402300799)

/* How many days the month has; 0: there is no such month. */
FHA_API int fha_date_month_days(int year, int month);

/* Is there such a second?  A 60th is none. */
FHA_API bool fha_date_is_valid(const FhaDate *date);

/* The date is valid. */
FHA_API int64_t fha_date_seconds(const FhaDate *date);

/* What lies before the first second or after the last is taken for that. */
FHA_API FhaDate fha_date_of(int64_t seconds);

#endif
