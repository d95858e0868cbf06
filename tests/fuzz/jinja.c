/* SPDX-License-Identifier: MIT */
/* Target: a chat template, rendered for one conversation under small limits. */
#include "token/jinja/jinja.h"

#include "limit.h"
#include "util/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vars_text[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"Hi <|x|>\\u00e4\"},"
    " {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c1\", \"function\": {\"name\": \"f\","
    " \"arguments\": {\"a\": [1, 2.5, true]}}}]}, {\"role\": \"tool\", \"content\": \"ok\"}],"
    " \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", \"parameters\": {\"type\":"
    " \"object\", \"properties\": {\"a\": {\"type\": \"array\"}}}}}], \"add_generation_prompt\": true, \"enable_thinking\": false}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct jinja_limits limits = { .steps = 300000, .depth = 300, .output = 1 << 18, .memory = 8 << 20 };
    static json_t *vars, *literal;
    struct jinja *j = NULL;
    struct jinja_output o = { 0 };
    if (!vars) vars = json_loads(vars_text, 0, NULL), literal = json_pack("{s:s}", "bos_token", "<s>");
    fail_clear();
    int rc = jinja_parse((const char *)data, size, &j);
    if (rc == AG_OK) {
        const struct jinja_input in = { vars, literal, "2026-01-02T03:04:05" };
        rc = jinja_render(j, &in, &limits, &o);
    }
    REQUIRE(rc == AG_OK || *fail_text());
    size_t at = 0;
    for (size_t i = 0; i < o.n_piece; at += o.piece[i++].n) REQUIRE(o.piece[i].begin == at && o.piece[i].n);
    REQUIRE(at == o.text.n && o.text.n <= limits.output + 65536 * 8);
    jinja_output_free(&o);
    jinja_free(j);
    return 0;
}
