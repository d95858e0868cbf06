/* SPDX-License-Identifier: MIT */
/* jinja.h - chat templates in Jinja, as the jinja2 package renders them in an immutable sandbox with
 * trim_blocks, lstrip_blocks and loop controls.
 *
 * Templates come from model files and are not trusted: time, nesting, memory and output are limited.
 * Every byte of the output is known to come from the template or from the caller's data, so that text
 * of a conversation never becomes a control token. A parsed template is immutable: any number of
 * threads may render it at once. Rendering nests C calls: allow for 2 KiB of stack a level of depth. */
#ifndef TOKEN_JINJA_H
#define TOKEN_JINJA_H

#include "util/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jinja;

struct jinja_limits {
    uint64_t steps;  /* nodes evaluated, items touched, and a share of the bytes copied */
    uint32_t depth;  /* nesting of expressions, statements, macro calls and values */
    size_t output;   /* bytes */
    size_t memory;   /* bytes held by one rendering */
};
extern const struct jinja_limits jinja_default_limits;

/* Pieces follow each other without gaps; literal: text of the template (or of `literal` below). */
struct jinja_piece { size_t begin, n; bool literal; };
struct jinja_output { struct str text; struct jinja_piece *piece; size_t n_piece, cap_piece; };
void jinja_output_free(struct jinja_output *);

struct jinja_input {
    const json_t *vars;    /* object: messages, tools, ...; its strings are data. NULL = none */
    const json_t *literal; /* object: bos_token, ...; its strings count as the template's. NULL = none */
    const char *now;       /* local time for strftime_now, "2026-01-02" or "2026-01-02T15:04:05" */
};

/* AG_EFORMAT: no template; AG_ENOTSUP: a construct outside of what is known. Texts say line:column. */
int jinja_parse(const char *text, size_t n, struct jinja **out);
void jinja_free(struct jinja *); /* NULL is fine */

/* AG_EINVAL: the template refuses (raise_exception) or fails on these values; AG_ENOTSUP: it needs
 * something unknown; AG_ENOMEM: also a limit. limits NULL: the defaults. */
int jinja_render(const struct jinja *, const struct jinja_input *, const struct jinja_limits *,
                 struct jinja_output *out);

/* Does the template use this name at all? ("tools", "enable_thinking") */
bool jinja_uses(const struct jinja *, const char *name);

#endif
