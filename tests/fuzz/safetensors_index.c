/* SPDX-License-Identifier: MIT */
/* Target: the list of shards; one shard, "a", is there and holds the tensor "t". */
#include "st_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char shard[] = "\x35\0\0\0\0\0\0\0{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}x";
    if (!*limit_dir) {
        limit_write("config.json", "{}", 2);
        limit_write("a", shard, sizeof shard - 1);
    }
    limit_write("model.safetensors.index.json", data, size);
    st_open(size, 24);
    return 0;
}
