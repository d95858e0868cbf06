/* SPDX-License-Identifier: MIT */
/* plan.h - making and running plans. */
#ifndef CPU_PLAN_H
#define CPU_PLAN_H

#include "cpu.h"

enum { LAYOUT_FILE = 0, LAYOUT_PACKED = 1 }; /* ag_layout.id */

int plan_create(ag_device *, const struct ag_plan_desc *, ag_plan **out);
void plan_free(ag_plan *);
int plan_run(ag_plan *, const struct ag_run *);
uint32_t plan_profile(ag_plan *, struct ag_profile_row *rows, uint32_t max);

static inline const struct ag_node *graph_node(const struct ag_graph *g, ag_ref ref) {
    return (const void *)((const char *)g->node + (size_t)ref * g->node_size);
}

#endif
