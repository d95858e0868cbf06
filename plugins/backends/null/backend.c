/* SPDX-License-Identifier: MIT */
/* backend.c - the backend that answers zeros: what is left of a run's time is the host's own. It takes
 * every op of every type, reads no weight, and keeps 64 bytes of a page of any cache. */
#include <agave/backend.h>

#include <string.h>
#include <unistd.h>

static const struct ag_host *host;

enum { ALIGN = 64, BEHIND = 64, PAGE_BYTES = 64 };

struct ag_device { int unused; };
struct ag_buffer {
    unsigned char *at;
    uint64_t bytes;
    bool owned;
};

/* A value somebody outside reads: the tagged ones. */
struct answer { unsigned char *at; uint64_t bytes; };

struct ag_plan {
    struct answer *answer;
    uint32_t n;
};

static const struct ag_support support[] = {
#define X(num, name, least, most) { num, 0, UINT64_MAX },
#include <agave/op.def>
#undef X
};

static int device_count(void) { return 1; }

static int check_index(int index) {
    return index == 0 ? AG_OK : host->fail(AG_ENOENT, "null: device %d: there is only device 0", index);
}

/* Bytes of memory by the name sysconf has for pages; 0 = unknown. */
static uint64_t memory_of(int name) {
    long pages = sysconf(name), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static int device_info(int index, struct ag_device_info *out) {
    struct ag_device_info info = {
        .size = out->size,
        .flags = AG_DEVICE_HOST_MEMORY | AG_DEVICE_UNIFIED | AG_DEVICE_ANY_CLASS,
        .name = "null, answers zeros",
        .arch = "any",
        .memory_total = memory_of(_SC_PHYS_PAGES),
#ifdef _SC_AVPHYS_PAGES
        .memory_free = memory_of(_SC_AVPHYS_PAGES),
#endif
    };
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return check_index(index);
}

static void *cleared(uint64_t bytes) {
    void *p = bytes <= SIZE_MAX / 2 ? host->alloc((size_t)bytes + BEHIND, ALIGN) : NULL;
    if (p) memset(p, 0, (size_t)bytes + BEHIND);
    else host->fail(AG_ENOMEM, "null: no memory for %llu bytes", (unsigned long long)bytes);
    return p;
}

static int open_device(int index, const struct ag_device_config *config, ag_device **out) {
    (void)config;
    int err = check_index(index);
    if (err < 0) return err;
    *out = cleared(sizeof **out);
    return *out ? AG_OK : AG_ENOMEM;
}

static void close_device(ag_device *dev) { host->free(dev); }

static int import_buffer(ag_device *dev, void *memory, uint64_t bytes, ag_buffer **out) {
    (void)dev;
    ag_buffer *b = cleared(sizeof *b);
    if (!b) return AG_ENOMEM;
    *b = (ag_buffer){ memory, bytes, false };
    *out = b;
    return AG_OK;
}

static int alloc_buffer(ag_device *dev, uint64_t bytes, uint32_t kind, uint32_t flags, ag_buffer **out) {
    (void)kind, (void)flags;
    void *p = cleared(bytes);
    if (!p) return AG_ENOMEM;
    int err = import_buffer(dev, p, bytes, out);
    if (err < 0) host->free(p);
    else (*out)->owned = true;
    return err;
}

static void release_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    if (b && b->owned) host->free(b->at);
    host->free(b);
}

static void *map_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    return b->at;
}

static int in_buffer(const ag_buffer *b, uint64_t offset, uint64_t bytes) {
    if (offset <= b->bytes && bytes <= b->bytes - offset) return AG_OK;
    return host->fail(AG_EINVAL, "null: %llu bytes at %llu are not inside a buffer of %llu",
                      (unsigned long long)bytes, (unsigned long long)offset, (unsigned long long)b->bytes);
}

static int write_buffer(ag_device *dev, ag_buffer *b, uint64_t offset, const void *from, uint64_t bytes) {
    (void)dev;
    int err = in_buffer(b, offset, bytes);
    if (err >= 0 && bytes) memcpy(b->at + offset, from, (size_t)bytes);
    return err;
}

static int read_buffer(ag_device *dev, ag_buffer *b, uint64_t offset, void *to, uint64_t bytes) {
    (void)dev;
    int err = in_buffer(b, offset, bytes);
    if (err >= 0 && bytes) memcpy(to, b->at + offset, (size_t)bytes);
    return err;
}

static int copy_buffer(ag_device *dev, ag_buffer *to, uint64_t to_offset, ag_buffer *from,
                       uint64_t from_offset, uint64_t bytes) {
    (void)dev;
    int err = in_buffer(to, to_offset, bytes);
    if (err >= 0) err = in_buffer(from, from_offset, bytes);
    if (err >= 0 && bytes) memmove(to->at + to_offset, from->at + from_offset, (size_t)bytes);
    return err;
}

static int kv_layout(ag_device *dev, const struct ag_state *state, struct ag_kv_layout *kv) {
    (void)dev, (void)state;
    kv->page_bytes = PAGE_BYTES;
    return AG_OK;
}

static const struct ag_node *node_at(const struct ag_graph *g, ag_ref r) {
    return (const void *)((const unsigned char *)g->node + (size_t)r * g->node_size);
}

static int64_t dim_max(const struct ag_class *c, int64_t d) {
    return d == AG_DIM_T ? c->max_token : d == AG_DIM_R ? c->max_out : d == AG_DIM_S ? c->max_seq : d;
}

/* From the first element of a tagged value to the last, gaps of views included. */
static int find_answer(const struct ag_plan_desc *d, uint32_t i, struct answer *out) {
    ag_ref r = d->graph->tagged[i].ref;
    const struct ag_node *n = node_at(d->graph, r);
    uint64_t elems = 1, span;
    if (d->place[r] == UINT64_MAX) return AG_OK; /* has no memory here */
    for (int k = 0; k < AG_MAX_DIM; k++) {
        int64_t dim = dim_max(&d->cls, n->dim[k]);
        if (dim < 1 || __builtin_mul_overflow((uint64_t)dim - 1, (uint64_t)n->stride[k], &span) ||
            __builtin_add_overflow(elems, dim > 1 ? span : 0, &elems))
            return host->fail(AG_EINVAL, "null: node %u: its dims make no sense", r);
    }
    if (elems > d->scratch.bytes / 4 || d->place[r] > d->scratch.bytes - 4 * elems ||
        in_buffer(d->scratch.buffer, d->scratch.offset, d->scratch.bytes) < 0)
        return host->fail(AG_EINVAL, "null: node %u: its place is not inside the scratch memory", r);
    *out = (struct answer){ d->scratch.buffer->at + d->scratch.offset + d->place[r], 4 * elems };
    return AG_OK;
}

static void plan_free(ag_plan *p) {
    if (p) host->free(p->answer);
    host->free(p);
}

static int make_plan(ag_device *dev, const struct ag_plan_desc *d, ag_plan **out) {
    (void)dev;
    struct ag_plan *p = cleared(sizeof *p);
    if (!p) return AG_ENOMEM;
    int err = (p->answer = cleared(d->graph->n_tagged * sizeof *p->answer)) ? AG_OK : AG_ENOMEM;
    for (; err >= 0 && p->n < d->graph->n_tagged; p->n++) err = find_answer(d, p->n, &p->answer[p->n]);
    if (err < 0) plan_free(p);
    else *out = p;
    return err;
}

static int plan_info(ag_plan *p, struct ag_plan_info *out) {
    (void)p;
    struct ag_plan_info info = { .size = out->size };
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return AG_OK;
}

static int run(ag_plan *p, const struct ag_run *r) {
    if (r->cancel && __atomic_load_n(r->cancel, __ATOMIC_RELAXED)) return host->fail(AG_ECANCELED, "cancelled");
    for (uint32_t i = 0; i < p->n; i++) memset(p->answer[i].at, 0, (size_t)p->answer[i].bytes);
    return AG_OK;
}

static int init(const struct ag_host *h) {
    host = h;
    return AG_OK;
}

static const struct ag_backend backend = {
    .size = sizeof backend,
    .support = support,
    .n_support = sizeof support / sizeof *support,
    .support_stride = sizeof *support,
    .device_count = device_count,
    .device_info = device_info,
    .open = open_device,
    .close = close_device,
    .alloc = alloc_buffer,
    .import = import_buffer,
    .release = release_buffer,
    .map = map_buffer,
    .write = write_buffer,
    .read = read_buffer,
    .copy = copy_buffer,
    .kv_layout = kv_layout,
    .plan = make_plan,
    .plan_info = plan_info,
    .run = run,
    .plan_free = plan_free,
};

AG_PLUGIN(BACKEND, "null", "1.0", "MIT", "device=null", &backend, .init = init);
