/*
 * calendar.c: dates and seconds.  See calendar.h.
 */
#include "core/calendar.h"

#define DAY_S INT64_C(86400)

/* The calendar is the same again after so many years, which have so many days. */
#define ERA_YEARS 400
#define ERA_DAYS 146097

/* Years that begin in March have the leap day at their end; day 0 is the first of such a year 0. */
#define DAY_OF_1970 719468

int
fha_date_month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month < 1 || month > 12)
		return 0;
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % ERA_YEARS == 0))
		return 29;
	return days[month - 1];
}

bool
fha_date_is_valid(const FhaDate *date)
{
	return date->year >= 1 && date->year <= 9999 && date->day >= 1 &&
		   date->day <= fha_date_month_days(date->year, date->month) && date->hour >= 0 &&
		   date->hour <= 23 && date->minute >= 0 && date->minute <= 59 && date->second >= 0 &&
		   date->second <= 59;
}

int64_t
fha_date_seconds(const FhaDate *date)
{
	int64_t year = date->month > 2 ? date->year : date->year - 1;
	int64_t era = year / ERA_YEARS;
	int64_t year_of_era = year % ERA_YEARS;
	int64_t month = (date->month + 9) % 12; /* from March */
	int64_t day_of_year = (153 * month + 2) / 5 + date->day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	int64_t days = era * ERA_DAYS + day_of_era - DAY_OF_1970;

	return days * DAY_S + date->hour * 3600 + date->minute * 60 + date->second;
}

FhaDate
fha_date_of(int64_t seconds)
{
	FhaDate date;
	int64_t days;
	int64_t day_of_era;
	int64_t year_of_era;
	int64_t day_of_year;
	int64_t month;
	int second;

	if (seconds < FHA_DATE_FIRST_S)
		seconds = FHA_DATE_FIRST_S;
	if (seconds > FHA_DATE_LAST_S)
		seconds = FHA_DATE_LAST_S;
	/* Positive: the calendar begins with March of year 0. */
	seconds += DAY_OF_1970 * DAY_S;
	days = seconds / DAY_S;
	second = (int) (seconds % DAY_S);
	day_of_era = days % ERA_DAYS;
	year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	date.day = (int) (day_of_year - (153 * month + 2) / 5 + 1);
	date.month = (int) (month < 10 ? month + 3 : month - 9);
	date.year = (int) (days / ERA_DAYS * ERA_YEARS + year_of_era + (date.month <= 2 ? 1 : 0));
	date.hour = second / 3600;
	date.minute = second / 60 % 60;
	date.second = second % 60;
	date.weekday = (int) ((days + 3) % 7); /* the first of March of year 0 was a Wednesday */
	return date;
}
