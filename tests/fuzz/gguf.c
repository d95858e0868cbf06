/* SPDX-License-Identifier: MIT */
/* Target: the header of a GGUF file, from memory (of a file said to be large, so that headers alone make
 * good inputs) and as a file. */
#include "gguf.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const struct ag_plugin ag_plugin;

static void from_memory(const uint8_t *data, size_t size) {
    ag_file f = { 0 };
    uint64_t used;
    gguf_keys_init(&f.keys);
    names_init(&f.names, gguf_host);
    int rc = gguf_header_read(&f, 0, "fuzz", data, size, 1ull << 40, &f.keys, &used);
    REQUIRE(used <= size);
    for (uint32_t i = 0; rc == AG_OK && i < f.keys.names.n; i++) {
        struct ag_value v = { .size = sizeof v };
        gguf_value_view(&f.keys.value[i], &v);
        walk_value(&v);
    }
    for (uint32_t i = 0; rc == AG_OK && i < f.names.n; i++)
        REQUIRE(f.tensor[i].offset >= used && f.tensor[i].offset + f.tensor[i].bytes <= 1ull << 40);
    if (f.tensor) gguf_host->free(f.tensor);
    gguf_keys_finish(&f.keys);
    names_finish(&f.names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct ag_format *format = ag_plugin.iface;
    ag_file *f;
    ag_plugin.init(limit_host());
    limit_begin(size, 24);
    from_memory(data, size);
    limit_write("x.gguf", data, size);
    format->probe(data, size, limit_path("x.gguf"), false);
    if (format->open(limit_path("x.gguf"), &f) == AG_OK) {
        walk_file(format, f);
        format->close(f);
    }
    limit_end();
    return 0;
}
