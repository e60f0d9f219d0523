/*
 * refuse.h: statements that no member may carry out, whoever leads.
 */
#ifndef FAWKES_REFUSE_H
#define FAWKES_REFUSE_H

/* Called once in the postmaster, from _PG_init, when cluster_name is set; before the fence's hooks. */
extern void refuse_install_hooks(void);

#endif
