/* SPDX-License-Identifier: MIT */
/* pages.h - page groups: states whose pages age alike share a pool of page numbers and one table per
 * sequence. Entry e of a sequence lies in page table[e / page_tokens] at place e % page_tokens. The
 * bytes are the backend's; only numbers are kept here. */
#ifndef CACHE_PAGES_H
#define CACHE_PAGES_H

#include <agave/backend.h>

struct page_pool {
    uint32_t kind;         /* enum ag_state_kind */
    int32_t window;        /* of AG_STATE_WINDOW: entries a query sees */
    int32_t page_tokens;   /* a power of two */
    int32_t slack;         /* entries behind the window that are kept, so that short rewinds are free */
    int32_t n_page, n_free;
    int32_t *free_page;    /* stack */
};

/* Sequences of at most ctx entries, steps of at most batch rows of one. */
int page_pool_init(struct page_pool *, uint32_t kind, int32_t window, int32_t page_tokens, int32_t ctx,
                   int32_t batch, int32_t n_seq);
void page_pool_finish(struct page_pool *);

/* One sequence's table in one group. */
struct page_table {
    int32_t *page; /* [max_page], -1 = none */
    int32_t max_page;
    int32_t first; /* first page held; those before it aged out */
    int32_t end;   /* one behind the last page held */
};
int page_table_init(struct page_table *, int32_t max_page);
void page_table_finish(struct page_table *, struct page_pool *);

/* Pages for entries [0, length + more), after dropping those that no query from `length` on can see.
 * AG_ENOSPC: the pool is empty; the table is as it was but for what aged out. */
int page_table_extend(struct page_table *, struct page_pool *, int32_t length, int32_t more);
/* Can the sequence be cut to n entries and go on? */
bool page_table_can_cut(const struct page_table *, const struct page_pool *, int32_t n);
/* Gives back pages that hold no entry below n. */
void page_table_cut(struct page_table *, struct page_pool *, int32_t n);

#endif
