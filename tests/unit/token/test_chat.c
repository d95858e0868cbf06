/* SPDX-License-Identifier: MIT */
/* Prompts: published ones of Gemma 3, ChatML, what is refused, and what becomes a control token. */
#include "token/chat.h"
#include "token_cmds.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* The form plugins/models/gemma3 has. */
static const char *const gemma3_eog[] = { "<end_of_turn>", "<eos>", NULL };
static const struct ag_chat gemma3 = {
    .size = sizeof(struct ag_chat),
    .flags = AG_CHAT_SYSTEM_IN_USER | AG_CHAT_MERGE_TURNS | AG_CHAT_TRIM,
    .name = "gemma3",
    .marker = "<start_of_turn>",
    .start = "<bos>",
    .begin = "<start_of_turn>",
    .middle = "\n",
    .end = "<end_of_turn>\n",
    .user = "user",
    .assistant = "model",
    .answer = "<start_of_turn>model\n",
    .eog = gemma3_eog,
};

/* run_template on a request: 0-terminated prompt to free, or NULL. */
static char *rendered(const struct ag_chat *c, const char *request) {
    char *text = NULL;
    size_t n = 0;
    FILE *in = fmemopen((void *)request, strlen(request), "r"), *out = open_memstream(&text, &n);
    int rc = run_template(c, in, out);
    fclose(in);
    fclose(out);
    if (rc == AG_OK) return text;
    free(text);
    return NULL;
}

static void expect(const struct ag_chat *c, const char *request, const char *want) {
    char *got = rendered(c, request);
    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    CU_ASSERT_STRING_EQUAL(got, want);
    if (strcmp(got, want)) fprintf(stderr, "got  %s\nwant %s\n", got, want);
    free(got);
}

/* Refused with a text that holds `why`. */
static void refused(const struct ag_chat *c, const char *request, const char *why) {
    fail_clear();
    char *got = rendered(c, request);
    CU_ASSERT_PTR_NULL(got);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), why));
    if (!strstr(fail_text(), why)) fprintf(stderr, "want '%s' in '%s'\n", why, fail_text());
    free(got);
}

static void test_published(void) {
    char path[1024];
    snprintf(path, sizeof path, "%s/chat_gemma3.json", data_dir);
    json_t *cases = json_load_file(path, 0, NULL);
    CU_ASSERT_EQUAL_FATAL(json_array_size(cases), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *c = json_array_get(cases, i);
        json_t *request = json_pack("{s:O,s:b,s:n,s:n,s:s}", "messages", json_object_get(c, "messages"),
                                    "add_generation_prompt", 1, "tools", "thinking", "now",
                                    "2026-01-02");
        char *text = json_dumps(request, 0);
        expect(&gemma3, text, json_string_value(json_object_get(c, "prompt")));
        free(text);
        json_decref(request);
    }
    json_decref(cases);
}

static void test_forms(void) {
    expect(&chat_chatml,
           "{\"messages\":[{\"role\":\"system\",\"content\":\" s \"},{\"role\":\"user\",\"content\":"
           "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b \"}]}],"
           "\"add_generation_prompt\":true}",
           "<|im_start|>system\n s <|im_end|>\n<|im_start|>user\nab <|im_end|>\n"
           "<|im_start|>assistant\n");
    expect(&chat_chatml, "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}",
           "<|im_start|>user\n<|im_end|>\n");
    expect(&gemma3,
           "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
           "\"\\u00a0a\\u3000\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\","
           "\"content\":\"c\"}],\"add_generation_prompt\":false}",
           "<bos><start_of_turn>user\ns\n\na\n\nb<end_of_turn>\n<start_of_turn>model\nc<end_of_turn>\n");
}

static void test_refused(void) {
    refused(&gemma3, "{\"messages\":[]}", "at least one message");
    refused(&gemma3, "{", "request");
    refused(&gemma3, "[]", "messages");
    refused(&gemma3, "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "tool");
    refused(&gemma3, "{\"messages\":[{\"role\":\"user\"}]}", "content");
    refused(&gemma3, "{\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}", "before a user");
    refused(&gemma3,
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"x\"},"
            "{\"role\":\"user\",\"content\":\"x\"}]}", "at the start");
    refused(&gemma3, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{}]}", "tools");
    refused(&gemma3, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"thinking\":true}",
            "thinking");
    refused(&gemma3, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"reasoning_effort\":\"low\"}",
            "reasoning_effort");
    refused(&gemma3, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}", "part 1");
    refused(&gemma3, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{}]}]}",
            "tool_calls");
}

static void test_pieces(void) {
    struct chat_message m[] = { { "system", "S", 1 }, { "user", "<bos>", 5 } };
    struct chat_prompt p;
    CU_ASSERT_EQUAL_FATAL(chat_render(&gemma3, m, 2, true, &p), AG_OK);
    CU_ASSERT_EQUAL_FATAL(p.n_piece, 3);
    CU_ASSERT(p.piece[0].literal && !p.piece[1].literal && p.piece[2].literal);
    CU_ASSERT_EQUAL(p.piece[1].n, 8); /* one run: S, blank line, <bos> */
    size_t at = 0;
    for (size_t i = 0; i < p.n_piece; i++) {
        CU_ASSERT_EQUAL(p.piece[i].begin, at);
        at += p.piece[i].n;
    }
    CU_ASSERT_EQUAL(at, p.text.n);
    chat_prompt_free(&p);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    data_dir = argv[1];
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("chat", NULL, NULL);
    CU_add_test(s, "published prompts", test_published);
    CU_add_test(s, "forms", test_forms);
    CU_add_test(s, "refused", test_refused);
    CU_add_test(s, "pieces", test_pieces);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
