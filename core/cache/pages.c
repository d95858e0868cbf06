/* SPDX-License-Identifier: MIT */
#include "cache/pages.h"

#include "util/error.h"

#include <stdlib.h>

enum { SLACK = 64 };

static int32_t pages_for(int64_t entries, int32_t page_tokens) {
    return (int32_t)((entries + page_tokens - 1) / page_tokens);
}

int page_pool_init(struct page_pool *p, uint32_t kind, int32_t window, int32_t page_tokens, int32_t ctx,
                   int32_t batch, int32_t n_seq) {
    *p = (struct page_pool){ .kind = kind, .window = window, .page_tokens = page_tokens, .slack = SLACK };
    int64_t each = pages_for(ctx, page_tokens);
    if (kind == AG_STATE_WINDOW) {
        /* a step's rows, the window and slack before them, and a partly used page at either end */
        int64_t held = pages_for((int64_t)window + SLACK + batch, page_tokens) + 2;
        if (held < each) each = held;
    }
    int64_t n = each * n_seq;
    if (n < 1 || n > INT32_MAX / page_tokens)
        return fail(AG_EINVAL, "a cache of %d sequences of %d tokens is too large; give a smaller --ctx-size", n_seq, ctx);
    p->free_page = malloc((size_t)n * sizeof *p->free_page);
    if (!p->free_page) return fail(AG_ENOMEM, "out of memory");
    p->n_page = p->n_free = (int32_t)n;
    for (int32_t i = 0; i < p->n_page; i++) p->free_page[i] = p->n_page - 1 - i;
    return AG_OK;
}

void page_pool_finish(struct page_pool *p) {
    free(p->free_page);
    *p = (struct page_pool){ 0 };
}

int page_table_init(struct page_table *t, int32_t max_page) {
    *t = (struct page_table){ .max_page = max_page };
    t->page = malloc((size_t)max_page * sizeof *t->page);
    if (!t->page) return fail(AG_ENOMEM, "out of memory");
    for (int32_t i = 0; i < max_page; i++) t->page[i] = -1;
    return AG_OK;
}

static void drop(struct page_table *t, struct page_pool *p, int32_t i) {
    p->free_page[p->n_free++] = t->page[i];
    t->page[i] = -1;
}

void page_table_finish(struct page_table *t, struct page_pool *p) {
    for (int32_t i = t->first; t->page && i < t->end; i++) drop(t, p, i);
    free(t->page);
    *t = (struct page_table){ 0 };
}

/* First entry that a query at entry `at` may see. */
static int32_t seen_from(const struct page_pool *p, int32_t at) {
    if (p->kind != AG_STATE_WINDOW) return 0;
    return at >= p->window ? at - p->window + 1 : 0;
}

int page_table_extend(struct page_table *t, struct page_pool *p, int32_t length, int32_t more) {
    int32_t keep = seen_from(p, length) - p->slack;
    for (; t->first < t->end && (t->first + 1) * p->page_tokens <= keep; t->first++) drop(t, p, t->first);
    int32_t end = pages_for((int64_t)length + more, p->page_tokens), had = t->end;
    for (; t->end < end; t->end++) {
        if (!p->n_free) {
            while (t->end > had) drop(t, p, --t->end);
            return fail(AG_ENOSPC, "the KV cache has no free page left of %d", p->n_page);
        }
        t->page[t->end] = p->free_page[--p->n_free];
    }
    return AG_OK;
}

bool page_table_can_cut(const struct page_table *t, const struct page_pool *p, int32_t n) {
    return t->first * p->page_tokens <= seen_from(p, n);
}

void page_table_cut(struct page_table *t, struct page_pool *p, int32_t n) {
    int32_t end = pages_for(n, p->page_tokens);
    while (t->end > end && t->end > t->first) drop(t, p, --t->end);
    if (n == 0) t->first = t->end = 0;
}
