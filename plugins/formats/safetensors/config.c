/* SPDX-License-Identifier: MIT */
/* config.c - config.json: typed values by path. Numbers that JSON has no word for occur in published
 * files, bare (Infinity) and as {"__float__": "Infinity"}; both are taken. */
#include "st.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const struct { const char *word; double value; } odd_float[] = {
    { "Infinity", INFINITY }, { "-Infinity", -INFINITY }, { "NaN", NAN },
};
enum { N_ODD = sizeof odd_float / sizeof *odd_float };

/* The word at p, or -1. */
static int odd_at(const char *p, const char *end) {
    for (int i = 0; i < N_ODD; i++) {
        size_t n = strlen(odd_float[i].word);
        if ((size_t)(end - p) >= n && !memcmp(p, odd_float[i].word, n)) return i;
    }
    return -1;
}

/* Writes the text with bare words replaced by {"__float__":"word"}; counts only when `to` is NULL. */
static size_t wrap_odd(const char *p, const char *end, char *to) {
    size_t n = 0;
    bool quoted = false;
    while (p < end) {
        int odd = !quoted && (*p == 'I' || *p == 'N' || *p == '-') ? odd_at(p, end) : -1;
        if (odd >= 0) {
            char made[40];
            int len = snprintf(made, sizeof made, "{\"__float__\":\"%s\"}", odd_float[odd].word);
            if (to) memcpy(to + n, made, (size_t)len);
            n += (size_t)len;
            p += strlen(odd_float[odd].word);
            continue;
        }
        bool pair = quoted && *p == '\\' && end - p >= 2;
        if (*p == '"') quoted = !quoted;
        for (int k = pair ? 2 : 1; k; k--, n++, p++)
            if (to) to[n] = *p;
    }
    return n;
}

static int parse(const char *path, const char *text, size_t n, json_t **out) {
    json_error_t error;
    size_t room = wrap_odd(text, text + n, NULL);
    char *clean = st_host->alloc(room + 1, 16);
    if (!clean) return st_host->fail(AG_ENOMEM, "out of memory");
    wrap_odd(text, text + n, clean);
    *out = json_loadb(clean, room, JSON_REJECT_DUPLICATES, &error);
    st_host->free(clean);
    if (*out && json_is_object(*out)) return AG_OK;
    if (*out) return st_host->fail(AG_EFORMAT, "%s: want a JSON object, found another value", path);
    char shown[96];
    return st_host->fail(AG_EFORMAT, "%s: malformed JSON at line %d: %s", path, error.line,
                         names_show(shown, error.text, strlen(error.text)));
}

/* Weights stored as codes and scales are told by the configuration, under one of these names. */
static int refuse_quantised(const ag_file *f) {
    static const char *const name[] = { "quantization", "quantization_config", "compression_config" };
    const json_t *inner = json_object_get(f->config, "text_config");
    char shown[96];
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const json_t *q = json_object_get(f->config, name[i]);
        if (!json_is_object(q)) q = json_object_get(inner, name[i]);
        if (!json_is_object(q)) continue;
        const char *method = json_string_value(json_object_get(q, "quant_method"));
        if (!method) method = i == 0 ? "MLX" : "unknown";
        return st_host->fail(AG_ENOTSUP, "%s: the weights are quantised (%s: method %s): want F32, F16 or "
                             "BF16 weights here, or a GGUF file", f->dir, name[i],
                             names_show(shown, method, strlen(method)));
    }
    char *path = st_join(f->dir, "hf_quant_config.json");
    if (!path) return st_host->fail(AG_ENOMEM, "out of memory");
    FILE *there = fopen(path, "rb");
    st_host->free(path);
    if (!there) return AG_OK;
    fclose(there);
    return st_host->fail(AG_ENOTSUP, "%s: the weights are quantised (hf_quant_config.json: method "
                         "modelopt): want F32, F16 or BF16 weights here, or a GGUF file", f->dir);
}

static int list_keys(ag_file *f) {
    const char *key;
    json_t *value;
    size_t n = json_object_size(f->config);
    f->key = st_host->alloc((n + 1) * sizeof *f->key, 16);
    if (!f->key) return st_host->fail(AG_ENOMEM, "out of memory");
    json_object_foreach(f->config, key, value) f->key[f->n_key++] = key;
    return AG_OK;
}

int st_config_read(ag_file *f) {
    char *path = st_join(f->dir, "config.json"), *text = NULL;
    size_t n = 0;
    int rc = path ? st_read_file(path, ST_MAX_CONFIG, &text, &n) : st_host->fail(AG_ENOMEM, "out of memory");
    if (rc == AG_OK) rc = parse(path, text, n, &f->config);
    if (rc == AG_OK) rc = refuse_quantised(f);
    if (rc == AG_OK) rc = list_keys(f);
    if (text) st_host->free(text);
    if (path) st_host->free(path);
    return rc;
}

void st_config_finish(ag_file *f) {
    while (f->view) {
        struct st_view *next = f->view->next;
        st_host->free(f->view);
        f->view = next;
    }
    if (f->key) st_host->free(f->key);
    json_decref(f->config);
}

/* Follows one step of a path: a member, or an element by number. "~1" stands for '/', "~0" for '~'. */
static const json_t *step(const json_t *at, const char *name, size_t n) {
    char part[256];
    size_t k = 0, index = 0;
    bool number = n > 0 && n < 9;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (k == sizeof part - 1) return NULL;
        if (c == '~' && i + 1 < n && (name[i + 1] == '0' || name[i + 1] == '1'))
            c = name[++i] == '1' ? '/' : '~';
        number = number && c >= '0' && c <= '9';
        if (number) index = index * 10 + (size_t)(c - '0');
        part[k++] = c;
    }
    part[k] = 0;
    if (json_is_array(at)) return number ? json_array_get(at, index) : NULL;
    return json_object_get(at, part);
}

/* What all elements of a list are; numbers are integers only when all are. */
static uint32_t elem_of(const json_t *list) {
    uint32_t elem = AG_ELEM_OTHER;
    const json_t *x;
    size_t i;
    json_array_foreach(list, i, x) {
        uint32_t one = json_is_integer(x) ? AG_ELEM_I64 : json_is_real(x) ? AG_ELEM_F64
                     : json_is_boolean(x) ? AG_ELEM_BOOL : json_is_string(x) ? AG_ELEM_STR
                     : AG_ELEM_OTHER;
        if (one == AG_ELEM_OTHER) return one;
        bool numbers = (one == AG_ELEM_I64 || one == AG_ELEM_F64) &&
                       (elem == AG_ELEM_I64 || elem == AG_ELEM_F64);
        if (i && one != elem && !numbers) return AG_ELEM_OTHER;
        if (!i || one == AG_ELEM_F64) elem = one;
    }
    return elem;
}

/* Packs one element at `to`, or only counts its bytes when `to` is NULL. */
static size_t pack(uint32_t elem, const json_t *x, unsigned char *to) {
    if (elem == AG_ELEM_STR) {
        uint64_t n = json_string_length(x);
        if (to) memcpy(to, &n, 8), memcpy(to + 8, json_string_value(x), n);
        return 8 + n;
    }
    if (elem == AG_ELEM_BOOL) {
        if (to) *to = json_is_true(x);
        return 1;
    }
    int64_t i = json_is_integer(x) ? json_integer_value(x) : 0;
    double d = json_number_value(x);
    if (to) memcpy(to, elem == AG_ELEM_I64 ? (const void *)&i : (const void *)&d, 8);
    return 8;
}

static const struct st_view *view_of(ag_file *f, const json_t *list) {
    for (struct st_view *v = f->view; v; v = v->next)
        if (v->of == list) return v;
    uint32_t elem = elem_of(list);
    size_t bytes = 0, i, at = 0;
    const json_t *x;
    if (elem != AG_ELEM_OTHER) json_array_foreach(list, i, x) bytes += pack(elem, x, NULL);
    struct st_view *v = st_host->alloc(sizeof *v + bytes, 16);
    if (!v) return NULL;
    *v = (struct st_view){ .next = f->view, .of = list, .elem = elem, .bytes = bytes,
                           .count = json_array_size(list) };
    if (elem != AG_ELEM_OTHER) json_array_foreach(list, i, x) at += pack(elem, x, v->data + at);
    return f->view = v;
}

static bool odd_value(const json_t *x, struct ag_value *out) {
    const char *word = json_string_value(json_object_get(x, "__float__"));
    for (int i = 0; word && i < N_ODD; i++) {
        if (strcmp(word, odd_float[i].word)) continue;
        out->type = AG_VALUE_FLOAT;
        out->f = odd_float[i].value;
        return true;
    }
    return false;
}

bool st_config_value(ag_file *f, const char *key, struct ag_value *out) {
    const json_t *x = f->config;
    for (const char *p = key;; p++) {
        size_t n = strcspn(p, "/");
        x = step(x, p, n);
        p += n;
        if (!x || !*p) break;
    }
    if (!x || json_is_null(x)) return false;
    if (json_is_integer(x)) {
        out->type = AG_VALUE_INT, out->i = json_integer_value(x);
    } else if (json_is_real(x)) {
        out->type = AG_VALUE_FLOAT, out->f = json_real_value(x);
    } else if (json_is_boolean(x)) {
        out->type = AG_VALUE_BOOL, out->i = json_is_true(x);
    } else if (json_is_string(x)) {
        out->type = AG_VALUE_STR, out->data = json_string_value(x), out->bytes = json_string_length(x);
    } else if (json_is_array(x)) {
        const struct st_view *v = view_of(f, x);
        if (!v) return false;
        out->type = AG_VALUE_ARRAY, out->elem = v->elem, out->count = v->count, out->bytes = v->bytes;
        out->data = v->elem == AG_ELEM_OTHER ? NULL : v->data;
    } else {
        odd_value(x, out); /* any other object is there, without a value */
    }
    return true;
}
