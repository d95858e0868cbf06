/* SPDX-License-Identifier: MIT */
/* fake_format.h - a model file that is a table of keys in memory, for tests of what reads keys. */
#ifndef TEST_FAKE_FORMAT_H
#define TEST_FAKE_FORMAT_H

#include <agave/format.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_MAX_KEY = 24, FAKE_MAX_ITEM = 64 };

struct fake_key { const char *name; struct ag_value v; char *owned; };
struct ag_file { struct fake_key key[FAKE_MAX_KEY]; int n; };

/* A key anew, or the one that is there. */
static inline struct ag_value *fake_set(struct ag_file *f, const char *name, uint32_t type) {
    int i = 0;
    while (i < f->n && strcmp(f->key[i].name, name)) i++;
    if (i == f->n) f->n++;
    free(f->key[i].owned);
    f->key[i] = (struct fake_key){ .name = name, .v = { .size = sizeof(struct ag_value), .type = type } };
    return &f->key[i].v;
}
static inline void fake_int(struct ag_file *f, const char *name, int64_t i) {
    fake_set(f, name, AG_VALUE_INT)->i = i;
}
static inline void fake_bool(struct ag_file *f, const char *name, bool b) {
    fake_set(f, name, AG_VALUE_BOOL)->i = b;
}
static inline void fake_str(struct ag_file *f, const char *name, const char *s) {
    struct ag_value *v = fake_set(f, name, AG_VALUE_STR);
    v->data = s;
    v->bytes = strlen(s);
}
static inline void fake_own(struct ag_file *f, struct ag_value *v, char *data) {
    v->data = data;
    for (int i = 0; i < f->n; i++)
        if (&f->key[i].v == v) f->key[i].owned = data;
}
static inline void fake_texts(struct ag_file *f, const char *name, const char *const *s, size_t n) {
    struct ag_value *v = fake_set(f, name, AG_VALUE_ARRAY);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += 8 + strlen(s[i]);
    char *p = malloc(bytes + 1), *to = p;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = strlen(s[i]);
        memcpy(to, &len, 8);
        memcpy(to + 8, s[i], len);
        to += 8 + len;
    }
    v->elem = AG_ELEM_STR;
    v->count = n;
    v->bytes = bytes;
    fake_own(f, v, p);
}
static inline void fake_words(struct ag_file *f, const char *name, uint32_t elem, const void *p,
                              size_t n) {
    struct ag_value *v = fake_set(f, name, AG_VALUE_ARRAY);
    char *copy = malloc(4 * n + 1);
    memcpy(copy, p, 4 * n);
    v->elem = elem;
    v->count = n;
    v->bytes = 4 * n;
    fake_own(f, v, copy);
}

static const char *fake_scheme(ag_file *f) { return (void)f, "gguf"; }
static bool fake_meta(ag_file *f, const char *key, struct ag_value *out) {
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->key[i].name, key)) return *out = f->key[i].v, true;
    return false;
}
static const char *fake_file(ag_file *f, uint32_t role) { return (void)f, (void)role, NULL; }
static const struct ag_format fake_format = {
    .size = sizeof(struct ag_format), .scheme = fake_scheme, .meta = fake_meta, .file = fake_file,
};
static inline void fake_clear(struct ag_file *f) {
    for (int i = 0; i < f->n; i++) free(f->key[i].owned);
    memset(f, 0, sizeof *f);
}

#endif
