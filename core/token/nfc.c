/* SPDX-License-Identifier: MIT */
#include "token/nfc.h"

#include "token/unicode.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* Hangul syllables are computed (Unicode Standard, section 3.12). */
enum { S = 0xac00, L = 0x1100, V = 0x1161, T = 0x11a7, N_L = 19, N_V = 21, N_T = 28,
       N_S = N_L * N_V * N_T };
enum { RAW = 0x110000 }; /* plus a byte that is no UTF-8 */

struct mark { uint32_t cp; uint8_t ccc; };
struct marks { struct mark *at; size_t n, cap; };

bool nfc_may_change(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0xcc) return true;
    return false;
}

/* Row whose first column is the last one not above a (and, with two keys, b), or NULL. */
static const uint32_t *row_at(const uint32_t (*table)[3], size_t n, uint32_t a, uint32_t b, bool two) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        bool above = table[mid][0] > a || (two && table[mid][0] == a && table[mid][1] > b);
        if (above) hi = mid;
        else lo = mid + 1;
    }
    return lo ? table[lo - 1] : NULL;
}

static uint8_t class_of(uint32_t cp) {
    const uint32_t *r = cp < 0x300 ? NULL : row_at(nfc_classes, nfc_counts[2], cp, 0, false);
    return r && cp <= r[1] ? (uint8_t)r[2] : 0;
}

static int put(struct marks *m, uint32_t cp) {
    int rc = mem_grow(&m->at, &m->cap, m->n + 1, sizeof *m->at);
    if (rc == AG_OK) m->at[m->n++] = (struct mark){ cp, class_of(cp) };
    return rc;
}

/* First parts may have parts themselves, second ones have none. */
static int decompose(struct marks *m, uint32_t cp) {
    uint32_t tail[8];
    int n = 0, rc = AG_OK;
    if (cp >= S && cp < S + N_S) {
        uint32_t k = cp - S;
        if ((rc = put(m, L + k / (N_V * N_T))) < 0) return rc;
        if ((rc = put(m, V + k % (N_V * N_T) / N_T)) < 0) return rc;
        return k % N_T ? put(m, T + k % N_T) : AG_OK;
    }
    for (const uint32_t *r; n < 8 && (r = row_at(nfc_parts, nfc_counts[0], cp, 0, false)) && r[0] == cp;
         cp = r[1])
        if (r[2]) tail[n++] = r[2];
    rc = put(m, cp);
    while (rc == AG_OK && n) rc = put(m, tail[--n]);
    return rc;
}

/* Stable sort of a run of combining marks by class; runs may be as long as the text. */
static int order(struct mark *m, size_t n) {
    if (n <= 32) {
        for (size_t i = 1; i < n; i++) {
            struct mark x = m[i];
            size_t k = i;
            for (; k && m[k - 1].ccc > x.ccc; k--) m[k] = m[k - 1];
            m[k] = x;
        }
        return AG_OK;
    }
    size_t start[257] = { 0 };
    struct mark *copy = malloc(n * sizeof *copy);
    if (!copy) return fail(AG_ENOMEM, "out of memory");
    memcpy(copy, m, n * sizeof *m);
    for (size_t i = 0; i < n; i++) start[m[i].ccc + 1]++;
    for (int c = 0; c < 256; c++) start[c + 1] += start[c];
    for (size_t i = 0; i < n; i++) m[start[copy[i].ccc]++] = copy[i];
    free(copy);
    return AG_OK;
}

/* What a and b compose to, or 0. */
static uint32_t composed(uint32_t a, uint32_t b) {
    if (a >= L && a < L + N_L && b >= V && b < V + N_V)
        return S + ((a - L) * N_V + (b - V)) * N_T;
    if (a >= S && a < S + N_S && (a - S) % N_T == 0 && b > T && b < T + N_T) return a + (b - T);
    const uint32_t *r = row_at(nfc_pairs, nfc_counts[1], a, b, true);
    return r && r[0] == a && r[1] == b ? r[2] : 0;
}

static void compose(struct marks *m) {
    size_t n = 0, starter = SIZE_MAX;
    int last = -1; /* class of what was kept after the starter, -1 = nothing */
    for (size_t i = 0; i < m->n; i++) {
        struct mark x = m->at[i];
        uint32_t c = starter != SIZE_MAX && last < x.ccc ? composed(m->at[starter].cp, x.cp) : 0;
        if (c) {
            m->at[starter].cp = c;
            continue;
        }
        if (x.ccc == 0) starter = n;
        last = x.ccc ? x.ccc : -1;
        m->at[n++] = x;
    }
    m->n = n;
}

static int order_all(struct marks *m) {
    for (size_t i = 0; i < m->n;) {
        size_t end = i;
        while (end < m->n && m->at[end].ccc) end++;
        if (end > i + 1 && order(m->at + i, end - i) < 0) return AG_ENOMEM;
        i = end + 1;
    }
    return AG_OK;
}

int nfc_write(const char *s, size_t n, char *out, size_t *n_out) {
    struct marks m = { 0 };
    int rc = AG_OK;
    *n_out = 0;
    for (size_t i = 0; i < n && rc == AG_OK;) {
        uint32_t cp;
        size_t k = utf8_decode(s + i, n - i, &cp);
        rc = k ? decompose(&m, cp) : put(&m, RAW + (unsigned char)s[i]);
        i += k ? k : 1;
    }
    if (rc == AG_OK) rc = order_all(&m);
    if (rc == AG_OK) compose(&m);
    for (size_t i = 0; rc == AG_OK && i < m.n; i++) {
        if (m.at[i].cp >= RAW) out[(*n_out)++] = (char)(m.at[i].cp - RAW);
        else *n_out += utf8_encode(m.at[i].cp, out + *n_out);
    }
    free(m.at);
    return rc;
}
