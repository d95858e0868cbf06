/* SPDX-License-Identifier: MIT */
#include "env.h"

#include "util/error.h"
#include "util/log.h"
#include "util/team.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifndef AG_PLUGIN_DIR
#error "AG_PLUGIN_DIR: the folder plugins are installed to"
#endif

static char *join(const char *a, const char *b) {
    size_t na = strlen(a), nb = strlen(b);
    char *to = malloc(na + nb + 1);
    if (!to) return NULL;
    memcpy(to, a, na);
    memcpy(to + na, b, nb + 1);
    return to;
}

/* $name when it is an absolute path (others are to be ignored), else $HOME + below. NULL for a program
 * with raised rights, whose caller must not choose what it reads and writes. */
static char *base_folder(const char *name, const char *below) {
    if (getauxval(AT_SECURE)) return NULL;
    const char *v = getenv(name), *home = getenv("HOME");
    if (v && v[0] == '/') return join(v, "");
    return home && home[0] == '/' ? join(home, below) : NULL;
}

/* The build leaves a list of its plugin folders beside the binary it made. */
static char *uninstalled_list(void) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || n == (ssize_t)sizeof self - 1) return NULL;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (!slash) return NULL;
    slash[1] = 0;
    char *path = join(self, "agave.plugins");
    if (path && access(path, R_OK) == 0) return path;
    free(path);
    return NULL;
}

int env_read(struct env *e) {
    const char *no_color = getenv("NO_COLOR");
    *e = (struct env){
        .plugin_path = getenv("AGAVE_PLUGIN_PATH"),
        .log = getenv("AGAVE_LOG"),
        .term = getenv("TERM"),
        .no_color = no_color && *no_color,
        .secure = getauxval(AT_SECURE) != 0,
        .data_home = base_folder("XDG_DATA_HOME", "/.local/share"),
        .state_home = base_folder("XDG_STATE_HOME", "/.local/state"),
        .cache_home = base_folder("XDG_CACHE_HOME", "/.cache"),
        .list_file = uninstalled_list(),
    };
    return 0;
}

void env_free(struct env *e) {
    free(e->data_home);
    free(e->state_home);
    free(e->cache_home);
    free(e->list_file);
    *e = (struct env){ 0 };
}

bool env_color(const struct env *e, const struct options *o, int fd) {
    if (!strcmp(o->color, "always")) return true;
    if (!strcmp(o->color, "never") || e->no_color) return false;
    return isatty(fd) && !(e->term && !strcmp(e->term, "dumb"));
}

int env_width(int fd) {
    struct winsize w;
    return isatty(fd) && ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

int env_registry(const struct env *e, const struct options *o, struct registry **out) {
    const struct registry_options r = {
        .file = o->plugin.at, .n_file = o->plugin.n,
        .dir = o->plugin_dir.at, .n_dir = o->plugin_dir.n,
        .path = e->plugin_path,
        .data_home = e->data_home,
        .install_dir = AG_PLUGIN_DIR,
        .list_file = e->list_file,
        .model_plugin = o->model_plugin,
        .secure = e->secure,
    };
    return registry_open(&r, out);
}

int env_apply(const struct env *e, const struct options *o) {
    static const struct { const char *name; int level; } levels[] = {
        { "error", AG_LOG_ERROR }, { "warn", AG_LOG_WARN },
        { "info", AG_LOG_INFO }, { "debug", AG_LOG_DEBUG },
    };
    enum { N = sizeof levels / sizeof *levels };
    int level = o->debug ? AG_LOG_DEBUG : o->quiet ? AG_LOG_ERROR
              : o->verbose ? AG_LOG_INFO : AG_LOG_WARN;
    bool chosen = o->debug || o->quiet || o->verbose;
    for (int i = 0; e->log && *e->log && i <= N; i++) {
        if (i == N) {
            log_line(AG_LOG_WARN, "AGAVE_LOG: want error, warn, info or debug; ignored");
        } else if (!strcmp(e->log, levels[i].name)) {
            if (!chosen) level = levels[i].level;
            break;
        }
    }
    log_set_level(level);
    return o->threads ? team_set_size((int)o->threads) : 0;
}
