/* SPDX-License-Identifier: MIT */
/* interrupt.h - Ctrl+C while an engine computes: the running step is cancelled. A second one, when the
 * first was not enough, ends the process. Outside of begin and end SIGINT does what it did before. */
#ifndef HOST_INTERRUPT_H
#define HOST_INTERRUPT_H

#include "engine.h"

#include <signal.h>

struct interrupt { struct sigaction before; };

void interrupt_begin(struct interrupt *, struct engine *);
bool interrupted(void); /* since the last begin */
void interrupt_end(struct interrupt *);

#endif
