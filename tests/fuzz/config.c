/* SPDX-License-Identifier: MIT */
/* Target: config.json of a directory. A tree of values may take more than forty times the bytes of its
 * text ("[],[],"), which is why the size of this file is limited. */
#include "st_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*limit_dir) limit_write("model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    limit_write("config.json", data, size);
    st_open(size, 128);
    return 0;
}
