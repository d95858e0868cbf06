/* SPDX-License-Identifier: MIT */
/* check_backend.c - a backend plugin: its table, its devices and their memory, and every op it says it has
 * in a small graph beside the reference backend. The wide comparison, with random shapes and guards, is
 * kcheck's in the source tree; this one needs nothing but the plugin. */
#include "check_run.h"
#include "plugin_check.h"

#include "util/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void table(struct check *c, const struct ag_backend *b) {
    for (uint32_t i = 0; i < b->n_support; i++) {
        const struct ag_support *s = &b->support[i];
        if (!strcmp(ag_op_name(s->op), "?")) {
            check_failed(c, "support", "row %u: no op has number %u", i, s->op);
            return;
        }
        for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
            if (s->dtypes != UINT64_MAX && s->dtypes >> t & 1 && !ag_dtype_info(t).name) {
                check_failed(c, "support", "%s: no type has number %u", ag_op_name(s->op), t);
                return;
            }
        for (uint32_t k = 0; k < i; k++)
            if (b->support[k].op == s->op) {
                check_failed(c, "support", "%s has two rows", ag_op_name(s->op));
                return;
            }
    }
    if (b->n_support) check_ok(c, "support", "%u ops", b->n_support);
    else check_skip(c, "support", "no op at all: a model on it is refused");
}

/* Bytes there and back, at odd places, and errors where there is no such place. */
static int memory_round(const struct ag_backend *b, ag_device *dev) {
    enum { N = 10007 };
    static const char what[] = "write, copy, read";
    unsigned char *from = malloc(N), *to = calloc(1, N);
    ag_buffer *one = NULL, *two = NULL;
    int rc = from && to ? 0 : fail(AG_ENOMEM, "out of memory");
    for (int i = 0; rc >= 0 && i < N; i++) from[i] = (unsigned char)(i * 31 + 7);
    if (rc >= 0) rc = b->alloc(dev, N, AG_BUFFER_DEVICE, 0, &one);
    if (rc >= 0) rc = b->alloc(dev, N, AG_BUFFER_PINNED, 0, &two);
    if (rc >= 0) rc = b->write(dev, one, 0, from, N);
    if (rc >= 0) rc = b->write(dev, one, 101, from, 7);
    if (rc >= 0) rc = b->copy(dev, two, 0, one, 3, N - 3);
    if (rc >= 0) rc = b->read(dev, two, 1, to, N - 4);
    if (rc >= 0) {
        memmove(from + 101, from, 7); /* regions do not overlap */
        if (memcmp(to, from + 4, N - 4)) rc = fail(AG_EDEVICE, "%s: other bytes came back", what);
    }
    if (rc >= 0 && (b->write(dev, one, N - 1, from, 2) >= 0 || b->read(dev, one, N, to, 1) >= 0 ||
                    b->read(dev, one, UINT64_MAX, to, 2) >= 0))
        rc = fail(AG_EDEVICE, "%s: places outside of the buffer are taken", what);
    if (rc >= 0 && b->map(dev, one) && (uintptr_t)b->map(dev, one) % 64)
        rc = fail(AG_EDEVICE, "a buffer is not aligned to 64 bytes");
    b->release(dev, one);
    b->release(dev, two);
    b->release(dev, NULL);
    free(from);
    free(to);
    return rc;
}

/* ---- ops ---- */

enum { K = 256, N = 24, HEADS = 4, DIM = K / HEADS };

struct operation {
    uint32_t op, variant;
    const char *name;
    ag_ref (*draw)(const struct trial *, ag_ref x); /* x f32 [K, T] */
    uint32_t needs; /* a weight of this shape: 0 none, 1 "w" [K, N], 2 "n" [K], 3 a state */
    double bound;   /* of the largest difference, in units of the largest result */
};

#define G t->graph
#define B graph_builder()
static ag_ref draw_rows(const struct trial *t, ag_ref x) {
    (void)x;
    return B->get_rows(G, B->weight(G, "w", -1, K, N, 1), B->input(G, AG_INPUT_TOKEN), 1.5);
}
static ag_ref draw_matmul(const struct trial *t, ag_ref x) {
    return B->matmul(G, B->weight(G, "w", -1, K, N, 1), x, 0);
}
static ag_ref draw_norm(const struct trial *t, ag_ref x) {
    return B->rmsnorm(G, x, B->weight(G, "n", -1, K, 1, 1), 1e-5);
}
static ag_ref draw_add(const struct trial *t, ag_ref x) { return B->add(G, x, x); }
static ag_ref draw_mul(const struct trial *t, ag_ref x) { return B->mul(G, x, x); }
static ag_ref draw_scale(const struct trial *t, ag_ref x) { return B->scale(G, x, -2.5, 0.25); }
static ag_ref draw_silu(const struct trial *t, ag_ref x) { return B->unary(G, x, AG_UNARY_SILU); }
static ag_ref draw_gelu(const struct trial *t, ag_ref x) { return B->unary(G, x, AG_UNARY_GELU_TANH); }
static ag_ref draw_cap(const struct trial *t, ag_ref x) { return B->softcap(G, x, 0.125); }
static ag_ref draw_glu(const struct trial *t, ag_ref x) { return B->glu(G, x, B->scale(G, x, 2, 0), AG_UNARY_SILU); }
static ag_ref draw_add_norm(const struct trial *t, ag_ref x) {
    return B->add_rmsnorm(G, x, x, B->weight(G, "n", -1, K, 1, 1), 1e-5);
}

static ag_ref frequencies(const struct trial *t) {
    float f[DIM / 2];
    for (int i = 0; i < DIM / 2; i++) f[i] = (float)pow(100, -2.0 * i / DIM);
    return B->constant(G, f, DIM / 2);
}
static ag_ref heads(const struct trial *t, ag_ref x) { return B->reshape(G, x, DIM, HEADS, AG_DIM_T); }
static ag_ref draw_rope(const struct trial *t, ag_ref x) {
    return B->rope(G, heads(t, x), B->input(G, AG_INPUT_POS), frequencies(t), AG_ROPE_HALF, 0, 1);
}
static ag_ref draw_rope_adjacent(const struct trial *t, ag_ref x) {
    return B->rope(G, heads(t, x), B->input(G, AG_INPUT_POS), frequencies(t), AG_ROPE_ADJACENT, 0, 1);
}
static ag_ref draw_attention(const struct trial *t, ag_ref x) {
    ag_ref q = heads(t, x);
    ag_ref cache = B->kv_write(G, B->state(G, 0), q, B->scale(G, q, 0.5, 0.1));
    return B->attention(G, q, cache, 0, 0.5, 0, 0, 0);
}
#undef G
#undef B

static const struct operation operations[] = {
    { AG_OP_GET_ROWS, 0, "GET_ROWS", draw_rows, 1, 1e-5 },
    { AG_OP_MATMUL, 0, "MATMUL", draw_matmul, 1, 1e-4 },
    { AG_OP_MATMUL, 1, "MATMUL, quantised activations", draw_matmul, 1, 0.03 },
    { AG_OP_RMS_NORM, 0, "RMS_NORM", draw_norm, 2, 1e-5 },
    { AG_OP_ADD, 0, "ADD", draw_add, 0, 1e-6 },
    { AG_OP_MUL, 0, "MUL", draw_mul, 0, 1e-6 },
    { AG_OP_SCALE, 0, "SCALE", draw_scale, 0, 1e-6 },
    { AG_OP_UNARY, 0, "UNARY, silu", draw_silu, 0, 1e-4 },
    { AG_OP_UNARY, 0, "UNARY, gelu", draw_gelu, 0, 1e-4 },
    { AG_OP_SOFTCAP, 0, "SOFTCAP", draw_cap, 0, 1e-4 },
    { AG_OP_ROPE, 0, "ROPE, halves", draw_rope, 0, 1e-4 },
    { AG_OP_ROPE, 0, "ROPE, neighbours", draw_rope_adjacent, 0, 1e-4 },
    { AG_OP_ATTENTION, 0, "KV_WRITE and ATTENTION", draw_attention, 3, 1e-3 },
    { AG_OP_GLU, 0, "GLU", draw_glu, 0, 1e-4 },
    { AG_OP_ADD_RMS_NORM, 0, "ADD_RMS_NORM", draw_add_norm, 2, 1e-5 },
};

static int prepare(struct trial *t, const struct operation *o, uint32_t dtype) {
    int rc = trial_weight(t, "x", AG_F32, K, TRIAL_TOKENS);
    if (rc >= 0 && o->needs == 1) rc = trial_weight(t, "w", dtype, K, N);
    if (rc >= 0 && o->needs == 2) rc = trial_weight(t, "n", AG_F32, K, 1);
    if (o->needs == 3) {
        t->state = (struct ag_state){ .size = sizeof t->state, .kind = AG_STATE_FULL, .n_head = HEADS,
                                      .k_dim = DIM, .v_dim = DIM };
        t->n_state = 1;
    }
    if (rc >= 0) rc = trial_begin(t);
    if (rc < 0) return rc;
    const struct ag_build *b = graph_builder();
    ag_ref x = b->get_rows(t->graph, b->weight(t->graph, "x", -1, K, TRIAL_TOKENS, 1),
                           b->input(t->graph, AG_INPUT_TOKEN), 1);
    /* A node behind it: what is asked for need not be the last thing computed. */
    b->tag(t->graph, b->scale(t->graph, o->draw(t, x), 1, 0), AG_TAG_HIDDEN, -1);
    return trial_drawn(t);
}

/* The largest difference in units of the largest result; INFINITY when one of them is no number. */
static double distance(const float *a, const float *want, uint64_t n) {
    double most = 0, off = 0;
    for (uint64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - want[i]);
        if (!(d <= off)) off = d;
        if (fabs(want[i]) > most) most = fabs(want[i]);
    }
    return isfinite(off) && most > 0 ? off / most : INFINITY;
}

struct pair { const struct ag_backend *b, *oracle; ag_device *dev, *oracle_dev; };

static void compare(struct check *c, const struct pair *p, const struct operation *o, uint32_t dtype) {
    struct trial t = { 0 };
    float *got = NULL, *want = NULL;
    uint64_t n = 0, m = 0;
    char what[96];
    snprintf(what, sizeof what, "%s%s%s", o->name, o->needs == 1 ? " " : "", o->needs == 1 ? ag_dtype_name(dtype) : "");
    int rc = prepare(&t, o, dtype);
    if (rc < 0) {
        check_failed(c, what, "%s", fail_text());
        goto out;
    }
    rc = trial_run(&t, p->oracle, p->oracle_dev, AG_PLAN_EXACT, &want, &m);
    if (rc < 0) {
        check_skip(c, what, "the reference backend cannot: %s", fail_text());
        goto out;
    }
    rc = trial_run(&t, p->b, p->dev, o->variant ? 0 : AG_PLAN_EXACT, &got, &n);
    if (rc == AG_ENOTSUP) {
        check_skip(c, what, "%s", fail_text());
    } else if (rc < 0 || n != m) {
        check_failed(c, what, "%s", rc < 0 ? fail_text() : "the result has another size");
    } else {
        double d = distance(got, want, n);
        if (d <= o->bound) check_ok(c, what, "off by %.2g of the largest result, at most %.0e", d, o->bound);
        else check_failed(c, what, "off by %.3g of the largest result, at most %.0e is allowed", d, o->bound);
    }
out:
    free(got);
    free(want);
    trial_free(&t);
}

/* Types of a row that are to be tried: those that the reference has, too. */
static uint64_t types_of(const struct ag_backend *b, uint32_t op) {
    for (uint32_t i = 0; i < b->n_support; i++)
        if (b->support[i].op == op) return b->support[i].dtypes ? b->support[i].dtypes : UINT64_C(1) << AG_F32;
    return 0;
}

static void compare_all(struct check *c, const struct pair *p) {
    for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
        const struct operation *o = &operations[k];
        uint64_t types = types_of(p->b, o->op), known = types_of(p->oracle, o->op);
        if (o->needs != 1) known = types &= UINT64_C(1) << AG_F32;
        for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
            if (types >> t & known >> t & 1) compare(c, p, o, t);
        for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
            if (types >> t & ~known >> t & 1 && ag_dtype_info(t).name && types != UINT64_MAX)
                check_skip(c, o->name, "%s: the reference backend has no such type", ag_dtype_name(t));
    }
    for (uint32_t i = 0; i < p->b->n_support; i++) {
        size_t k = 0, n = sizeof operations / sizeof *operations;
        while (k < n && operations[k].op != p->b->support[i].op) k++;
        if (k == n && p->b->support[i].op > AG_OP_VIEW && p->b->support[i].op != AG_OP_KV_WRITE)
            check_skip(c, ag_op_name(p->b->support[i].op), "not tried here; kcheck of the source tree does");
    }
}

static void device(struct check *c, const struct ag_backend *b, int index, const struct plugin *oracle) {
    struct ag_device_info info = { .size = sizeof info };
    const struct ag_device_config config = { .size = sizeof config };
    struct pair p = { .b = b };
    if (b->device_info(index, &info) < 0) {
        check_failed(c, "device", "%d: %s", index, fail_text());
        return;
    }
    if (b->open(index, &config, &p.dev) < 0) {
        check_failed(c, "device", "%d, %.63s: %s", index, info.name, fail_text());
        return;
    }
    check_ok(c, "device", "%d: %.63s, %.63s", index, info.name, info.arch);
    if (memory_round(b, p.dev) < 0) check_failed(c, "memory", "%s", fail_text());
    else check_ok(c, "memory", "alloc, write, copy, read, release");
    if (!oracle) {
        check_skip(c, "ops", "no backend ref to compare with");
    } else if (oracle->u.backend.open(0, &config, &p.oracle_dev) < 0) {
        check_skip(c, "ops", "backend ref: %s", fail_text());
    } else {
        p.oracle = &oracle->u.backend;
        compare_all(c, &p);
        p.oracle->close(p.oracle_dev);
    }
    b->close(p.dev);
}

void check_backend(struct check *c, const struct plugin *p, const struct plugin *oracle) {
    const struct ag_backend *b = &p->u.backend;
    table(c, b);
    int n = b->device_count();
    if (n < 0) check_failed(c, "device", "device_count: %s", fail_text());
    if (n == 0) check_skip(c, "device", "none here");
    for (int i = 0; i < n; i++) device(c, b, i, oracle);
    ag_device *none = NULL;
    const struct ag_device_config config = { .size = sizeof config };
    if (b->open(n < 0 ? 0 : n, &config, &none) >= 0) {
        check_failed(c, "device", "opens device %d of %d", n, n);
        b->close(none);
    }
    b->close(NULL);
    b->plan_free(NULL);
}
