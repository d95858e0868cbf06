/* SPDX-License-Identifier: MIT */
/* Target: tokenizer.json. */
#include "token/vocab.h"
#include "token_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tokenizer *t;
    if (tokenizer_parse_json((const char *)data, size, &t) == AG_OK) token_walk(t, data, size);
    tokenizer_free(t);
    return 0;
}
