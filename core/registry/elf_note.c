/* SPDX-License-Identifier: MIT */
/* Finds the note of a plugin in a 64-bit little-endian ELF file by its program headers (sections may
 * be stripped). The file's numbers are hostile: each is compared with the file's size before use, and
 * the work is bounded whatever they say. */
#include "registry/note.h"

#include "util/error.h"
#include "util/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    EHDR_BYTES = 64,
    PHDR_BYTES = 56,
    MAX_PHDR = 256,
    MAX_NOTE_BYTES = 1 << 18, /* of all note segments; real ones have some hundred */
    ET_DYN = 3,
    PT_LOAD = 1,
    PT_NOTE = 4,
};

#if defined(__x86_64__)
enum { OWN_MACHINE = 62 };
#elif defined(__aarch64__)
enum { OWN_MACHINE = 183 };
#elif defined(__riscv)
enum { OWN_MACHINE = 243 };
#elif defined(__powerpc64__)
enum { OWN_MACHINE = 21 };
#elif defined(__loongarch__)
enum { OWN_MACHINE = 258 };
#else
enum { OWN_MACHINE = 0 }; /* unknown: left to the dynamic linker */
#endif

static uint16_t le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t le32(const unsigned char *p) { return le16(p) | (uint32_t)le16(p + 2) << 16; }
static uint64_t le64(const unsigned char *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

static int read_at(const struct note_source *s, uint64_t off, void *to, size_t n) {
    if (n > s->size || off > s->size - n)
        return fail(AG_EFORMAT, "malformed ELF file: %zu bytes at offset %llu, file has %llu", n,
                    (unsigned long long)off, (unsigned long long)s->size);
    if (s->memory) {
        memcpy(to, s->memory + off, n);
        return 0;
    }
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(s->fd, (char *)to + got, n - got, (off_t)(off + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return fail(AG_EIO, "cannot be read: %s", strerror(errno));
        if (r == 0) return fail(AG_EIO, "became shorter while it was read");
        got += (size_t)r;
    }
    return 0;
}

static uint64_t pad_to(uint64_t n, uint64_t align) { return (n + align - 1) & ~(align - 1); }

/* One note segment; *found counts our notes. */
static int read_segment(const struct note_source *s, uint64_t off, uint64_t bytes, uint64_t align,
                        struct plugin_note *out, unsigned *found) {
    while (bytes >= 12) {
        unsigned char head[12], owner[8], text[NOTE_MAX_TEXT + 4];
        int rc = read_at(s, off, head, sizeof head);
        if (rc < 0) return rc;
        uint32_t namesz = le32(head), descsz = le32(head + 4), type = le32(head + 8);
        /* Both ends are rounded, counted from the note's begin: with 8, a name of 4 ends at 16. */
        uint64_t desc_at = pad_to(12 + (uint64_t)namesz, align), end = pad_to(desc_at + descsz, align);
        if (desc_at > bytes || descsz > bytes - desc_at)
            return fail(AG_EFORMAT, "malformed ELF file: a note of %u + %u bytes in a segment of %llu",
                        namesz, descsz, (unsigned long long)bytes);
        if (namesz == sizeof owner && type == AG_NOTE_TYPE) {
            if ((rc = read_at(s, off + 12, owner, sizeof owner)) < 0) return rc;
            if (!memcmp(owner, AG_NOTE_OWNER, sizeof owner)) {
                if (++*found > 1) return fail(AG_EFORMAT, "it has two plugin notes, want one");
                if (descsz > sizeof text)
                    return fail(AG_EFORMAT, "its plugin note has %u bytes, at most %d are read", descsz,
                                NOTE_MAX_TEXT);
                if ((rc = read_at(s, off + desc_at, text, descsz)) < 0) return rc;
                if ((rc = note_parse((const char *)text, descsz, out)) < 0) return rc;
            }
        }
        if (end >= bytes) break;
        off += end;
        bytes -= end;
    }
    return 0;
}

static int check_header(const unsigned char *h) {
    if (memcmp(h, "\177ELF", 4)) return fail(AG_EFORMAT, "not an ELF file");
    if (h[4] != 2 || h[5] != 1)
        return fail(AG_EABI, "ELF file of another machine: want 64-bit little endian");
    if (OWN_MACHINE != 0 && le16(h + 18) != OWN_MACHINE)
        return fail(AG_EABI, "ELF file of another machine: want machine %d, file has %u", OWN_MACHINE,
                    le16(h + 18));
    if (le16(h + 16) != ET_DYN) return fail(AG_EFORMAT, "not a shared object");
    if (le16(h + 54) != PHDR_BYTES || le16(h + 56) > MAX_PHDR)
        return fail(AG_EFORMAT, "malformed ELF file: %u program headers of %u bytes, want at most %d of %d",
                    le16(h + 56), le16(h + 54), MAX_PHDR, PHDR_BYTES);
    return 0;
}

int note_read(const struct note_source *s, struct plugin_note *out) {
    unsigned char h[EHDR_BYTES], ph[PHDR_BYTES];
    if (s->size < sizeof h) return fail(AG_EFORMAT, "not an ELF file: %llu bytes", (unsigned long long)s->size);
    int rc = read_at(s, 0, h, sizeof h);
    if (rc < 0 || (rc = check_header(h)) < 0) return rc;

    uint64_t at = le64(h + 32), seen = 0;
    unsigned found = 0;
    for (unsigned i = 0, n = le16(h + 56); i < n; i++, at += sizeof ph) {
        if ((rc = read_at(s, at, ph, sizeof ph)) < 0) return rc;
        uint64_t off = le64(ph + 8), bytes = le64(ph + 32);
        /* What is mapped must be there: the dynamic linker does not look, it gets SIGBUS. */
        if (le32(ph) == PT_LOAD && (bytes > s->size || off > s->size - bytes))
            return fail(AG_EFORMAT, "ELF file is cut off: segment of %llu bytes at %llu, file has %llu; "
                        "install it again", (unsigned long long)bytes, (unsigned long long)off,
                        (unsigned long long)s->size);
        if (le32(ph) != PT_NOTE) continue;
        if (bytes > s->size || off > s->size - bytes)
            return fail(AG_EFORMAT, "malformed ELF file: note segment of %llu bytes at %llu, file has %llu",
                        (unsigned long long)bytes, (unsigned long long)off, (unsigned long long)s->size);
        if (bytes > MAX_NOTE_BYTES - seen)
            return fail(AG_EFORMAT, "malformed ELF file: more than %d bytes of notes", MAX_NOTE_BYTES);
        seen += bytes;
        if ((rc = read_segment(s, off, bytes, le64(ph + 48) == 8 ? 8 : 4, out, &found)) < 0) return rc;
    }
    return found ? 0 : fail(AG_EFORMAT, "not a plugin: no note of owner \"agave\" in the file");
}
