/* SPDX-License-Identifier: MIT */
#include "token/stream.h"

#include <string.h>

void stream_init(struct stream *s, const char *const *stop, int n_stop) {
    *s = (struct stream){ 0 };
    for (int i = 0; i < n_stop && s->n_stop < STREAM_MAX_STOP; i++) s->stop[s->n_stop++] = stop[i];
}

void stream_finish(struct stream *s) { str_free(&s->held); }

/* Looks at the UTF-8 sequence at p: its bytes when whole; 0 and *bad bytes of a maximal ill-formed
 * part; 0 and *bad = 0 when more bytes are needed to tell. */
static size_t sequence(const unsigned char *p, size_t n, size_t *bad) {
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    size_t k = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 4;
    *bad = 1;
    if (k == 4 && (c < 0xf0 || c > 0xf4)) return 0;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f;
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
    for (size_t i = 1; i < k; i++) {
        if (i == n) return *bad = 0;
        if (p[i] < low || p[i] > high) return *bad = i, 0;
        low = 0x80, high = 0xbf;
    }
    return k;
}

/* Shows held[0, limit); with `all` an unfinished sequence at its end too. The rest stays held. */
static void show(struct stream *s, size_t limit, bool all, struct str *out) {
    size_t i = 0, bad;
    while (i < limit) {
        size_t k = sequence((const unsigned char *)s->held.p + i, limit - i, &bad);
        if (k) {
            str_add(out, s->held.p + i, k);
        } else {
            if (!bad && !all) break;
            str_puts(out, "\xef\xbf\xbd");
            k = bad ? bad : limit - i;
        }
        i += k;
    }
    if (!i) return;
    memmove(s->held.p, s->held.p + i, s->held.n - i + 1);
    s->held.n -= i;
}

/* The stop string that is whole first; of those the one that began first. *at: where it begins. */
static int find_stop(const struct stream *s, size_t *at) {
    int found = -1;
    size_t best_end = 0;
    for (int k = 0; k < s->n_stop; k++) {
        size_t n = strlen(s->stop[k]);
        for (size_t i = 0; n && i + n <= s->held.n; i++) {
            if (memcmp(s->held.p + i, s->stop[k], n)) continue;
            if (found < 0 || i + n < best_end || (i + n == best_end && i < *at)) {
                found = k;
                best_end = i + n;
                *at = i;
            }
            break;
        }
    }
    return found;
}

/* Bytes at the end that a stop string may begin with. */
static size_t unfinished_stop(const struct stream *s) {
    size_t most = 0;
    for (int k = 0; k < s->n_stop; k++) {
        size_t n = strlen(s->stop[k]);
        size_t len = n ? n - 1 : 0;
        if (len > s->held.n) len = s->held.n;
        for (; len > most; len--)
            if (!memcmp(s->held.p + s->held.n - len, s->stop[k], len)) most = len;
    }
    return most;
}

bool stream_push(struct stream *s, const char *bytes, size_t n, struct str *out) {
    if (s->stopped) return true;
    str_add(&s->held, bytes, n);
    if (s->held.failed) out->failed = true;
    if (s->held.failed || !s->held.n) return false;
    size_t at = 0;
    int k = find_stop(s, &at);
    if (k >= 0) {
        show(s, at, true, out);
        str_clear(&s->held);
        s->stopped = k + 1;
        return true;
    }
    show(s, s->held.n - unfinished_stop(s), false, out);
    return false;
}

void stream_flush(struct stream *s, struct str *out) {
    if (!s->stopped) show(s, s->held.n, true, out);
    str_clear(&s->held);
}
