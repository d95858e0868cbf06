/* SPDX-License-Identifier: MIT */
#include "registry/note.h"

#include "registry.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_name[] = {
    [AG_KIND_BACKEND] = "backend",
    [AG_KIND_MODEL] = "model",
    [AG_KIND_FORMAT] = "format",
    [AG_KIND_TRANSPORT] = "transport",
};
enum { N_KIND = sizeof kind_name / sizeof *kind_name };

const char *plugin_kind_name(uint32_t kind) {
    return kind < N_KIND && kind_name[kind] ? kind_name[kind] : "?";
}

uint32_t plugin_kind_number(const char *word) {
    for (uint32_t k = 1; k < N_KIND; k++)
        if (!strcasecmp(word, kind_name[k])) return k;
    return 0;
}

/* Names become parts of file names and of messages. */
static bool name_ok(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.");
    return n && n < NOTE_MAX_NAME && !s[n] && s[0] != '.';
}

static bool number(const char **s, uint32_t *out) {
    const char *p = *s;
    uint32_t v = 0;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > 100000) return false;
        v = v * 10 + (uint32_t)(*p - '0');
    }
    *s = p;
    *out = v;
    return true;
}

static int check(struct plugin_note *out, const char *abi) {
    if (!out->kind_text || !out->name || !abi)
        return fail(AG_EFORMAT, "its plugin note lacks %s",
                    !out->kind_text ? "kind" : !out->name ? "name" : "abi");
    if (!name_ok(out->name) || !name_ok(out->kind_text))
        return fail(AG_EFORMAT, "its plugin note has a malformed kind or name: want 1 to %d letters, "
                    "digits, '_', '-', '+', '.'", NOTE_MAX_NAME - 1);
    const char *p = abi;
    if (!number(&p, &out->abi_major) || *p++ != '.' || !number(&p, &out->abi_minor) || *p)
        return fail(AG_EFORMAT, "its plugin note says abi=%.32s, want MAJOR.MINOR", abi);
    out->kind = plugin_kind_number(out->kind_text);
    return 0;
}

int note_parse(const char *text, size_t n, struct plugin_note *out) {
    *out = (struct plugin_note){ 0 };
    while (n && !text[n - 1]) n--;
    if (n > NOTE_MAX_TEXT)
        return fail(AG_EFORMAT, "its plugin note has %zu bytes, at most %d are read", n, NOTE_MAX_TEXT);
    for (size_t i = 0; i < n; i++)
        if (text[i] != '\n' && (text[i] < 0x20 || text[i] > 0x7e))
            return fail(AG_EFORMAT, "its plugin note holds byte 0x%02x at %zu, want printable ASCII",
                        (unsigned char)text[i], i);
    memcpy(out->text, text, n);

    const char *abi = NULL;
    const struct { const char *key; const char **value; } field[] = {
        { "kind", &out->kind_text }, { "name", &out->name },         { "version", &out->version },
        { "license", &out->license }, { "provides", &out->provides }, { "abi", &abi },
    };
    for (char *line = out->text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        char *value = strchr(line, '=');
        if (!value) return fail(AG_EFORMAT, "its plugin note has a line without '=': %.64s", line);
        *value++ = 0;
        for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
            if (strcmp(line, field[i].key)) continue;
            if (*field[i].value) return fail(AG_EFORMAT, "its plugin note has %s twice", line);
            *field[i].value = value;
        }
    }
    if (!out->version) out->version = "";
    if (!out->license) out->license = "";
    if (!out->provides) out->provides = "";
    return check(out, abi);
}
