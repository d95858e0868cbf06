/* SPDX-License-Identifier: MIT */
/* main.c - kcheck [--plugins DIR] [--backend NAME] [--op NAME] [--cpu-mask LIST] [--seed N]
 *          [--rounds N] [--time] [--csv FILE] [--verbose]: checks the backends of a folder. */
#include "kcheck.h"

#include "util/error.h"
#include "util/host_services.h"
#include "util/team.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int load(const char *dir, const char *name, const struct ag_backend **out) {
    char path[4096];
    snprintf(path, sizeof path, "%s/backend_%s.so", dir, name);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) return fail(AG_ENOENT, "%s", dlerror());
    const struct ag_plugin *p = dlsym(so, AG_PLUGIN_SYMBOL_NAME);
    if (!p || p->kind != AG_KIND_BACKEND) return fail(AG_EABI, "%s is no backend", path);
    if (p->probe && p->probe() < 0) return fail(AG_ENOTSUP, "%s is not usable here", path);
    int err = p->init ? p->init(host_services()) : AG_OK;
    *out = p->iface;
    return err;
}

static int check(const char *dir, const char *name, const struct ag_backend *oracle,
                 const struct kcheck_options *opt) {
    const struct ag_backend *b = NULL;
    struct kcheck_result r = { 0 };
    int err = load(dir, name, &b);
    if (err >= 0) err = kcheck_run(name, b, oracle, opt, &r);
    if (err < 0) {
        fprintf(stderr, "kcheck: %s: %s\n", name, fail_text());
        return 1;
    }
    fprintf(stderr, "%s%s%s: %d cases, %d faults, %d skipped, seed %llu\n", name,
            opt->cpu_mask ? " without " : "", opt->cpu_mask ? opt->cpu_mask : "", r.cases, r.faults,
            r.skipped, (unsigned long long)opt->seed);
    return r.faults > 0 || r.cases == 0;
}

/* Every backend_<name>.so but null, which answers zeros. */
static int check_all(const char *dir, const struct ag_backend *oracle, const struct kcheck_options *opt) {
    DIR *d = opendir(dir);
    int bad = 0, n = 0;
    if (!d) {
        fprintf(stderr, "kcheck: cannot read %s\n", dir);
        return 1;
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char name[64];
        size_t len = strlen(e->d_name);
        if (strncmp(e->d_name, "backend_", 8) != 0 || len < 12 || len > 70 ||
            strcmp(e->d_name + len - 3, ".so") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - 11), e->d_name + 8);
        if (strcmp(name, "null") == 0) continue;
        bad |= check(dir, name, oracle, opt);
        n++;
    }
    closedir(d);
    return bad || n == 0;
}

static int usage(const char *what) {
    fprintf(stderr, "kcheck: %s\nusage: kcheck [--plugins DIR] [--backend NAME] [--op NAME] [--cpu-mask LIST]"
            " [--seed N] [--rounds N] [--time] [--csv FILE] [--verbose]\n", what);
    return 1;
}

int main(int argc, char **argv) {
    struct kcheck_options opt = { .seed = (uint64_t)time(NULL), .rounds = 3 };
    const char *dir = "plugins", *backend = NULL, *csv = NULL;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--time") == 0) { opt.time = true; continue; }
        if (strcmp(a, "--verbose") == 0) { opt.verbose = true; continue; }
        if (i + 1 == argc) return usage("an option without its value, or an unknown one");
        const char *value = argv[++i];
        if (strcmp(a, "--plugins") == 0) dir = value;
        else if (strcmp(a, "--backend") == 0) backend = value;
        else if (strcmp(a, "--op") == 0) opt.op = value;
        else if (strcmp(a, "--cpu-mask") == 0) opt.cpu_mask = value;
        else if (strcmp(a, "--seed") == 0) opt.seed = strtoull(value, NULL, 10);
        else if (strcmp(a, "--rounds") == 0) opt.rounds = atoi(value);
        else if (strcmp(a, "--csv") == 0) csv = value;
        else return usage(a);
    }
    const struct ag_backend *oracle = NULL;
    if (load(dir, "ref", &oracle) < 0) return usage(fail_text());
    if (csv && !(opt.csv = fopen(csv, "w"))) return usage("cannot write the CSV file");
    if (opt.csv)
        fputs("backend,op,dtype,variant,K,N,H,T,seed,error,limit,ns,GB/s,GOP/s,result\n", opt.csv);
    int bad = backend ? check(dir, backend, oracle, &opt) : check_all(dir, oracle, &opt);
    if (opt.csv) bad |= fclose(opt.csv) != 0;
    team_stop();
    return bad;
}
