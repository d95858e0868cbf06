/* SPDX-License-Identifier: MIT */
/* bpe.c - one word to ids by merging neighbours, the heart of every tokenizer here: BPE takes the pair
 * of the lowest rank, SPM the pair whose result has the highest score; ties go to the left.
 * Before it: encode.c, which cuts text into words (and host/cmd_run.c, where the text came from).
 * After it: core/session.c, which takes the ids. */
#include "token/vocab.h"

#include "token/hash.h"
#include "token/unicode.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 48 }; /* symbols up to which scanning for the best pair beats a heap */

int ids_reserve(struct ids *ids, size_t more) {
    if (more > SIZE_MAX - ids->n) return fail(AG_ENOMEM, "out of memory");
    return mem_grow(&ids->id, &ids->cap, ids->n + more, sizeof *ids->id);
}

/* Do pieces left and right merge, whose bytes together are s[0, n)? */
static bool join(const struct tokenizer *t, const char *s, size_t n, int32_t left, int32_t right,
                 uint32_t *order, int32_t *id) {
    if (t->kind != VOCAB_SPM)
        return left >= 0 && right >= 0 && vocab_pair(t, left, right, order, id);
    if (n > t->max_piece) return false;
    *id = vocab_find(t, s, n, text_hash(t->seed, s, n));
    if (*id < 0 || !t->token[*id].merges) return false;
    *order = t->token[*id].order;
    return true;
}

/* The first symbol of s: its piece or -1, and its bytes. */
static int32_t symbol(const struct tokenizer *t, const char *s, size_t n, size_t *len) {
    unsigned char c = (unsigned char)*s;
    *len = 1;
    if (c < 0x80 || t->kind == VOCAB_BYTES) return t->char_id[c];
    uint32_t cp;
    size_t k = utf8_decode(s, n, &cp);
    if (!k) return -1;
    *len = k;
    int32_t id = vocab_find(t, s, k, text_hash(t->seed, s, k));
    return id >= 0 && t->token[id].merges ? id : -1;
}

/* Room in out is reserved: at most one id a byte. Returns bytes that no token stands for. */
static size_t emit(const struct tokenizer *t, const char *s, size_t n, int32_t id, struct ids *out,
                   size_t first) {
    if (id >= 0) {
        out->id[out->n++] = id;
        return 0;
    }
    bool bytes = true;
    for (size_t i = 0; i < n; i++) bytes &= t->byte_id[(unsigned char)s[i]] >= 0;
    if (bytes) {
        for (size_t i = 0; i < n; i++) out->id[out->n++] = t->byte_id[(unsigned char)s[i]];
        return 0;
    }
    if (t->unknown < 0) return n;
    bool again = out->n > first && out->id[out->n - 1] == t->unknown;
    if (!t->fuse_unknown || !again) out->id[out->n++] = t->unknown;
    return 0;
}

struct short_word {
    const char *s;
    int n;                    /* symbols */
    uint8_t at[SHORT + 1];    /* bytes; at[n] = end */
    bool joins[SHORT];        /* symbol i with i + 1 */
    int32_t id[SHORT], to[SHORT];
    uint32_t order[SHORT];
};

static void look(const struct tokenizer *t, struct short_word *w, int i) {
    if (i < 0 || i + 1 >= w->n) return;
    w->joins[i] = join(t, w->s + w->at[i], (size_t)(w->at[i + 2] - w->at[i]), w->id[i],
                       w->id[i + 1], &w->order[i], &w->to[i]);
}

static void merge_short(const struct tokenizer *t, struct short_word *w) {
    for (int i = 0; i + 1 < w->n; i++) look(t, w, i);
    for (;;) {
        int best = -1;
        for (int i = 0; i + 1 < w->n; i++)
            if (w->joins[i] && (best < 0 || w->order[i] < w->order[best])) best = i;
        if (best < 0) return;
        w->id[best] = w->to[best];
        int from = best + 2, rest = w->n - from; /* symbols behind the pair */
        memmove(w->at + from - 1, w->at + from, (size_t)rest + 1);
        if (rest) {
            size_t k = (size_t)rest;
            memmove(w->id + from - 1, w->id + from, k * sizeof *w->id);
            memmove(w->to + from - 1, w->to + from, k * sizeof *w->to);
            memmove(w->order + from - 1, w->order + from, k * sizeof *w->order);
            memmove(w->joins + from - 1, w->joins + from, k * sizeof *w->joins);
        }
        w->n--;
        look(t, w, best - 1);
        look(t, w, best);
    }
}

/* Symbols of a long word are a linked list; n = 0: merged into its left neighbour. */
struct sym { uint32_t at, n, prev, next; int32_t id; };
/* A pair that may merge; stale once a symbol of it has changed. key: order, then place. */
struct cand { uint64_t key; uint32_t n_left, n; int32_t id; };

struct long_word {
    const struct tokenizer *t;
    const char *s;
    struct sym *sym;
    size_t n_sym, cap_sym;
    struct cand *heap;
    size_t n_heap, cap_heap;
};

#define NONE UINT32_MAX

static int push(struct long_word *w, uint32_t left) {
    uint32_t right = left == NONE ? NONE : w->sym[left].next;
    if (right == NONE) return AG_OK;
    const struct sym *l = &w->sym[left], *r = &w->sym[right];
    uint32_t order;
    int32_t id;
    if (!join(w->t, w->s + l->at, (size_t)l->n + r->n, l->id, r->id, &order, &id)) return AG_OK;
    int rc = mem_grow(&w->heap, &w->cap_heap, w->n_heap + 1, sizeof *w->heap);
    if (rc < 0) return rc;
    struct cand c = { (uint64_t)order << 32 | left, l->n, l->n + r->n, id };
    size_t i = w->n_heap++;
    for (; i && w->heap[(i - 1) / 2].key > c.key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = c;
    return AG_OK;
}

static struct cand pop(struct long_word *w) {
    struct cand top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w->n_heap; i = k) {
        if (k + 1 < w->n_heap && w->heap[k + 1].key < w->heap[k].key) k++;
        if (w->heap[k].key >= last.key) break;
        w->heap[i] = w->heap[k];
    }
    w->heap[i] = last;
    return top;
}

static int merge_long(struct long_word *w) {
    for (size_t i = 0; i < w->n_sym; i++)
        if (push(w, (uint32_t)i) < 0) return AG_ENOMEM;
    while (w->n_heap) {
        struct cand c = pop(w);
        uint32_t left = (uint32_t)c.key;
        struct sym *l = &w->sym[left];
        if (l->n != c.n_left || l->next == NONE || l->n + w->sym[l->next].n != c.n) continue;
        struct sym *r = &w->sym[l->next];
        l->n = c.n;
        l->id = c.id;
        l->next = r->next;
        if (r->next != NONE) w->sym[r->next].prev = left;
        r->n = 0;
        if (push(w, l->prev) < 0 || push(w, left) < 0) return AG_ENOMEM;
    }
    return AG_OK;
}

static int long_word(const struct tokenizer *t, const char *s, size_t n, struct ids *out,
                     size_t *lost) {
    struct long_word w = { .t = t, .s = s };
    int rc = AG_OK;
    for (size_t i = 0, len; i < n; i += len) {
        if ((rc = mem_grow(&w.sym, &w.cap_sym, w.n_sym + 1, sizeof *w.sym)) < 0) goto out;
        int32_t id = symbol(t, s + i, n - i, &len);
        uint32_t k = (uint32_t)w.n_sym++;
        w.sym[k] = (struct sym){ (uint32_t)i, (uint32_t)len, k ? k - 1 : NONE, k + 1, id };
    }
    w.sym[w.n_sym - 1].next = NONE;
    if ((rc = merge_long(&w)) < 0) goto out;
    size_t first = out->n;
    for (uint32_t k = 0; k != NONE; k = w.sym[k].next)
        *lost += emit(t, s + w.sym[k].at, w.sym[k].n, w.sym[k].id, out, first);
out:
    free(w.sym);
    free(w.heap);
    return rc;
}

int merge_word(const struct tokenizer *t, const char *s, size_t n, struct ids *out, size_t *lost) {
    if (!n) return AG_OK;
    int rc = ids_reserve(out, n);
    if (rc < 0) return rc;
    if (n > UINT8_MAX) return long_word(t, s, n, out, lost);
    struct short_word w;
    w.s = s;
    w.n = 0;
    for (size_t i = 0, len; i < n; i += len) {
        if (w.n == SHORT) return long_word(t, s, n, out, lost);
        w.id[w.n] = symbol(t, s + i, n - i, &len);
        w.at[w.n++] = (uint8_t)i;
    }
    w.at[w.n] = (uint8_t)n;
    merge_short(t, &w);
    size_t first = out->n;
    for (int i = 0; i < w.n; i++)
        *lost += emit(t, s + w.at[i], (size_t)(w.at[i + 1] - w.at[i]), w.id[i], out, first);
    return AG_OK;
}
