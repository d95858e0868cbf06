/* SPDX-License-Identifier: MIT */
/* Target: the tokenizer keys of a GGUF file. */
#include "token_walk.h"

#include <agave/format.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct ag_plugin ag_plugin;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct ag_format *format = ag_plugin.iface;
    ag_file *f;
    struct tokenizer *t;
    ag_plugin.init(host_services());
    limit_write("x.gguf", data, size);
    if (format->open(limit_path("x.gguf"), &f) < 0) return 0;
    if (tokenizer_open(format, f, &t) == AG_OK) token_walk(t, data, size);
    tokenizer_free(t);
    format->close(f);
    return 0;
}
