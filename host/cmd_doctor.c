/* SPDX-License-Identifier: MIT */
/* cmd_doctor.c - agave doctor: one screen on what this machine offers and what keeps plugins from
 * being used. The findings are gathered as JSON, and printed from there for people. */
#include "bandwidth.h"
#include "cmd.h"
#include "text.h"

#include "util/error.h"
#include "util/log.h"
#include "util/team.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Value of the first "name : value" line of a file in /proc. */
static bool proc_value(const char *path, const char *name, char *to, size_t n) {
    FILE *f = fopen(path, "r");
    char line[8192];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        size_t len = strlen(name);
        if (strncmp(line, name, len) || !strchr(" \t:", line[len])) continue;
        char *p = strchr(line, ':');
        if (!p) continue;
        p += 1 + strspn(p + 1, " \t");
        p[strcspn(p, "\n")] = 0;
        snprintf(to, n, "%s", p);
        found = true;
    }
    if (f) fclose(f);
    return found;
}

static json_int_t memory_kb(const char *name) {
    char text[64];
    return proc_value("/proc/meminfo", name, text, sizeof text) ? (json_int_t)atoll(text) * 1024 : 0;
}

static json_t *machine(void) {
    char name[128] = "unknown", flags[8192] = "";
    struct utsname u;
    if (uname(&u)) memset(&u, 0, sizeof u);
    proc_value("/proc/cpuinfo", "model name", name, sizeof name);
    if (!proc_value("/proc/cpuinfo", "flags", flags, sizeof flags))
        proc_value("/proc/cpuinfo", "Features", flags, sizeof flags);
    json_t *list = json_array();
    for (char *p = strtok(flags, " "); p; p = strtok(NULL, " "))
        json_array_append_new(list, json_string(p));
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:o, s:I, s:I}", "os", u.sysname, "arch", u.machine,
                     "cpu", name, "cores", cpu_physical_cores(), "threads", team_size(),
                     "cache_bytes", (json_int_t)cache_bytes(), "cpu_flags", list, "memory_total",
                     memory_kb("MemTotal"), "memory_free", memory_kb("MemAvailable"));
}

static json_t *device(struct plugin *p, int i) {
    struct ag_device_info d = { .size = sizeof d };
    if (p->u.backend.device_info(i, &d) < 0)
        return json_pack("{s:s, s:i, s:s}", "backend", p->name, "index", i, "problem", fail_text());
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I}", "backend", p->name, "index", i, "name",
                     d.name, "arch", d.arch, "driver", d.driver, "memory_total",
                     (json_int_t)d.memory_total, "memory_free", (json_int_t)d.memory_free);
}

/* Every backend is loaded and asked: that is what a doctor is for. */
static json_t *devices(struct registry *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_BACKEND || p->shadowed || p->refused) continue;
        int n = registry_load(r, p) < 0 ? -1 : p->u.backend.device_count();
        for (int k = 0; k < n; k++) json_array_append_new(list, device(p, k));
        if (n <= 0)
            json_array_append_new(list, json_pack("{s:s, s:s}", "backend", p->name, "problem",
                                                  n < 0 ? fail_text() : "it finds no device"));
    }
    return list;
}

/* An object with one of two strings, whichever is there. */
static json_t *plugin(const struct plugin *p) {
    json_t *o = json_pack("{s:s, s:s, s:s}", "kind", plugin_kind_name(p->kind), "name",
                          p->name ? p->name : "?", "path", p->path);
    if (o && p->version) json_object_set_new(o, "version", json_string(p->version));
    if (o && p->refused) json_object_set_new(o, "refused", json_string(p->refused));
    if (o && p->shadowed) json_object_set_new(o, "shadowed", json_string(p->shadowed));
    return o;
}

static json_t *plugins(struct registry *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < registry_count(r); i++)
        json_array_append_new(list, plugin(registry_at(r, i)));
    return list;
}

/* Files of a folder and their bytes; not of folders in it. */
static json_t *folder(const char *what, const char *base, const char *below) {
    struct str path = { 0 };
    json_int_t files = 0, bytes = 0;
    if (!base) return json_pack("{s:s, s:n, s:s}", "what", what, "path", "state", "no home folder");
    str_printf(&path, "%s%s", base, below);
    DIR *d = opendir(str_text(&path));
    const char *state = d ? "there" : errno == ENOENT ? "not there yet" : strerror(errno);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, 0) || !S_ISREG(st.st_mode)) continue;
        files++;
        bytes += st.st_size;
    }
    if (d) closedir(d);
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I}", "what", what, "path", str_text(&path), "state",
                          state, "files", files, "bytes", bytes);
    str_free(&path);
    return o;
}

static json_t *limit(const char *name, int which, const char *meaning) {
    struct rlimit r;
    if (getrlimit(which, &r)) return json_pack("{s:s, s:n, s:s}", "name", name, "value", "why", meaning);
    json_t *value = r.rlim_cur == RLIM_INFINITY ? json_string("unlimited")
                                                : json_integer((json_int_t)r.rlim_cur);
    return json_pack("{s:s, s:o, s:s}", "name", name, "value", value, "why", meaning);
}

static json_t *limits(void) {
#if defined(RLIMIT_MEMLOCK)
    json_t *lock = limit("memlock", RLIMIT_MEMLOCK, "bytes that may be pinned for a device");
#else
    json_t *lock = json_null();
#endif
    return json_pack("[o, o, o]", lock,
                     limit("nofile", RLIMIT_NOFILE, "open files: one a part of a model"),
                     limit("as", RLIMIT_AS, "address space: models are mapped whole"));
}

static json_t *examine(const struct env *env, struct registry *r, double gb_s) {
    json_t *o = json_pack(
        "{s:s, s:s, s:o, s:f, s:o, s:o, s:s, s:o, s:o}", "version", AG_VERSION, "abi", AG_ABI_TEXT,
        "machine", machine(), "read_bandwidth_gb_s", gb_s, "devices", devices(r), "plugins",
        plugins(r), "plugin_folders", registry_searched(r), "folders", json_array(), "limits",
        limits());
    json_t *list = json_object_get(o, "folders");
    char below[32];
    json_array_append_new(list, folder("models", env->cache_home, "/agave/models"));
    json_array_append_new(list, folder("history", env->state_home, "/agave"));
    snprintf(below, sizeof below, "/agave/abi-%u", AG_ABI_MAJOR);
    json_array_append_new(list, folder("own plugins", env->data_home, below));
    return o;
}

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void bytes_of(const json_t *o, const char *key, char *to, size_t n) {
    text_bytes((double)json_integer_value(json_object_get(o, key)), to, n);
}

/* The flags that decide how fast a CPU multiplies. */
static void print_flags(const json_t *m) {
    static const char *const telling[] = {
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl",
        "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "asimd", "asimddp",
        "i8mm", "bf16", "sve", "sve2",
    };
    printf("isa:       ");
    for (size_t k = 0; k < sizeof telling / sizeof *telling; k++) {
        size_t i;
        json_t *flag;
        json_array_foreach(json_object_get(m, "cpu_flags"), i, flag)
            if (!strcmp(json_string_value(flag), telling[k])) printf(" %s", telling[k]);
    }
    putchar('\n');
}

static void print_machine(const json_t *o) {
    const json_t *m = json_object_get(o, "machine");
    char total[32], left[32], cache[32];
    bytes_of(m, "memory_total", total, sizeof total);
    bytes_of(m, "memory_free", left, sizeof left);
    bytes_of(m, "cache_bytes", cache, sizeof cache);
    printf("agave:      %s, plugin ABI %s\n", text_of(o, "version"), text_of(o, "abi"));
    printf("cpu:        %s, %s %s, %lld cores, %s cache\n", text_of(m, "cpu"), text_of(m, "os"),
           text_of(m, "arch"), (long long)json_integer_value(json_object_get(m, "cores")), cache);
    print_flags(m);
    printf("memory:     %s free of %s, read at %.1f GB/s by %lld threads\n", left, total,
           json_real_value(json_object_get(o, "read_bandwidth_gb_s")),
           (long long)json_integer_value(json_object_get(m, "threads")));
}

static void print_devices(const json_t *o) {
    const json_t *list = json_object_get(o, "devices"), *d;
    size_t i;
    if (!json_array_size(list)) puts("device:     none: no backend plugin can be used");
    json_array_foreach(list, i, d) {
        if (*text_of(d, "problem")) {
            printf("device:     %s: %s\n", text_of(d, "backend"), text_of(d, "problem"));
            continue;
        }
        char total[32];
        bytes_of(d, "memory_total", total, sizeof total);
        printf("device:     %s:%lld %s, %s%s%s", text_of(d, "backend"),
               (long long)json_integer_value(json_object_get(d, "index")), text_of(d, "name"), total,
               *text_of(d, "arch") ? ", " : "", text_of(d, "arch"));
        if (*text_of(d, "driver")) printf(", driver %s", text_of(d, "driver"));
        putchar('\n');
    }
}

static void print_plugins(const json_t *o) {
    const json_t *list = json_object_get(o, "plugins"), *p;
    size_t i;
    printf("plugins:   ");
    json_array_foreach(list, i, p)
        if (!*text_of(p, "refused") && !*text_of(p, "shadowed"))
            printf(" %s_%s", text_of(p, "kind"), text_of(p, "name"));
    printf("\nsearched:   %s\n", text_of(o, "plugin_folders"));
    json_array_foreach(list, i, p) {
        if (*text_of(p, "refused"))
            printf("refused:    %s: %s\n", text_of(p, "path"), text_of(p, "refused"));
        if (*text_of(p, "shadowed"))
            printf("shadowed:   %s: %s comes first\n", text_of(p, "path"), text_of(p, "shadowed"));
    }
}

static void print_rest(const json_t *o) {
    const json_t *e;
    size_t i;
    json_array_foreach(json_object_get(o, "folders"), i, e) {
        char bytes[32], label[32];
        bytes_of(e, "bytes", bytes, sizeof bytes);
        snprintf(label, sizeof label, "%s:", text_of(e, "what"));
        printf("%-12s%s (%s", label, text_of(e, "path"), text_of(e, "state"));
        json_int_t files = json_integer_value(json_object_get(e, "files"));
        if (files) printf(", %lld files, %s", (long long)files, bytes);
        puts(")");
    }
    json_array_foreach(json_object_get(o, "limits"), i, e) {
        const json_t *v = json_object_get(e, "value");
        printf("limit:      %s ", text_of(e, "name"));
        if (json_is_integer(v)) printf("%lld", (long long)json_integer_value(v));
        else printf("%s", json_is_string(v) ? json_string_value(v) : "unknown");
        printf(" (%s)\n", text_of(e, "why"));
    }
}

int cmd_doctor(const struct env *env, const struct options *o) {
    struct registry *r = NULL;
    double gb_s = 0;
    int err = env_registry(env, o, &r);
    if (!err) err = bandwidth_measure(&gb_s);
    json_t *found = err ? NULL : examine(env, r, gb_s);
    if (!err && !found) err = fail(AG_ENOMEM, "result: it cannot be formed as JSON");
    if (!err && o->json) {
        json_dumpf(found, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else if (!err) {
        print_machine(found);
        print_devices(found);
        print_plugins(found);
        print_rest(found);
    }
    json_decref(found);
    registry_close(r);
    return err;
}
