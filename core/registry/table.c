/* SPDX-License-Identifier: MIT */
/* Normalisation at the door. A plugin's tables may be shorter or longer than the host's: the common
 * part is copied into the host's own zeroed full-size structs, so that afterwards a NULL check is the
 * only check. Nothing behind `size` is read. */
#include "registry/internal.h"

#include "util/error.h"

#include <stdlib.h>
#include <string.h>

#define END(type, field) (offsetof(type, field) + sizeof((type *)0)->field)

/* Entries without which a plugin of this kind is of no use; all are pointers. */
struct required { const char *name; size_t offset; };

#define B(field) { #field, offsetof(struct ag_backend, field) }
static const struct required backend_required[] = {
    B(device_count), B(device_info), B(open), B(close), B(alloc),     B(import), B(release), B(map),
    B(write),        B(read),        B(copy), B(plan),  B(plan_info), B(run),    B(plan_free),
    B(kv_layout),    { NULL, 0 },
};
#undef B
#define M(field) { #field, offsetof(struct ag_model, field) }
static const struct required model_required[] = {
    M(match), M(create), M(destroy), M(info), M(weights), M(states), M(build), { NULL, 0 },
};
#undef M
#define F(field) { #field, offsetof(struct ag_format, field) }
static const struct required format_required[] = {
    F(probe),      F(open),         F(close),  F(scheme), F(label),    F(part_count),
    F(part),       F(tensor_count), F(tensor), F(meta),   F(meta_key), F(file),
    { NULL, 0 },
};
#undef F
#define T(field) { #field, offsetof(struct ag_transport, field) }
static const struct required transport_required[] = {
    T(listen), T(connect), T(send), T(recv), T(close), { NULL, 0 },
};
#undef T
#define C(field) { #field, offsetof(struct ag_chat, field) }
static const struct required chat_required[] = {
    C(name), C(begin), C(middle), C(end), C(user), C(assistant), C(answer), { NULL, 0 },
};
#undef C
static const struct required recipe_required[] = {
    { "name", offsetof(struct ag_recipe, name) }, { NULL, 0 },
};
#define P(field) { #field, offsetof(struct ag_private_op, field) }
static const struct required private_op_required[] = { P(name), P(shape), P(run), { NULL, 0 } };
#undef P

/* A struct that crosses: the least size is the end of its last field that 1.0 requires. */
struct table {
    const char *name;
    size_t least, full;
    const struct required *required;
};

static const struct table iface_table[] = {
    [AG_KIND_BACKEND] = { "struct ag_backend", END(struct ag_backend, plan_free),
                          sizeof(struct ag_backend), backend_required },
    [AG_KIND_MODEL] = { "struct ag_model", END(struct ag_model, build), sizeof(struct ag_model),
                        model_required },
    [AG_KIND_FORMAT] = { "struct ag_format", END(struct ag_format, file), sizeof(struct ag_format),
                         format_required },
    [AG_KIND_TRANSPORT] = { "struct ag_transport", END(struct ag_transport, close),
                            sizeof(struct ag_transport), transport_required },
};
static const struct table chat_table = { "struct ag_chat", END(struct ag_chat, answer),
                                         sizeof(struct ag_chat), chat_required };
static const struct table recipe_table = { "struct ag_recipe", END(struct ag_recipe, ctx_size),
                                           sizeof(struct ag_recipe), recipe_required };
static const struct table private_op_table = { "struct ag_private_op", END(struct ag_private_op, run),
                                               sizeof(struct ag_private_op), private_op_required };

/* The common part of `from` into `to`, which has table->full bytes. */
static int copy_table(const struct table *t, const void *from, void *to) {
    uint32_t size;
    memcpy(&size, from, sizeof size);
    if (size < t->least)
        return fail(AG_EABI, "its %s has %u bytes, want at least %zu", t->name, size, t->least);
    memset(to, 0, t->full);
    memcpy(to, from, size < t->full ? size : t->full);
    for (const struct required *r = t->required; r->name; r++) {
        const void *entry;
        memcpy(&entry, (const char *)to + r->offset, sizeof entry);
        if (!entry) return fail(AG_EABI, "its %s has no %s", t->name, r->name);
    }
    return 0;
}

/* A NULL-terminated list of pointers to sized structs, as such a list of full-size copies in one
 * allocation that *copy owns. */
static int copy_list(const struct table *t, const void *const *from, const char *what, void **copy) {
    enum { MOST = 4096 };
    size_t n = 0;
    while (from[n])
        if (++n > MOST) return fail(AG_EABI, "its %s list has no NULL in %d entries", what, MOST);
    size_t head = (n + 1) * sizeof(void *);
    char *memory = calloc(1, head + n * t->full);
    if (!memory) return fail(AG_ENOMEM, "no memory for its %s list", what);
    *copy = memory;
    for (size_t i = 0; i < n; i++) {
        char *at = memory + head + i * t->full;
        int rc = copy_table(t, from[i], at);
        if (rc < 0) return fail_prefix(rc, "%s %zu", what, i);
        memcpy(memory + i * sizeof(void *), &at, sizeof at);
    }
    return 0;
}

static int normalise_backend(struct entry *e) {
    struct ag_backend *b = &e->pub.u.backend;
    const size_t least = END(struct ag_support, dtypes), stride = b->support_stride;
    if (b->n_support && !b->support) return fail(AG_EABI, "its support table is NULL");
    if (b->n_support && stride < least)
        return fail(AG_EABI, "rows of its support table have %zu bytes, want at least %zu", stride, least);
    if (b->n_support > 65536) return fail(AG_EABI, "its support table has %u rows", b->n_support);
    if (b->layout && !b->pack) return fail(AG_EABI, "its struct ag_backend has layout but no pack");
    struct ag_support *row = calloc(b->n_support + 1u, sizeof *row);
    if (!row) return fail(AG_ENOMEM, "no memory for its support table");
    e->copy[0] = row;
    for (uint32_t i = 0; i < b->n_support; i++)
        memcpy(&row[i], (const char *)b->support + i * stride, stride < sizeof *row ? stride : sizeof *row);
    b->support = row;
    b->support_stride = sizeof *row;
    return 0;
}

static int normalise_model(struct entry *e) {
    struct ag_model *m = &e->pub.u.model;
    int rc = 0;
    if (m->chat) {
        rc = copy_list(&chat_table, (const void *const *)m->chat, "chat", &e->copy[0]);
        m->chat = e->copy[0];
    }
    if (rc >= 0 && m->recipe) {
        rc = copy_list(&recipe_table, (const void *const *)m->recipe, "recipe", &e->copy[1]);
        m->recipe = e->copy[1];
    }
    if (rc >= 0 && m->private_op) {
        rc = copy_list(&private_op_table, (const void *const *)m->private_op, "private_op", &e->copy[2]);
        m->private_op = e->copy[2];
    }
    for (uint32_t i = 0; rc >= 0 && m->chat && m->chat[i]; i++)
        if (!m->chat[i]->system && !(m->chat[i]->flags & AG_CHAT_SYSTEM_IN_USER))
            rc = fail(AG_EABI, "chat %s has no system role and does not say where its text goes",
                      m->chat[i]->name);
    for (uint32_t i = 0; rc >= 0 && m->private_op && m->private_op[i]; i++)
        if (m->private_op[i]->n_src < 1 || m->private_op[i]->n_src > AG_MAX_SRC)
            rc = fail(AG_EABI, "private_op %s has %u sources, want 1 to %d", m->private_op[i]->name,
                      m->private_op[i]->n_src, AG_MAX_SRC);
    return rc;
}

int table_normalise(struct entry *e, const void *iface) {
    const struct table *t = &iface_table[e->pub.kind];
    if (!iface) return fail(AG_EABI, "its %s is NULL", t->name);
    int rc = copy_table(t, iface, &e->pub.u);
    if (rc < 0) return rc;
    /* What the host sees is the host's own struct. */
    uint32_t full = (uint32_t)t->full;
    memcpy(&e->pub.u, &full, sizeof full);
    if (e->pub.kind == AG_KIND_BACKEND) return normalise_backend(e);
    if (e->pub.kind == AG_KIND_MODEL) return normalise_model(e);
    return 0;
}

void table_free(struct entry *e) {
    for (int i = 0; i < TABLE_COPIES; i++) {
        free(e->copy[i]);
        e->copy[i] = NULL;
    }
}
