/* SPDX-License-Identifier: MIT */
/* Target: one SafeTensors file. */
#include "st_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*limit_dir) limit_write("config.json", "{}", 2);
    limit_write("model.safetensors", data, size);
    st_open(size, 24);
    return 0;
}
