/* SPDX-License-Identifier: MIT */
/* tool.h - how the commands for testers open a model: as the options say, without banner or recipe. */
#ifndef HOST_TOOL_H
#define HOST_TOOL_H

#include "engine.h"
#include "env.h"

struct tool {
    struct registry *registry;
    struct modelfile *file;
    struct ag_model_info info;    /* sizes, known before weights are read */
    struct engine_options engine; /* ctx_size 0: the user did not say */
    char device[16];
};

/* Registry, file and model plugin; no weights. */
int tool_open(const struct env *, const struct options *, const char *path, struct tool *);
void tool_close(struct tool *); /* also after a failed tool_open */

/* The context a tool may use: --ctx-size, else what the model was trained for, 4096 at most. */
int32_t tool_ctx(const struct tool *);

#endif
