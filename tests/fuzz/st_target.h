/* SPDX-License-Identifier: MIT */
/* st_target.h - opens the SafeTensors directory that a target has written. */
#ifndef FUZZ_ST_TARGET_H
#define FUZZ_ST_TARGET_H

#include "walk.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct ag_plugin ag_plugin;

static const char *const st_keys[] = { "a/b", "text_config/hidden_size", "layer_types/0", "/", "a//b",
                                       "rope_parameters/full_attention/rope_theta", "x~1y/~0" };

static inline void st_open(size_t size, size_t factor) {
    const struct ag_format *format = ag_plugin.iface;
    ag_file *f;
    ag_plugin.init(limit_host());
    json_set_alloc_funcs(limit_malloc, limit_free);
    limit_begin(size, factor);
    format->probe(NULL, 0, limit_dir, true);
    if (format->open(limit_dir, &f) == AG_OK) {
        walk_file(format, f);
        for (size_t i = 0; i < sizeof st_keys / sizeof *st_keys; i++) {
            struct ag_value v = { .size = sizeof v };
            if (format->meta(f, st_keys[i], &v)) walk_value(&v);
        }
        format->close(f);
    }
    limit_end();
}

#endif
