/* SPDX-License-Identifier: MIT */
#include "token/vocab.h"

#include "token/unicode.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SPECIAL_TEXT = 1024, PAIR_WORDS = 65536 / 64 };

static int by_text(const void *pa, const void *pb) {
    const struct special *a = pa, *b = pb;
    int c = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    if (c) return c;
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void mark(uint64_t *bits, unsigned char a, unsigned char b) {
    unsigned k = (unsigned)a << 8 | b;
    bits[k / 64] |= (uint64_t)1 << (k % 64);
}

static void mark_item(struct special_set *set, const struct special *it) {
    unsigned char a = (unsigned char)it->text[0];
    for (int all = it->user ? 0 : 1; all < 2; all++) {
        if (it->n > 1) mark(set->pair[all], a, (unsigned char)it->text[1]);
        else for (int b = 0; b < 256; b++) mark(set->pair[all], a, (unsigned char)b);
    }
}

int special_build(struct special_set *set, const struct special *list, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i].n > MAX_SPECIAL_TEXT)
            return fail(AG_EFORMAT, "tokenizer: special token %d: want a text of at most %d bytes, "
                        "found %u", list[i].id, MAX_SPECIAL_TEXT, list[i].n);
        bytes += list[i].n;
    }
    set->item = calloc(n + 1, sizeof *set->item);
    set->texts = malloc(bytes + 1);
    set->pair[0] = calloc(2 * PAIR_WORDS, sizeof **set->pair);
    if (!set->item || !set->texts || !set->pair[0])
        return fail(AG_ENOMEM, "tokenizer: out of memory for %zu special tokens", n);
    set->pair[1] = set->pair[0] + PAIR_WORDS;
    char *to = set->texts;
    for (size_t i = 0; i < n; i++) {
        if (!list[i].n) continue;
        struct special *it = &set->item[set->n++];
        *it = list[i];
        it->text = memcpy(to, list[i].text, list[i].n);
        to += it->n;
    }
    qsort(set->item, set->n, sizeof *set->item, by_text);
    for (size_t i = 0; i < set->n; i++) mark_item(set, &set->item[i]);
    return AG_OK;
}

void special_free(struct special_set *set) {
    free(set->item);
    free(set->texts);
    free(set->pair[0]);
    *set = (struct special_set){ 0 };
}

int32_t special_id(const struct special_set *set, const char *text, size_t n) {
    size_t lo = 0, hi = set->n;
    struct special key = { .text = text, .n = (uint32_t)n, .id = -1 };
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (by_text(&set->item[mid], &key) < 0) lo = mid + 1;
        else hi = mid;
    }
    bool found = lo < set->n && set->item[lo].n == n && !memcmp(set->item[lo].text, text, n);
    return found ? set->item[lo].id : -1;
}

/* First item of [lo, hi), all with the same first k bytes, whose byte k is at least (or, with
 * above, greater than) c; items that end at k come first. */
static size_t narrow(const struct special_set *set, size_t lo, size_t hi, size_t k, unsigned char c,
                     bool above) {
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct special *it = &set->item[mid];
        int b = it->n > k ? (unsigned char)it->text[k] : -1;
        if (b < c || (above && b == c)) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* [A-Za-z0-9_] in any script, as HF's word borders have it. */
static bool is_word(unsigned cls, char c) {
    return cls & (CLASS_UPPER | CLASS_LOWER | CLASS_LETTER | CLASS_MARK | CLASS_NUMBER) || c == '_';
}

static bool at_borders(const char *s, size_t at, size_t end, size_t n) {
    size_t len, p = at;
    if (p) {
        do p--; while (p && at - p < 4 && ((unsigned char)s[p] & 0xc0) == 0x80);
        if (is_word(utf8_class(s + p, at - p, &len), s[p])) return false;
    }
    return end >= n || !is_word(utf8_class(s + end, n - end, &len), s[end]);
}

static const struct special *longest(const struct special_set *set, const char *s, size_t i,
                                     size_t n, bool all) {
    const struct special *best = NULL;
    size_t lo = 0, hi = set->n;
    for (size_t k = 0; lo < hi; k++) {
        const struct special *it = &set->item[lo];
        if (it->n == k && k) {
            if ((all || it->user) && (!it->word || at_borders(s, i, i + k, n))) best = it;
            while (lo < hi && set->item[lo].n == k) lo++; /* the same text again: first id counts */
        }
        if (i + k >= n) break;
        unsigned char c = (unsigned char)s[i + k];
        size_t from = narrow(set, lo, hi, k, c, false);
        hi = narrow(set, from, hi, k, c, true);
        lo = from;
    }
    return best;
}

const struct special *special_at(const struct special_set *set, const char *s, size_t i, size_t n, bool all) {
    return longest(set, s, i, n, all);
}

const struct special *special_find(const struct special_set *set, const char *s, size_t i, size_t n,
                                   bool all, size_t *at) {
    const uint64_t *bits = set->pair[all];
    for (; i < n; i++) {
        unsigned k = (unsigned)(unsigned char)s[i] << 8;
        if (i + 1 < n) {
            k |= (unsigned char)s[i + 1];
            if (!(bits[k / 64] >> (k % 64) & 1)) continue;
        }
        const struct special *it = longest(set, s, i, n, all);
        if (it) return *at = i, it;
    }
    return NULL;
}
