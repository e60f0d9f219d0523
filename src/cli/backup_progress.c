/*
 * backup_progress.c: how far a long transfer is.  See backup_progress.h.
 */
#include "cli/backup_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PROGRESS_BAR_MS 250
#define PROGRESS_LINE_MS 30000
#define PROGRESS_LINE_PERCENT 10
#define PROGRESS_BAR_WIDTH 30

void
backup_size_print(uint64_t bytes, char out[BACKUP_SIZE_TEXT_SIZE])
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
	size_t unit = 0;
	double shown = (double) bytes;

	while (shown >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]))
	{
		shown /= 1024;
		unit++;
	}
	(void) snprintf(out, BACKUP_SIZE_TEXT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", shown,
					units[unit]);
}

/* An estimate may be exceeded: 99 until the end. */
static int
progress_percent(uint64_t done, uint64_t expected)
{
	if (expected == 0)
		return 0;
	return done >= expected ? 99 : (int) (100.0 * (double) done / (double) expected);
}

static void
progress_words(const BackupProgress *progress, uint64_t done, uint64_t expected, int64_t now_ms,
			   char *out, size_t size)
{
	int64_t passed_ms = now_ms - progress->began_at_ms;
	uint64_t rate = passed_ms <= 0 ? 0 : done * 1000 / (uint64_t) passed_ms;
	char so_far[BACKUP_SIZE_TEXT_SIZE];
	char all[BACKUP_SIZE_TEXT_SIZE];
	char speed[BACKUP_SIZE_TEXT_SIZE];

	backup_size_print(done, so_far);
	backup_size_print(expected, all);
	backup_size_print(rate, speed);
	if (expected == 0)
		(void) snprintf(out, size, "%s %s, %s/s", so_far, progress->what, speed);
	else
		(void) snprintf(out, size, "%s of about %s %s (%d %%), %s/s", so_far, all, progress->what,
						progress_percent(done, expected), speed);
}

static void
progress_bar(int percent, const char *words)
{
	char bar[PROGRESS_BAR_WIDTH + 1];
	int filled = percent * PROGRESS_BAR_WIDTH / 100;

	memset(bar, '.', sizeof(bar));
	memset(bar, '#', (size_t) filled);
	bar[PROGRESS_BAR_WIDTH] = '\0';
	(void) fprintf(stderr, "\r[%s] %s\033[K", bar, words);
	(void) fflush(stderr);
}

void
backup_progress_show(BackupProgress *progress, uint64_t done, uint64_t expected)
{
	int64_t now_ms = fha_now_ms();
	int percent = progress_percent(done, expected);
	bool on_terminal = isatty(STDERR_FILENO) != 0;
	char words[160];

	if (progress->began_at_ms == 0)
		progress->began_at_ms = progress->shown_at_ms = now_ms;
	if (now_ms - progress->shown_at_ms < (on_terminal ? PROGRESS_BAR_MS : PROGRESS_LINE_MS) &&
		(on_terminal || percent < progress->shown_percent + PROGRESS_LINE_PERCENT))
		return;
	progress->shown_at_ms = now_ms;
	progress->shown_percent = percent;
	progress_words(progress, done, expected, now_ms, words, sizeof(words));
	progress->is_shown = on_terminal;
	if (on_terminal)
		progress_bar(percent, words);
	else
		(void) fprintf(stderr, "%s\n", words);
}

void
backup_progress_end(BackupProgress *progress)
{
	if (progress->is_shown)
		(void) fprintf(stderr, "\r\033[K");
	progress->is_shown = false;
}
