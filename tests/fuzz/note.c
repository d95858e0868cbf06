/* SPDX-License-Identifier: MIT */
/* Target: what is read of a plugin file before it is loaded: the ELF notes of a file, and a note's text. */
#include "registry/note.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

static void look_at(const struct plugin_note *n) {
    const char *const text[] = { n->kind_text, n->name, n->version, n->license, n->provides };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (!text[i] || strlen(text[i]) > NOTE_MAX_TEXT) abort();
    if (!*n->name || strlen(n->name) >= NOTE_MAX_NAME || strchr(n->name, '/')) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct note_source source = { .memory = data, .fd = -1, .size = size };
    struct plugin_note note;
    fail_clear();
    if (note_read(&source, &note) >= 0) look_at(&note);
    else if (!*fail_text()) abort();
    if (note_parse((const char *)data, size, &note) >= 0) look_at(&note);
    return 0;
}
