/* SPDX-License-Identifier: MIT */
/* The note reader on a real plugin (the argument), on every prefix of it and on broken copies. Copies
 * lie in memory of exactly their size, so that a sanitizer sees a read past the end. */
#include "registry/note.h"

#include "util/error.h"

#include <agave/base.h>

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *file;
static size_t size;

static int read_bytes(const unsigned char *bytes, size_t n, struct plugin_note *out) {
    unsigned char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    struct note_source s = { .memory = exact, .fd = -1, .size = n };
    int rc = note_read(&s, out);
    free(exact);
    return rc;
}

static void good(void) {
    struct plugin_note n;
    CU_ASSERT_EQUAL_FATAL(read_bytes(file, size, &n), 0);
    CU_ASSERT_EQUAL(n.kind, AG_KIND_TRANSPORT);
    CU_ASSERT_STRING_EQUAL(n.name, "good");
    CU_ASSERT_STRING_EQUAL(n.provides, "transport=good");
    CU_ASSERT_EQUAL(n.abi_major, AG_ABI_MAJOR);
}

/* Every prefix: refused with a text until all that is mapped is there, behind the whole note. */
static void truncated(void) {
    struct plugin_note n;
    size_t refused = 0;
    for (size_t cut = 0; cut < size && cut < 8192; cut++)
        if (read_bytes(file, cut, &n) < 0) {
            CU_ASSERT_EQUAL(refused, cut);
            CU_ASSERT_TRUE(fail_text()[0] != 0);
            refused = cut + 1;
        }
    CU_ASSERT_TRUE(refused > 64 + 56);
    uint64_t mapped = 0, off, bytes;
    for (unsigned i = 0; i < file[56]; i++) {
        const unsigned char *ph = file + 64 + 56 * i;
        if (ph[0] != 1) continue;
        memcpy(&off, ph + 8, 8);
        memcpy(&bytes, ph + 32, 8);
        if (off + bytes > mapped) mapped = off + bytes;
    }
    CU_ASSERT_TRUE_FATAL(mapped > 0 && mapped <= size);
    CU_ASSERT_EQUAL(read_bytes(file, mapped, &n), 0);
    CU_ASSERT_EQUAL(read_bytes(file, mapped - 1, &n), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "cut off"));
}

static void put64(unsigned char *p, uint64_t v) { memcpy(p, &v, 8); }

static uint64_t first_note_phdr(const unsigned char *p) {
    uint64_t at;
    uint16_t n;
    memcpy(&at, p + 32, 8);
    memcpy(&n, p + 56, 2);
    for (unsigned i = 0; i < n; i++, at += 56) {
        uint32_t type;
        memcpy(&type, p + at, 4);
        if (type == 4) return at;
    }
    return 0;
}

/* One field overwritten: refused with a text, whatever it is. */
static void absurd(void) {
    uint64_t ph = first_note_phdr(file);
    CU_ASSERT_TRUE_FATAL(ph != 0);
    const struct { size_t at; uint64_t value; int bytes; } row[] = {
        { 4, 1, 1 }, { 5, 2, 1 }, { 16, 1, 2 }, { 18, 1, 2 },         /* class, order, type, machine */
        { 32, UINT64_MAX, 8 }, { 32, UINT64_MAX - 55, 8 }, { 32, size, 8 }, /* program headers */
        { 54, 0, 2 }, { 54, 57, 2 }, { 56, 0xffff, 2 }, { 56, 0, 2 },
        { ph + 8, UINT64_MAX, 8 }, { ph + 8, size, 8 }, { ph + 32, UINT64_MAX, 8 }, { ph + 32, size, 8 },
    };
    struct plugin_note n;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        unsigned char *copy = malloc(size);
        memcpy(copy, file, size);
        memcpy(copy + row[i].at, &row[i].value, (size_t)row[i].bytes);
        CU_ASSERT_TRUE(read_bytes(copy, size, &n) < 0);
        CU_ASSERT_TRUE(fail_text()[0] != 0);
        free(copy);
    }
}

/* A file of one note segment with these note headers and bytes. */
static int made(const unsigned char *notes, size_t n, uint64_t align, struct plugin_note *out) {
    unsigned char *f = calloc(1, 120 + n);
    memcpy(f, file, 20); /* magic, class, machine of this test's own plugin */
    f[16] = 3, f[17] = 0;
    put64(f + 32, 64);
    f[54] = 56, f[56] = 1;
    f[64] = 4;
    put64(f + 64 + 8, 120);
    put64(f + 64 + 32, n);
    put64(f + 64 + 48, align);
    memcpy(f + 120, notes, n);
    int rc = read_bytes(f, 120 + n, out);
    free(f);
    return rc;
}

static size_t add_note(unsigned char *to, uint32_t namesz, uint32_t descsz, const char *owner,
                       const char *desc, size_t align) {
    uint32_t head[3] = { namesz, descsz, 1 };
    memcpy(to, head, 12);
    size_t at = 12;
    memcpy(to + at, owner, strlen(owner));
    at = (at + 8 + align - 1) & ~(align - 1);
    memcpy(to + at, desc, strlen(desc));
    return (at + strlen(desc) + 1 + align - 1) & ~(align - 1);
}

static void notes(void) {
    static const char text[] = "kind=MODEL\nname=x\nabi=1.0\n";
    unsigned char b[20000] = { 0 };
    struct plugin_note out;
    size_t n = add_note(b, 8, sizeof text, "agave", text, 4);
    CU_ASSERT_EQUAL(made(b, n, 4, &out), 0);
    CU_ASSERT_EQUAL(out.kind, AG_KIND_MODEL);
    CU_ASSERT_STRING_EQUAL(out.version, "");
    /* behind a note of somebody else */
    memset(b, 0, sizeof b);
    n = add_note(b, 4, 8, "GNU", "1234567", 4);
    n = 12 + 4 + 8;
    n += add_note(b + n, 8, sizeof text, "agave", text, 4);
    CU_ASSERT_EQUAL(made(b, n, 4, &out), 0);
    /* the same aligned to 8, as compilers write GNU properties: 12 + 4 + 16 bytes fill 32 */
    memset(b, 0, sizeof b);
    const uint32_t property[8] = { 4, 16, 5, 0x00554e47, 1, 2, 3, 4 };
    memcpy(b, property, sizeof property);
    CU_ASSERT_EQUAL(made(b, sizeof property, 8, &out), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "no note of owner"));
    n = sizeof property;
    n += add_note(b + n, 8, sizeof text, "agave", text, 8);
    CU_ASSERT_EQUAL(made(b, n, 8, &out), 0);
    CU_ASSERT_EQUAL(out.kind, AG_KIND_MODEL);
    /* twice */
    memset(b, 0, sizeof b);
    n = add_note(b, 8, sizeof text, "agave", text, 4);
    n += add_note(b + n, 8, sizeof text, "agave", text, 4);
    CU_ASSERT_EQUAL(made(b, n, 4, &out), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "two plugin notes"));
    /* sizes that point outside, and such as overflow when they are rounded up */
    static const uint32_t bad[][2] = { { 8, 4000 }, { 4000, 8 }, { UINT32_MAX, 8 }, { 8, UINT32_MAX },
                                       { UINT32_MAX, UINT32_MAX }, { 8, UINT32_MAX - 2 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        n = add_note(b, bad[i][0], bad[i][1], "agave", text, 4);
        CU_ASSERT_EQUAL(made(b, n, 4, &out), AG_EFORMAT);
    }
    /* longer than any note is */
    memset(b, 0, sizeof b);
    add_note(b, 8, 19000, "agave", "", 4);
    CU_ASSERT_EQUAL(made(b, sizeof b, 4, &out), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "at most"));
}

static void texts(void) {
    static const struct { const char *text, *reason; } row[] = {
        { "", "lacks kind" },
        { "kind=MODEL\nabi=1.0\n", "lacks name" },
        { "kind=MODEL\nname=x\n", "lacks abi" },
        { "kind=MODEL\nname=x\nname=y\nabi=1.0\n", "name twice" },
        { "kind=MODEL\nname=x\nabi=1\n", "abi=1" },
        { "kind=MODEL\nname=x\nabi=1.0.0\n", "abi=1.0.0" },
        { "kind=MODEL\nname=x\nabi=99999999999.0\n", "abi=" },
        { "kind=MODEL\nname=../x\nabi=1.0\n", "malformed kind or name" },
        { "kind=MODEL\nname=\nabi=1.0\n", "malformed kind or name" },
        { "kind=\nname=x\nabi=1.0\n", "malformed kind or name" },
        { "kind=MODEL\nname=x\nabi=1.0\nlicense=\033[31m\n", "byte 0x1b" },
        { "kind=MODEL\nname=x\nabi=1.0\nrubbish\n", "without '='" },
    };
    struct plugin_note out;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        CU_ASSERT_EQUAL(note_parse(row[i].text, strlen(row[i].text), &out), AG_EFORMAT);
        bool ok = strstr(fail_text(), row[i].reason) != NULL;
        if (!ok) fprintf(stderr, "row %zu: %s\n", i, fail_text());
        CU_ASSERT_TRUE(ok);
    }
    const char *fine = "kind=TLS\nname=x\nabi=1.7\nlater=something\n";
    CU_ASSERT_EQUAL(note_parse(fine, strlen(fine), &out), 0);
    CU_ASSERT_EQUAL(out.kind, 0);
    CU_ASSERT_STRING_EQUAL(out.kind_text, "TLS");
    CU_ASSERT_EQUAL(out.abi_minor, 7);
}

/* Bytes changed at random in the headers and in the note: never a crash, never a read outside. */
static void random_bytes(void) {
    uint64_t seed = 88172645463325252u;
    unsigned char *copy = malloc(size);
    size_t span = size < 2048 ? size : 2048;
    struct plugin_note out;
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, file, size);
        for (int k = 0; k < 4; k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            copy[seed % span] = (unsigned char)(seed >> 40);
        }
        struct note_source s = { .memory = copy, .fd = -1, .size = size };
        if (note_read(&s, &out) >= 0) CU_ASSERT_TRUE(strlen(out.name) < NOTE_MAX_NAME);
    }
    free(copy);
}

int main(int argc, char **argv) {
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f || CU_initialize_registry() != CUE_SUCCESS) return 1;
    file = malloc(1 << 20);
    size = fread(file, 1, 1 << 20, f);
    fclose(f);
    CU_pSuite s = CU_add_suite("elf_note", NULL, NULL);
    CU_ADD_TEST(s, good);
    CU_ADD_TEST(s, truncated);
    CU_ADD_TEST(s, absurd);
    CU_ADD_TEST(s, notes);
    CU_ADD_TEST(s, texts);
    CU_ADD_TEST(s, random_bytes);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    free(file);
    return failures != 0;
}
