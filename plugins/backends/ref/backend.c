/* SPDX-License-Identifier: MIT */
/* backend.c - the reference backend: host memory, no repacking, one device. After it: plan.c. */
#include "ref.h"

#include <unistd.h>

const struct ag_host *ref_host;

enum { ALIGN = 64, BEHIND = 64 };

static int device_count(void) { return 1; }

/* Bytes of memory by the name sysconf has for pages; 0 = unknown. */
static uint64_t memory_of(int name) {
    long pages = sysconf(name), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static int device_info(int index, struct ag_device_info *out) {
    if (index != 0) return ref_host->fail(AG_ENOENT, "ref: device %d: there is only device 0", index);
    struct ag_device_info info = {
        .size = out->size,
        .flags = AG_DEVICE_HOST_MEMORY | AG_DEVICE_UNIFIED | AG_DEVICE_ANY_CLASS,
        .name = "reference, plain C",
        .arch = "any",
        .memory_total = memory_of(_SC_PHYS_PAGES),
#ifdef _SC_AVPHYS_PAGES
        .memory_free = memory_of(_SC_AVPHYS_PAGES),
#endif
    };
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return AG_OK;
}

static uint64_t memory_free(ag_device *dev) {
    struct ag_device_info info = { .size = sizeof info };
    (void)dev;
    return device_info(0, &info) < 0 ? 0 : info.memory_free;
}

static int open_device(int index, const struct ag_device_config *config, ag_device **out) {
    (void)config; /* cpu_mask hides features; none are used */
    if (index != 0) return ref_host->fail(AG_ENOENT, "ref: device %d: there is only device 0", index);
    ag_device *dev = ref_host->alloc(sizeof *dev, ALIGN);
    if (!dev) return ref_host->fail(AG_ENOMEM, "ref: out of memory");
    *dev = (ag_device){ 0 };
    *out = dev;
    return AG_OK;
}

static void close_device(ag_device *dev) { ref_host->free(dev); }

static int wrap(void *memory, uint64_t bytes, bool owned, ag_buffer **out) {
    ag_buffer *b = ref_host->alloc(sizeof *b, ALIGN);
    if (!b) return ref_host->fail(AG_ENOMEM, "ref: out of memory");
    *b = (ag_buffer){ memory, bytes, owned };
    *out = b;
    return AG_OK;
}

static int alloc_buffer(ag_device *dev, uint64_t bytes, uint32_t kind, uint32_t flags,
                        ag_buffer **out) {
    (void)dev, (void)kind, (void)flags; /* one kind of memory; huge pages are a wish */
    unsigned char *p = bytes <= SIZE_MAX / 2 ? ref_host->alloc((size_t)bytes + BEHIND, ALIGN) : NULL;
    if (!p)
        return ref_host->fail(AG_ENOMEM, "ref: no memory for a buffer of %llu bytes",
                              (unsigned long long)bytes);
    memset(p + bytes, 0, BEHIND);
    int err = wrap(p, bytes, true, out);
    if (err < 0) ref_host->free(p);
    return err;
}

static int import_buffer(ag_device *dev, void *memory, uint64_t bytes, ag_buffer **out) {
    (void)dev;
    return wrap(memory, bytes, false, out);
}

static void release_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    if (b && b->owned) ref_host->free(b->at);
    ref_host->free(b);
}

static void *map_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    return b->at;
}

static int in_buffer(const ag_buffer *b, uint64_t offset, uint64_t bytes) {
    if (offset <= b->bytes && bytes <= b->bytes - offset) return AG_OK;
    return ref_host->fail(AG_EINVAL, "ref: %llu bytes at %llu are not inside a buffer of %llu",
                          (unsigned long long)bytes, (unsigned long long)offset,
                          (unsigned long long)b->bytes);
}

static int write_buffer(ag_device *dev, ag_buffer *b, uint64_t offset, const void *from,
                        uint64_t bytes) {
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

static int init(const struct ag_host *host) {
    ref_host = host;
    return AG_OK;
}

static const struct ag_backend backend = {
    .size = sizeof backend,
    .support = ref_support,
    .n_support = REF_N_SUPPORT,
    .support_stride = sizeof(struct ag_support),
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
    .kv_layout = ref_kv_layout,
    .plan = ref_plan,
    .plan_info = ref_plan_info,
    .run = ref_run,
    .plan_free = ref_plan_free,
    .memory_free = memory_free,
};

AG_PLUGIN(BACKEND, "ref", "1.0", "MIT", "device=ref", &backend, .init = init);
