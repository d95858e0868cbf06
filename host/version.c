/* SPDX-License-Identifier: MIT */
#include "version.h"

#include <stdio.h>

static void plugins(struct registry *r, uint32_t kind) {
    printf("%ss:", plugin_kind_name(kind));
    int n = 0;
    for (size_t i = 0; i < registry_count(r); i++) {
        const struct plugin *p = registry_at(r, i);
        if (p->kind != kind || p->refused || p->shadowed) continue;
        printf("%s %s %s", n++ ? "," : "", p->name, p->version);
    }
    puts(n ? "" : " none");
}

int version_print(const struct env *env, const struct options *o) {
    puts("agave " AG_VERSION);
    if (!o->verbose) return 0;
    printf("compiler: %s\nbuild: %s\nplugin ABI: " AG_ABI_TEXT "\nplugin folder: " AG_PLUGIN_DIR "\n",
#if defined(__clang__)
           "clang " __clang_version__,
#else
           "gcc " __VERSION__,
#endif
           AG_BUILD);
    struct registry *r;
    int status = env_registry(env, o, &r);
    if (status < 0) return status;
    static const uint32_t kinds[] = { AG_KIND_BACKEND, AG_KIND_MODEL, AG_KIND_FORMAT,
                                      AG_KIND_TRANSPORT };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) plugins(r, kinds[i]);
    registry_close(r);
    return 0;
}
