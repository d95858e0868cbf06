/* SPDX-License-Identifier: MIT */
/* top_k.c - the k best tokens, by one pass with a heap of the best so far. Blocks whose maximum does
 * not reach the worst of the heap are skipped, so that the pass runs at the speed of a maximum. */
#include "sample/chain.h"

enum { BLOCK = 64 };

/* Of equals the one with the lower id is better: sets do not depend on the order of the work. */
static bool worse(struct candidate a, struct candidate b) {
    return a.logit < b.logit || (a.logit == b.logit && a.id > b.id);
}

/* heap[0] is the worst of n. */
static void sift_down(struct candidate *heap, int32_t n, int32_t at) {
    struct candidate moved = heap[at];
    for (;;) {
        int64_t child = 2 * (int64_t)at + 1;
        if (child >= n) break;
        if (child + 1 < n && worse(heap[child + 1], heap[child])) child++;
        if (!worse(heap[child], moved)) break;
        heap[at] = heap[child];
        at = (int32_t)child;
    }
    heap[at] = moved;
}

static void heapify(struct candidate *heap, int32_t n) {
    for (int32_t j = n / 2 - 1; j >= 0; j--) sift_down(heap, n, j);
}

/* The worst goes to the end: best first. */
static void unwind(struct candidate *heap, int32_t n) {
    while (n-- > 1) {
        struct candidate worst = heap[0];
        heap[0] = heap[n];
        heap[n] = worst;
        sift_down(heap, n, 0);
    }
}

void list_sort(struct candidate *list, int32_t n) {
    heapify(list, n);
    unwind(list, n);
}

static void offer(struct candidate *heap, int32_t k, const float *logits, int32_t from,
                  int32_t end) {
    for (int32_t i = from; i < end; i++)
        if (logits[i] > heap[0].logit) {
            heap[0] = (struct candidate){ logits[i], i };
            sift_down(heap, k, 0);
        }
}

void top_k_select(struct sampler *s, int32_t k) {
    struct candidate *heap = s->list;
    int32_t i = k;
    for (int32_t j = 0; j < k; j++) heap[j] = (struct candidate){ s->logits[j], j };
    heapify(heap, k);
    for (; i + BLOCK <= s->n_vocab; i += BLOCK) {
        int nan = 0;
        if (scan_max(s->logits + i, BLOCK, &nan) > heap[0].logit)
            offer(heap, k, s->logits, i, i + BLOCK);
    }
    offer(heap, k, s->logits, i, s->n_vocab);

    unwind(heap, k);
    s->listed = true;
    s->n = k;
}

void top_k_apply(struct sampler *s) {
    if (s->p.top_k > 0 && s->p.top_k < s->n_vocab) top_k_select(s, s->p.top_k);
}
