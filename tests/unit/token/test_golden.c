/* SPDX-License-Identifier: MIT */
/* Published ids: every string of tokenizer_tests.json, with and without special tokens, and back, from
 * GGUF and from tokenizer.json. test_golden DATA [MODEL...] */
#include "token/tokenizer.h"
#include "util/error.h"
#include "util/host_services.h"
#include "util/str.h"

#include <CUnit/Basic.h>
#include <agave/base.h>
#include <agave/format.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct ag_plugin ag_plugin_gguf, ag_plugin_safetensors;

static const char *data_dir;
static const char *const *models;
static int n_models;

static bool same(const json_t *want, const struct ids *got) {
    if (json_array_size(want) != got->n) return false;
    for (size_t i = 0; i < got->n; i++)
        if (json_integer_value(json_array_get(want, i)) != got->id[i]) return false;
    return true;
}

static void check_ids(const struct tokenizer *t, const json_t *c, const char *field, unsigned flags,
                      const char *where) {
    struct ids ids = { 0 };
    const json_t *text = json_object_get(c, "text");
    int rc = tokenizer_encode(t, json_string_value(text), json_string_length(text), flags, &ids);
    CU_ASSERT_EQUAL(rc, AG_OK);
    bool ok = same(json_object_get(c, field), &ids);
    CU_ASSERT(ok);
    if (!ok) {
        fprintf(stderr, "%s: %s of \"%s\":", where, field, json_string_value(text));
        for (size_t i = 0; i < ids.n; i++) fprintf(stderr, " %d", ids.id[i]);
        fputc('\n', stderr);
    }
    ids_free(&ids);
}

static void check_decoded(const struct tokenizer *t, const json_t *c, const char *where) {
    const json_t *list = json_object_get(c, "ids"), *want = json_object_get(c, "decoded");
    struct ids ids = { 0 };
    ids.n = ids.cap = json_array_size(list);
    ids.id = calloc(ids.n + 1, sizeof *ids.id);
    for (size_t i = 0; i < ids.n; i++)
        ids.id[i] = (int32_t)json_integer_value(json_array_get(list, i));
    struct str text = { 0 };
    CU_ASSERT_EQUAL(tokenizer_decode(t, ids.id, ids.n, false, &text), AG_OK);
    bool ok = text.n == json_string_length(want) &&
              !memcmp(str_text(&text), json_string_value(want), text.n);
    CU_ASSERT(ok);
    if (!ok) fprintf(stderr, "%s: decoded \"%s\"\n", where, str_text(&text));
    str_free(&text);
    ids_free(&ids);
}

static void check_model(const struct ag_plugin *p, const char *model, const char *file) {
    char path[1024];
    const struct ag_format *f = p->iface;
    ag_file *open = NULL;
    struct tokenizer *t = NULL;
    if (p->init) p->init(host_services());
    snprintf(path, sizeof path, "%s/%s/tokenizer_tests.json", data_dir, model);
    json_t *cases = json_load_file(path, JSON_ALLOW_NUL, NULL);
    CU_ASSERT_FATAL(json_array_size(cases) > 0);
    snprintf(path, sizeof path, "%s/%s/%s", data_dir, model, file);
    CU_ASSERT_EQUAL_FATAL(f->open(path, &open), AG_OK);
    int rc = tokenizer_open(f, open, &t);
    if (rc < 0) fprintf(stderr, "%s: %s\n", path, fail_text());
    CU_ASSERT_EQUAL(rc, AG_OK);
    for (size_t i = 0; rc == AG_OK && i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        check_ids(t, c, "ids", 0, path);
        check_ids(t, c, "ids_special", TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, path);
        check_decoded(t, c, path);
    }
    json_decref(cases);
    tokenizer_free(t);
    f->close(open);
}

static void test_gguf(void) {
    for (int i = 0; i < n_models; i++) check_model(&ag_plugin_gguf, models[i], "model-f32.gguf");
}

static void test_hf(void) {
    for (int i = 0; i < n_models; i++) check_model(&ag_plugin_safetensors, models[i], "hf");
}

int main(int argc, char **argv) {
    static const char *const ours[] = { "gemma3", "llama" };
    if (argc < 2) return 2;
    data_dir = argv[1];
    models = argc > 2 ? (const char *const *)(argv + 2) : ours;
    n_models = argc > 2 ? argc - 2 : 2;
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("token golden", NULL, NULL);
    CU_add_test(s, "gguf", test_gguf);
    CU_add_test(s, "tokenizer.json", test_hf);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
