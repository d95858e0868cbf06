/* SPDX-License-Identifier: MIT */
/* host_services.h - the table lent to plugins. */
#ifndef UTIL_HOST_SERVICES_H
#define UTIL_HOST_SERVICES_H

#include <agave/base.h>

const struct ag_host *host_services(void);

#endif
