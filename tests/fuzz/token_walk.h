/* SPDX-License-Identifier: MIT */
/* token_walk.h - for fuzz targets: uses a tokenizer that bad bytes made, on those bytes. */
#ifndef FUZZ_TOKEN_WALK_H
#define FUZZ_TOKEN_WALK_H

#include "limit.h"
#include "token/tokenizer.h"
#include "util/log.h"
#include "util/str.h"

static inline void token_walk(const struct tokenizer *t, const uint8_t *data, size_t size) {
    log_set_level(AG_LOG_ERROR);
    const char *text;
    size_t n = size < 600 ? size : 600, len;
    int32_t count = tokenizer_size(t);
    REQUIRE(count > 0 && tokenizer_bos(t) < count && tokenizer_eos(t) < count);
    for (unsigned flags = 0; flags < 8; flags++) {
        struct ids ids = { 0 };
        struct str out = { 0 };
        REQUIRE(tokenizer_encode(t, (const char *)data + (size - n), n, flags, &ids) == AG_OK);
        for (size_t i = 0; i < ids.n; i++) REQUIRE(ids.id[i] >= 0 && ids.id[i] < count);
        REQUIRE(tokenizer_decode(t, ids.id, ids.n, flags & 2, &out) == AG_OK);
        str_free(&out);
        ids_free(&ids);
    }
    for (int32_t id = -1; id <= count; id++) tokenizer_bytes(t, id, true, &text);
    const int32_t *eog;
    for (size_t i = 0, k = tokenizer_eog(t, &eog); i < k; i++) REQUIRE(tokenizer_is_eog(t, eog[i]));
    tokenizer_find(t, (const char *)data, n);
    tokenizer_template(t, &len);
}

#endif
