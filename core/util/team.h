/* SPDX-License-Identifier: MIT */
/* team.h - the process's one team of compute threads, lent to whoever computes (ag_host.team_*).
 * The caller of team_run is thread 0. Workers spin for a moment, then sleep. */
#ifndef UTIL_TEAM_H
#define UTIL_TEAM_H

#include <agave/base.h>

/* Sets the number of threads; before the first team_run or between two. 0 = physical cores. */
int team_set_size(int n);
int team_size(void);
int team_run(ag_team_fn fn, void *arg);
void team_barrier(void);
void team_stop(void); /* joins the workers; a later team_run starts them again */
int cpu_physical_cores(void);

#endif
