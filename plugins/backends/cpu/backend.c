/* SPDX-License-Identifier: MIT */
/* backend.c - the CPU backend's table: one device, host memory, weights repacked for its kernels. */
#define _DEFAULT_SOURCE /* madvise, sysconf */
#include "ops/kv.h"
#include "plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct ag_host *cpu_host;

enum { ALIGN = 64, BEHIND = 64, HUGE_PAGE = 2 << 20 };

#define BIT(t) ((uint64_t)1 << (t))
#define WEIGHT_TYPES                                                                              \
    (BIT(AG_F32) | BIT(AG_F16) | BIT(AG_BF16) | BIT(AG_Q4_0) | BIT(AG_Q4_1) | BIT(AG_Q5_0) |      \
     BIT(AG_Q5_1) | BIT(AG_Q8_0) | BIT(AG_Q4_K) | BIT(AG_Q5_K) | BIT(AG_Q6_K))

static const struct ag_support support[] = {
    { AG_OP_INPUT, 0, BIT(AG_I32) },
    { AG_OP_WEIGHT, 0, WEIGHT_TYPES },
    { AG_OP_STATE, 0, 0 },
    { AG_OP_CONST, 0, 0 },
    { AG_OP_VIEW, 0, BIT(AG_F32) | BIT(AG_I32) | BIT(AG_F16) | BIT(AG_BF16) },
    { AG_OP_GET_ROWS, 0, WEIGHT_TYPES },
    { AG_OP_MATMUL, 0, WEIGHT_TYPES },
    { AG_OP_RMS_NORM, 0, 0 },
    { AG_OP_ADD, 0, 0 },
    { AG_OP_MUL, 0, 0 },
    { AG_OP_SCALE, 0, 0 },
    { AG_OP_UNARY, 0, 0 },
    { AG_OP_SOFTCAP, 0, 0 },
    { AG_OP_ROPE, 0, 0 },
    { AG_OP_KV_WRITE, 0, 0 },
    { AG_OP_ATTENTION, 0, 0 },
    { AG_OP_PRIVATE, 0, 0 },
    { AG_OP_GIVEN, 0, 0 },
    { AG_OP_GLU, 0, 0 },
    { AG_OP_ADD_RMS_NORM, 0, 0 },
};

static int device_count(void) {
    return 1;
}

static int only_device(int index) {
    return index == 0 ? AG_OK
                      : cpu_host->fail(AG_ENOENT, "cpu: device %d: there is only device 0", index);
}

static uint64_t pages(int name) {
    long n = sysconf(name), size = sysconf(_SC_PAGESIZE);
    return n > 0 && size > 0 ? (uint64_t)n * (uint64_t)size : 0;
}

/* "model name	: AMD EPYC" of /proc/cpuinfo, where there is one. */
static void cpu_name(char *name, size_t bytes) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, bytes, "CPU");
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value) continue;
        value[strcspn(value, "\n")] = 0;
        snprintf(name, bytes, "%.*s", (int)bytes - 1, value + 1 + strspn(value + 1, " "));
        break;
    }
    if (f) fclose(f);
}

static int device_info(int index, struct ag_device_info *out) {
    int err = only_device(index);
    if (err < 0) return err;
    struct ag_device_info info = {
        .size = out->size,
        .flags = AG_DEVICE_HOST_MEMORY | AG_DEVICE_UNIFIED | AG_DEVICE_ANY_CLASS,
        .memory_total = pages(_SC_PHYS_PAGES),
        .memory_free = pages(_SC_AVPHYS_PAGES),
    };
    cpu_name(info.name, sizeof info.name);
    features_text(features_detect(), info.arch, sizeof info.arch);
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return AG_OK;
}

static int open_device(int index, const struct ag_device_config *config, ag_device **out) {
    int err = only_device(index);
    uint32_t features = features_detect();
    if (err == AG_OK && config && AG_HAS(config, cpu_mask))
        err = features_hide(&features, config->cpu_mask);
    if (err < 0) return err;
    ag_device *dev = cpu_host->alloc(sizeof *dev, ALIGN);
    if (!dev) return cpu_host->fail(AG_ENOMEM, "cpu: out of memory");
    *dev = (ag_device){ features };
    *out = dev;
    return AG_OK;
}

static void close_device(ag_device *dev) {
    cpu_host->free(dev);
}

/* ---- buffers ---- */

static int wrap(void *memory, uint64_t bytes, bool owned, ag_buffer **out) {
    ag_buffer *b = cpu_host->alloc(sizeof *b, ALIGN);
    if (!b) return cpu_host->fail(AG_ENOMEM, "cpu: out of memory");
    *b = (ag_buffer){ memory, bytes, owned };
    *out = b;
    return AG_OK;
}

static int alloc_buffer(ag_device *dev, uint64_t bytes, uint32_t kind, uint32_t flags,
                        ag_buffer **out) {
    bool large = bytes >= 2 * HUGE_PAGE;
    unsigned char *p = NULL;
    (void)dev, (void)kind;
    if (bytes <= SIZE_MAX / 2) p = cpu_host->alloc(bytes + BEHIND, large ? HUGE_PAGE : ALIGN);
    if (!p)
        return cpu_host->fail(AG_ENOMEM, "cpu: no memory for a buffer of %llu bytes",
                              (unsigned long long)bytes);
#ifdef MADV_HUGEPAGE
    if (large && flags & AG_BUFFER_HUGE) madvise(p, bytes, MADV_HUGEPAGE); /* a wish */
#else
    (void)flags;
#endif
    memset(p + bytes, 0, BEHIND);
    int err = wrap(p, bytes, true, out);
    if (err < 0) cpu_host->free(p);
    return err;
}

static int import_buffer(ag_device *dev, void *memory, uint64_t bytes, ag_buffer **out) {
    (void)dev;
    return wrap(memory, bytes, false, out);
}

static void release_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    if (b && b->owned) cpu_host->free(b->data);
    cpu_host->free(b);
}

static void *map_buffer(ag_device *dev, ag_buffer *b) {
    (void)dev;
    return b->data;
}

static int in_buffer(const ag_buffer *b, uint64_t offset, uint64_t bytes) {
    if (offset <= b->bytes && bytes <= b->bytes - offset) return AG_OK;
    return cpu_host->fail(AG_EINVAL, "cpu: %llu bytes at %llu are not inside a buffer of %llu",
                          (unsigned long long)bytes, (unsigned long long)offset,
                          (unsigned long long)b->bytes);
}

static int write_buffer(ag_device *dev, ag_buffer *b, uint64_t offset, const void *from,
                        uint64_t bytes) {
    (void)dev;
    int err = in_buffer(b, offset, bytes);
    if (err == AG_OK && bytes) memcpy(b->data + offset, from, bytes);
    return err;
}

static int read_buffer(ag_device *dev, ag_buffer *b, uint64_t offset, void *to, uint64_t bytes) {
    (void)dev;
    int err = in_buffer(b, offset, bytes);
    if (err == AG_OK && bytes) memcpy(to, b->data + offset, bytes);
    return err;
}

static int copy_buffer(ag_device *dev, ag_buffer *to, uint64_t to_offset, ag_buffer *from,
                       uint64_t from_offset, uint64_t bytes) {
    (void)dev;
    int err = in_buffer(to, to_offset, bytes);
    if (err == AG_OK) err = in_buffer(from, from_offset, bytes);
    if (err == AG_OK && bytes) memmove(to->data + to_offset, from->data + from_offset, bytes);
    return err;
}

/* ---- layouts ---- */

static int64_t use_rows(const struct ag_weight_use *use) {
    return use->dim[1] * use->dim[2] * use->dim[3];
}

static int layout(ag_device *dev, const struct ag_weight_use *use, struct ag_layout *out) {
    const struct packed_type *t = packed_type(use->dtype);
    uint64_t row = ag_row_bytes(use->dtype, (uint64_t)use->dim[0]);
    (void)dev;
    if (!row)
        return cpu_host->fail(AG_EFORMAT, "cpu: rows of %lld elements of %s", (long long)use->dim[0],
                              ag_dtype_name(use->dtype));
    out->id = LAYOUT_FILE;
    out->row_group = 1;
    out->bytes = row * (uint64_t)use_rows(use);
    bool flat = use->dim[2] == 1 && use->dim[3] == 1;
    bool readable = !(use->ops & ~(BIT(AG_OP_MATMUL) | BIT(AG_OP_GET_ROWS)));
    if (!t || use->flags & AG_PLAN_EXACT || !flat || !readable || !(use->ops & BIT(AG_OP_MATMUL)))
        return AG_OK;
    out->id = LAYOUT_PACKED;
    out->row_group = PACK_ROWS;
    out->bytes = (uint64_t)((use->dim[1] + PACK_ROWS - 1) / PACK_ROWS) *
                 packed_group_bytes(t, use->dim[0]);
    return AG_OK;
}

static int pack(ag_device *dev, const struct ag_weight_use *use, const struct ag_layout *l,
                const void *src, int64_t row0, int64_t n, void *dst) {
    uint64_t row = ag_row_bytes(use->dtype, (uint64_t)use->dim[0]);
    (void)dev;
    if (row0 < 0 || n < 0 || row0 > use_rows(use) - n || row0 % l->row_group)
        return cpu_host->fail(AG_EINVAL, "cpu: pack rows %lld + %lld of %lld", (long long)row0,
                              (long long)n, (long long)use_rows(use));
    if (l->id == LAYOUT_PACKED)
        packed_write(packed_type(use->dtype), src, use->dim[0], row0, n, dst);
    else memcpy((unsigned char *)dst + (uint64_t)row0 * row, src, (uint64_t)n * row);
    return AG_OK;
}

static int kv_layout(ag_device *dev, const struct ag_state *state, struct ag_kv_layout *l) {
    struct kv kv;
    (void)dev;
    int err = kv_init(&kv, state, l);
    if (err == AG_OK) l->page_bytes = kv.page_bytes;
    return err;
}

static int plan_info(ag_plan *p, struct ag_plan_info *out) {
    struct ag_plan_info info = { .size = out->size, .workspace_bytes = p->workspace };
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return AG_OK;
}

static uint64_t memory_free(ag_device *dev) {
    (void)dev;
    return pages(_SC_AVPHYS_PAGES);
}

static int init(const struct ag_host *host) {
    cpu_host = host;
    return AG_OK;
}

static const struct ag_backend backend = {
    .size = sizeof backend,
    .support = support,
    .n_support = sizeof support / sizeof support[0],
    .support_stride = sizeof support[0],
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
    .layout = layout,
    .pack = pack,
    .kv_layout = kv_layout,
    .plan = plan_create,
    .plan_info = plan_info,
    .run = plan_run,
    .plan_free = plan_free,
    .memory_free = memory_free,
    .profile = plan_profile,
};

AG_PLUGIN(BACKEND, "cpu", "1.0", "MIT", "device=cpu auto=10", &backend, .init = init);
