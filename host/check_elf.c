/* SPDX-License-Identifier: MIT */
/* check_elf.c - what a plugin file exports and links: one symbol, and nothing of the host. Reads the
 * section table, with every number checked against the file's size. */
#include "plugin_check.h"

#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EHDR = 64, SHDR = 64, SYM = 24, DYN = 16, SHT_DYNAMIC = 6, SHT_DYNSYM = 11, DT_NEEDED = 1 };
static const size_t MOST_BYTES = (size_t)1 << 30;

struct elf { unsigned char *p; uint64_t n; };
struct part { const unsigned char *p; uint64_t n; };

static uint64_t number(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    while (bytes--) v = v << 8 | p[bytes];
    return v;
}

static bool read_file(const char *path, struct elf *e) {
    FILE *f = fopen(path, "rbe");
    if (!f) return false;
    bool good = fseek(f, 0, SEEK_END) == 0;
    long n = good ? ftell(f) : -1;
    good = n >= EHDR && (size_t)n <= MOST_BYTES && (e->p = malloc((size_t)n));
    rewind(f);
    good = good && fread(e->p, 1, (size_t)n, f) == (size_t)n;
    e->n = good ? (uint64_t)n : 0;
    fclose(f);
    return good;
}

static bool section(const struct elf *e, uint64_t i, const unsigned char **header, struct part *out) {
    uint64_t table = number(e->p + 40, 8), count = number(e->p + 60, 2);
    if (i >= count || number(e->p + 58, 2) != SHDR || table > e->n || count * SHDR > e->n - table) return false;
    const unsigned char *h = e->p + table + i * SHDR;
    uint64_t off = number(h + 24, 8), n = number(h + 32, 8);
    *header = h;
    if (off > e->n || n > e->n - off) return false;
    *out = (struct part){ e->p + off, n };
    return true;
}

/* Section of a type, and the strings it refers to. */
static bool find(const struct elf *e, uint32_t type, struct part *out, struct part *strings) {
    const unsigned char *h;
    for (uint64_t i = 0; i < number(e->p + 60, 2); i++) {
        if (!section(e, i, &h, out) || number(h + 4, 4) != type) continue;
        return section(e, number(h + 40, 4), &h, strings) && strings->n && !strings->p[strings->n - 1];
    }
    return false;
}

static const char *string_at(const struct part *strings, uint64_t at) {
    return at < strings->n ? (const char *)strings->p + at : "?";
}

static void symbols(struct check *c, const struct elf *e) {
    struct part table, strings;
    struct str others = { 0 };
    bool own = false;
    if (!find(e, SHT_DYNSYM, &table, &strings)) {
        check_skip(c, "symbols", "the file has no section table");
        return;
    }
    for (uint64_t at = 0; at + SYM <= table.n; at += SYM) {
        const unsigned char *s = table.p + at;
        const char *name = string_at(&strings, number(s, 4));
        if (s[4] >> 4 == 0 || number(s + 6, 2) == 0) continue; /* local, or wanted from elsewhere */
        if (!strncmp(name, "__", 2)) continue; /* of the compiler: sanitizers, coverage */
        if (!strcmp(name, AG_PLUGIN_SYMBOL_NAME)) own = true;
        else str_printf(&others, "%s%.60s", others.n ? ", " : "", name);
    }
    if (!own) check_failed(c, "symbols", "no " AG_PLUGIN_SYMBOL_NAME);
    else if (others.n) check_failed(c, "symbols", "besides " AG_PLUGIN_SYMBOL_NAME " the file exports %s: "
                                    "compile with -fvisibility=hidden", str_text(&others));
    else check_ok(c, "symbols", "only " AG_PLUGIN_SYMBOL_NAME " is exported");
    str_free(&others);
}

static void libraries(struct check *c, const struct elf *e) {
    struct part table, strings;
    struct str names = { 0 };
    bool host = false;
    if (!find(e, SHT_DYNAMIC, &table, &strings)) return;
    for (uint64_t at = 0; at + DYN <= table.n; at += DYN) {
        if (number(table.p + at, 8) != DT_NEEDED) continue;
        const char *name = string_at(&strings, number(table.p + at + 8, 8));
        host |= strstr(name, "agave") != NULL;
        str_printf(&names, "%s%.60s", names.n ? ", " : "", name);
    }
    if (host) check_failed(c, "libraries", "%s: a plugin links nothing of the host", str_text(&names));
    else check_ok(c, "libraries", "%s", names.n ? str_text(&names) : "none");
    str_free(&names);
}

void check_elf(struct check *c, const char *path) {
    struct elf e = { 0 };
    if (!read_file(path, &e)) {
        check_skip(c, "symbols", "%s cannot be read whole", path);
    } else {
        symbols(c, &e);
        libraries(c, &e);
    }
    free(e.p);
}
