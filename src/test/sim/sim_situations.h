/*
 * sim_situations.h: situations of PostgreSQL, played on the simulated one.
 */
#ifndef FHA_SIM_SITUATIONS_H
#define FHA_SIM_SITUATIONS_H

/*
 * Play the situations in this file, and print it with what is observed now in place of what it says of
 * that.  Returns an exit status: 0, or 2 for a file that cannot be played, with a line on stderr.
 */
int sim_play_situations(const char *path);

#endif
