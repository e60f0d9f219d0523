/*
 * sim_situations.c: situations of PostgreSQL, played on the simulated one.
 *
 * test/lab/situations.py plays the same files on real servers; it and test/situations/README.md say what
 * the commands mean.  After each command the world goes on until nothing more comes of it.
 */
#include "test/sim/sim_situations.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim_pg.h"

#define REST_US (10 * SIM_S) /* longer than a start, a stop or a promotion takes */
#define PAUSE_US (1000 * SIM_S)
#define ROWS 256
#define LINE 256

typedef struct Player
{
	const char *path;
	int line;
	bool bad;
	bool began;
	uint32_t rows[ROWS]; /* the record of each row; rows[0] is not used */
	uint32_t row_count;
	char said[4 * LINE]; /* by the commands since the last observation */
} Player;

static void complain(Player *player, const char *format, ...) FHA_PRINTF(2, 3);
static void say(Player *player, const char *format, ...) FHA_PRINTF(2, 3);

static void
complain(Player *player, const char *format, ...)
{
	va_list args;

	if (player->bad)
		return;
	player->bad = true;
	(void) fprintf(stderr, "%s:%d: ", player->path, player->line);
	va_start(args, format);
	(void) vfprintf(stderr, format, args);
	va_end(args);
	(void) fputc('\n', stderr);
}

static void
say(Player *player, const char *format, ...)
{
	size_t used = strlen(player->said);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(player->said + used, sizeof(player->said) - used, format, args);
	va_end(args);
}

static void
rest(void)
{
	sim_run_until(sim_us + REST_US);
}

static bool
is_paused(const SimHost *host)
{
	return host->paused_until > sim_us;
}

/* --- what is observed */

/* Which rows does this WAL have up to lsn?  has[0] is not used; returns the last of them, 0: none. */
static uint32_t
find_rows(const Player *player, const SimWal *wal, uint64_t lsn, bool has[ROWS])
{
	uint32_t last = 0;

	memset(has, 0, ROWS * sizeof(has[0]));
	for (size_t i = 0; i < wal->count && wal->of[i].lsn <= lsn; i++)
		for (uint32_t row = 1; row <= player->row_count; row++)
			if (player->rows[row] == wal->of[i].id)
				has[last = row] = true;
	return last;
}

/* "rows 1-3, 5" */
static void
print_rows(const Player *player, const SimWal *wal)
{
	bool has[ROWS];
	const char *before = "rows ";

	if (find_rows(player, wal, UINT64_MAX, has) == 0)
		(void) printf("no row");
	for (uint32_t row = 1; row <= player->row_count; row++)
	{
		uint32_t last = row;

		if (!has[row])
			continue;
		while (last < player->row_count && has[last + 1])
			last++;
		(void) printf("%s%" PRIu32, before, row);
		if (last > row)
			(void) printf("-%" PRIu32, last);
		before = ", ";
		row = last;
	}
}

static void
print_timeline(const Player *player, const SimWal *wal)
{
	FhaPosition origin = sim_wal_origin(wal);
	bool has[ROWS];
	uint32_t row;

	(void) printf("timeline %" PRIu32, sim_wal_end(wal).timeline);
	if (origin.timeline == 0)
		return;
	row = find_rows(player, wal, origin.lsn, has);
	(void) printf(" (of %" PRIu32 " after ", origin.timeline);
	if (row == 0)
		(void) printf("no row)");
	else
		(void) printf("row %" PRIu32 ")", row);
}

static const char *
what_it_is(const SimHost *host)
{
	switch (host->phase)
	{
		case SIM_PRIMARY:
			return "primary";
		case SIM_STANDBY:
			return "standby";
		case SIM_DOWN:
			return !host->clean        ? "not shut down"
				   : host->was_primary ? "shut down"
									   : "shut down in recovery";
		case SIM_ORPHANS:
		case SIM_STARTING:
		case SIM_STOPPING:
			break;
	}
	return "neither";
}

static void
observe(const Player *player, const SimHost *host)
{
	const char *name = host->config.member_name;

	if (is_paused(host))
	{
		(void) printf("%s: paused\n", name);
		return;
	}
	(void) printf("%s: %s, ", name, what_it_is(host));
	print_timeline(player, &host->wal);
	(void) printf(", ");
	print_rows(player, &host->wal);
	if (host->phase == SIM_STANDBY)
	{
		const char *leader = host->leader < 0 ? "" : sim_hosts[host->leader].config.member_name;

		if (host->streaming)
			(void) printf(", streams from %s", leader);
		else if (sim_pg_is_refused(host))
			(void) printf(", refused by %s", leader);
		else
			(void) printf(", alone");
	}
	(void) printf("\n");
}

/* --- commands */

typedef struct Command
{
	const char *name;
	int words; /* at least; with its name */
	void (*run)(Player *player, int count, char **words);
} Command;

/* NULL, and a complaint: there is no such server. */
static SimHost *
server(Player *player, const char *name)
{
	int index = player->began ? sim_host_named(name) : -1;

	if (index < 0)
	{
		complain(player, "there is no server %s", name);
		return NULL;
	}
	return &sim_hosts[index];
}

static bool
is_in(Player *player, const SimHost *host, SimPhase phase)
{
	if (host->phase != phase || is_paused(host))
		complain(player, "%s is %s", host->config.member_name,
				 is_paused(host) ? "paused" : what_it_is(host));
	return !player->bad;
}

static uint32_t
number(Player *player, const char *word)
{
	unsigned value = 0;

	if (sscanf(word, "%u", &value) != 1 || value == 0 || value >= ROWS)
		complain(player, "%s is no number", word);
	return value;
}

static void
follow(SimHost *host, const SimHost *leader)
{
	host->leader = leader->index;
}

/* The first is a primary, the others are clones that follow it. */
static void
make_server(SimHost *host)
{
	host->plain = true;
	if (host->index == 0)
		sim_pg_initdb(host);
	else
	{
		sim_pg_clone(host, &sim_hosts[0]);
		follow(host, &sim_hosts[0]);
	}
	sim_pg_start(host, host->index > 0);
	rest();
}

static void
run_servers(Player *player, int count, char **words)
{
	int servers = count - 1;

	if (player->began)
		sim_end();
	player->began = true;
	player->row_count = 0;
	sim_begin(1);
	sim_habits = (SimHabits){.pause_us = SIM_S};
	for (int i = 0; i < servers; i++)
	{
		sim_host_make(i, servers);
		if (strcmp(words[i + 1], sim_hosts[i].config.member_name) != 0)
			complain(player, "the first server is n1, the next is n2, and so on");
	}
	for (int i = 0; i < servers; i++)
		make_server(&sim_hosts[i]);
}

static void
run_write(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);
	uint32_t rows = count > 2 ? number(player, words[2]) : 1;

	if (host == NULL || player->bad || !is_in(player, host, SIM_PRIMARY))
		return;
	for (; rows > 0 && player->row_count + 1 < ROWS; rows--)
		player->rows[++player->row_count] = sim_pg_write(host).id;
}

/* A checkpoint, or the switch to another segment: a record that is no row. */
static void
run_record(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL && is_in(player, host, SIM_PRIMARY))
		(void) sim_pg_write(host);
}

static void
run_stop(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL)
		sim_pg_stop(host);
}

static void
run_kill(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);

	(void) count;
	if (host == NULL)
		return;
	host->paused_until = 0;
	sim_host_kill_postgres(host);
}

/* start NAME primary; start NAME standby LEADER */
static void
run_start(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);
	bool standby = strcmp(words[2], "standby") == 0;
	const SimHost *leader = standby && count > 3 ? server(player, words[3]) : NULL;

	if (standby != (leader != NULL) || (!standby && strcmp(words[2], "primary") != 0))
		complain(player, "start NAME primary, or start NAME standby LEADER");
	if (host == NULL || player->bad || !is_in(player, host, SIM_DOWN))
		return;
	if (standby)
		follow(host, leader);
	sim_pg_start(host, standby);
}

static void
run_promote(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);
	uint32_t timeline = number(player, words[2]);

	(void) count;
	if (host != NULL && !player->bad && is_in(player, host, SIM_STANDBY))
		sim_pg_promote(host, timeline);
}

/* Killed when its WAL has the new timeline, before it is a primary. */
static void
run_half_promote(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);
	uint32_t timeline = number(player, words[2]);

	(void) count;
	if (host == NULL || player->bad || !is_in(player, host, SIM_STANDBY))
		return;
	sim_pg_promote(host, timeline);
	while (host->phase == SIM_STANDBY && sim_wal_end(&host->wal).timeline != timeline)
		sim_run_until(sim_us + SIM_MS);
	sim_host_kill_postgres(host);
}

static void
run_follow(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);
	const SimHost *leader = server(player, words[2]);

	(void) count;
	if (host != NULL && leader != NULL && is_in(player, host, SIM_STANDBY))
		follow(host, leader);
}

static void
set_links(const SimHost *host, bool cut)
{
	for (int i = 0; i < sim_host_count; i++)
		if (i != host->index)
			sim_cut[host->index][i] = sim_cut[i][host->index] = cut;
}

static void
run_cut(Player *player, int count, char **words)
{
	const SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL)
		set_links(host, true);
}

static void
run_heal(Player *player, int count, char **words)
{
	const SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL)
		set_links(host, false);
}

static void
run_pause(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL && is_in(player, host, SIM_STANDBY))
		host->paused_until = sim_us + PAUSE_US;
}

static void
run_resume(Player *player, int count, char **words)
{
	SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL && is_paused(host))
		sim_run_until(host->paused_until);
}

/* A standby that replays nothing receives all the same, and that is what the simulation has. */
static void
run_hold_replay(Player *player, int count, char **words)
{
	const SimHost *host = server(player, words[1]);

	(void) count;
	if (host != NULL)
		(void) is_in(player, host, SIM_STANDBY);
}

/* rewind NAME LEADER, clone NAME LEADER */
static SimHost *
copied(Player *player, char **words, SimHost **leader)
{
	SimHost *host = server(player, words[1]);

	*leader = server(player, words[2]);
	return host != NULL && *leader != NULL && is_in(player, host, SIM_DOWN) &&
				   is_in(player, *leader, SIM_PRIMARY)
			   ? host
			   : NULL;
}

static void
run_rewind(Player *player, int count, char **words)
{
	SimHost *leader;
	SimHost *host = copied(player, words, &leader);

	(void) count;
	if (host != NULL)
		say(player, "rewind of %s: %s\n", words[1],
			sim_pg_rewind(host, leader) ? "done" : "not needed");
}

static void
run_clone(Player *player, int count, char **words)
{
	SimHost *leader;
	SimHost *host = copied(player, words, &leader);

	(void) count;
	if (host != NULL)
		sim_pg_clone(host, leader);
}

static const Command commands[] = {
	{"servers", 2, run_servers}, {"write", 2, run_write},     {"checkpoint", 2, run_record},
	{"switch", 2, run_record},   {"stop", 2, run_stop},       {"kill", 2, run_kill},
	{"start", 3, run_start},     {"promote", 3, run_promote}, {"half-promote", 3, run_half_promote},
	{"follow", 3, run_follow},   {"cut", 2, run_cut},         {"heal", 2, run_heal},
	{"pause", 2, run_pause},     {"resume", 2, run_resume},   {"hold-replay", 2, run_hold_replay},
	{"rewind", 3, run_rewind},   {"clone", 3, run_clone},
};

static void
run(Player *player, char *text)
{
	char *words[1 + SIM_HOSTS];
	char *save = NULL;
	int count = 0;

	for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		if (count < 1 + SIM_HOSTS)
			words[count++] = word;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (count >= commands[i].words && strcmp(commands[i].name, words[0]) == 0)
		{
			commands[i].run(player, count, words);
			rest();
			return;
		}
	complain(player, "no command");
}

/* --- a file: what is observed stands between a line of four dashes and an empty one */

static void
play_line(Player *player, char *line, bool *observed)
{
	line[strcspn(line, "\n")] = '\0';
	if (*observed && line[0] != '\0')
		return;
	*observed = strcmp(line, "----") == 0;
	(void) printf("%s\n", line);
	if (!*observed)
	{
		if (line[0] != '\0' && line[0] != '#')
			run(player, line);
		return;
	}
	(void) fputs(player->said, stdout);
	player->said[0] = '\0';
	for (int i = 0; player->began && i < sim_host_count; i++)
		observe(player, &sim_hosts[i]);
}

int
sim_play_situations(const char *path)
{
	Player player = {.path = path};
	char line[LINE];
	bool observed = false;
	FILE *file = fopen(path, "r");

	if (file == NULL)
	{
		perror(path);
		return 2;
	}
	while (!player.bad && fgets(line, sizeof(line), file) != NULL)
	{
		player.line++;
		play_line(&player, line, &observed);
	}
	(void) fclose(file);
	if (player.began)
		sim_end();
	return player.bad ? 2 : 0;
}
