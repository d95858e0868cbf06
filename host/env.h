/* SPDX-License-Identifier: MIT */
/* env.h - the environment, read here and nowhere else. */
#ifndef HOST_ENV_H
#define HOST_ENV_H

#include "options.h"
#include "registry.h"

struct env {
    const char *plugin_path;  /* AGAVE_PLUGIN_PATH */
    const char *log;          /* AGAVE_LOG: debug, info, warn */
    const char *term;         /* TERM */
    bool no_color;            /* NO_COLOR is not empty */
    bool secure;              /* AT_SECURE: started with raised rights */
    char *data_home;          /* XDG_DATA_HOME or ~/.local/share; NULL without a home */
    char *state_home;         /* XDG_STATE_HOME or ~/.local/state */
    char *cache_home;         /* XDG_CACHE_HOME or ~/.cache */
    char *list_file;          /* agave.plugins beside an uninstalled binary, else NULL */
};

int env_read(struct env *);
void env_free(struct env *);

/* Is this stream to be coloured, by --color, NO_COLOR, TERM and whether fd is a terminal? */
bool env_color(const struct env *, const struct options *, int fd);
/* Columns of the terminal on fd, 80 when it is none. */
int env_width(int fd);
/* Opens the registry as options and environment say. */
int env_registry(const struct env *, const struct options *, struct registry **out);
/* Level of the log, by --quiet, --verbose, --debug and AGAVE_LOG; number of threads. */
int env_apply(const struct env *, const struct options *);

#endif
