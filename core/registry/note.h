/* SPDX-License-Identifier: MIT */
/* note.h - what a plugin file says of itself, read without running any of it.
 *
 * elf_note.c finds the bytes in an ELF file, note.c reads the "key=value" lines. Both take hostile
 * input: nothing is read outside its bounds and nothing is allocated. */
#ifndef REGISTRY_NOTE_H
#define REGISTRY_NOTE_H

#include <stddef.h>
#include <stdint.h>

enum { NOTE_MAX_TEXT = 4096, NOTE_MAX_NAME = 64 };

struct plugin_note {
    uint32_t kind; /* 0: a kind that this host does not know, named in kind_text */
    uint32_t abi_major, abi_minor;
    const char *kind_text, *name, *version, *license, *provides; /* in text */
    char text[NOTE_MAX_TEXT + 1];
};

/* Bytes of a file: memory, or a descriptor read with pread. */
struct note_source {
    const unsigned char *memory; /* or NULL */
    int fd;
    uint64_t size;
};

/* AG_EFORMAT when the file is no plugin or its note is malformed; AG_EABI when it is of another
 * machine. The text says what was found. */
int note_read(const struct note_source *, struct plugin_note *out);
/* The note's own text, n bytes (a trailing 0 may be among them). */
int note_parse(const char *text, size_t n, struct plugin_note *out);

/* AG_KIND_*, 0 for a word that is none. Upper and lower case alike. */
uint32_t plugin_kind_number(const char *word);

#endif
