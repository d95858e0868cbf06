/* SPDX-License-Identifier: MIT */
#include "util/host_services.h"

#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/team.h"

#include <stdlib.h>

const struct ag_host *host_services(void) {
    static const struct ag_host table = {
        .size = sizeof table,
        .abi_minor = AG_ABI_MINOR,
        .fail = fail,
        .log = log_line,
        .team_size = team_size,
        .team_run = team_run,
        .team_barrier = team_barrier,
        .alloc = mem_aligned,
        .free = free,
    };
    return &table;
}
