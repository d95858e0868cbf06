/* SPDX-License-Identifier: MIT */
/* Weights on the way from the file to a device: transforms, rows of fused tensors, packing in groups of
 * rows, a file that became shorter. Each is compared with the same tensor loaded as it is.
 * Arguments: folder of the plugins, model. */
#include "weights.h"

#include "util/error.h"
#include "util/team.h"

#include <agave/quant.h>

#include <CUnit/Basic.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *plugin_dir, *model_path;
static struct registry *reg;
static struct modelfile *mf;
static struct ag_backend ref; /* the reference backend's table; tests change copies */
static ag_device *device;

/* Matrices of the tiny Gemma: gate is [64, 128], attn_q [64, 128] (4 heads of 32 rows). */
#define GATE "blk.0.ffn_gate.weight"
#define QUERY "blk.0.attn_q.weight"
#define NORM "output_norm.weight"
enum { WIDTH = 64, ROWS = 128, HEAD = 32, FIRST = 37, SOME = 51, GROUP = 8 };

enum { RAW_GATE, RAW_QUERY, RAW_NORM, PART, PART_AGAIN, PAIRS, PLUS, DECAY, N_ROW };
static const struct ag_weight_row rows[N_ROW] = {
    [RAW_GATE] = { .name = "raw gate", .file = { GATE } },
    [RAW_QUERY] = { .name = "raw query", .file = { QUERY } },
    [RAW_NORM] = { .name = "raw norm", .file = { NORM } },
    [PART] = { .name = "part", .file = { GATE }, .transform = { { AG_TRANSFORM_ROWS, 0, FIRST, SOME, 0 } } },
    [PART_AGAIN] = { .name = "part of a part", .file = { GATE },
                     .transform = { { AG_TRANSFORM_ROWS, 0, FIRST, SOME, 0 }, { AG_TRANSFORM_ROWS, 0, 5, 7, 0 } } },
    [PAIRS] = { .name = "pairs", .file = { QUERY }, .transform = { { AG_TRANSFORM_ROPE_PAIRS, 0, HEAD, 0, 0 } } },
    [PLUS] = { .name = "plus", .file = { NORM }, .transform = { { AG_TRANSFORM_ADD, 0, 0, 0, 1.0 } } },
    [DECAY] = { .name = "decay", .file = { NORM }, .transform = { { AG_TRANSFORM_NEG_EXP, 0, 0, 0, 0 } } },
};
static const int64_t shape[N_ROW][AG_MAX_DIM] = {
    [RAW_GATE] = { WIDTH, ROWS, 1, 1 },  [RAW_QUERY] = { WIDTH, ROWS, 1, 1 }, [RAW_NORM] = { WIDTH, 1, 1, 1 },
    [PART] = { WIDTH, SOME, 1, 1 },      [PART_AGAIN] = { WIDTH, 7, 1, 1 },   [PAIRS] = { WIDTH, ROWS, 1, 1 },
    [PLUS] = { WIDTH, 1, 1, 1 },         [DECAY] = { WIDTH, 1, 1, 1 },
};

static struct weights *open_weights(const struct modelfile *file) {
    const struct ag_weight_table table = { sizeof table, sizeof *rows, N_ROW, 0, rows };
    struct weights *w = NULL;
    CU_ASSERT_EQUAL_FATAL(weights_create(file, "test", &table, &w), AG_OK);
    for (int i = 0; i < N_ROW; i++) {
        uint32_t dtype = AG_DTYPE_NONE;
        CU_ASSERT_EQUAL_FATAL(weights_slot(w, rows[i].name, -1, shape[i], &dtype), i);
        CU_ASSERT_EQUAL(dtype, AG_F32);
    }
    return w;
}

/* A graph that does no more than read every weight. */
static int load(struct weights *w, const struct ag_backend *backend) {
    struct ag_node node[1 + 2 * N_ROW] = { 0 };
    struct ag_graph g = { .n = 1 + 2 * N_ROW, .node = node };
    for (uint32_t i = 0; i < N_ROW; i++) {
        node[1 + i] = (struct ag_node){ .op = AG_OP_WEIGHT, .slot = i };
        node[1 + N_ROW + i] = (struct ag_node){ .op = AG_OP_ADD, .src = { 1 + i } };
    }
    const struct weights_load l = { .backend = backend, .device = device, .graph = &g };
    return weights_load(w, &l);
}

static const float *values(const struct weights *w, int i) {
    const struct ag_binding *at = &weights_bindings(w)[i].at;
    const unsigned char *base = ref.map(device, at->buffer);
    CU_ASSERT_EQUAL(at->bytes, (uint64_t)(shape[i][0] * shape[i][1]) * sizeof(float));
    return (const float *)(const void *)(base + at->offset);
}

static void check_values(const struct weights *w) {
    const float *gate = values(w, RAW_GATE), *query = values(w, RAW_QUERY), *norm = values(w, RAW_NORM);
    const size_t row = WIDTH * sizeof *gate;
    CU_ASSERT(memcmp(gate, gate + WIDTH, row) != 0);
    CU_ASSERT_EQUAL(memcmp(values(w, PART), gate + FIRST * WIDTH, SOME * row), 0);
    CU_ASSERT_EQUAL(memcmp(values(w, PART_AGAIN), gate + (FIRST + 5) * WIDTH, 7 * row), 0);
    for (int r = 0; r < ROWS; r++) {
        int head = r / HEAD * HEAD, j = r % HEAD, from = head + j / 2 + (j % 2 ? HEAD / 2 : 0);
        CU_ASSERT_EQUAL(memcmp(values(w, PAIRS) + r * WIDTH, query + from * WIDTH, row), 0);
    }
    for (int i = 0; i < WIDTH; i++) {
        CU_ASSERT_EQUAL(values(w, PLUS)[i], norm[i] + 1.0f);
        CU_ASSERT(fabsf(values(w, DECAY)[i] + expf(norm[i])) < 1e-6f * expf(norm[i]));
    }
}

static void test_transforms(void) {
    struct ag_backend copying = ref; /* a device that cannot read the file where it is mapped */
    copying.import = NULL;
    const struct ag_backend *const each[] = { &ref, &copying };
    for (int i = 0; i < 2; i++) {
        struct weights *w = open_weights(mf);
        uint64_t mapped, owned;
        CU_ASSERT_EQUAL_FATAL(load(w, each[i]), AG_OK);
        check_values(w);
        weights_bytes(w, &mapped, &owned);
        CU_ASSERT_EQUAL(mapped > 0, i == 0 && ref.import != NULL);
        CU_ASSERT(owned > 0);
        weights_free(w);
    }
}

static int group_layout(ag_device *d, const struct ag_weight_use *use, struct ag_layout *out) {
    (void)d;
    out->id = 1;
    out->row_group = GROUP;
    out->bytes = (uint64_t)(use->dim[0] * use->dim[1]) * sizeof(float);
    return AG_OK;
}

/* Whole groups come, but for the last rows; the result is the rows as they were. */
static int group_pack(ag_device *d, const struct ag_weight_use *use, const struct ag_layout *l, const void *from,
                      int64_t first, int64_t n, void *to) {
    (void)d, (void)l;
    if (first % GROUP || (n % GROUP && first + n != use->dim[1])) return AG_EINVAL;
    size_t row = (size_t)use->dim[0] * sizeof(float);
    memcpy((char *)to + (size_t)first * row, from, (size_t)n * row);
    return AG_OK;
}

static void test_packing(void) {
    struct ag_backend packing = ref;
    packing.layout = group_layout;
    packing.pack = group_pack;
    CU_ASSERT_EQUAL(team_set_size(3), AG_OK);
    struct weights *w = open_weights(mf);
    CU_ASSERT_EQUAL_FATAL(load(w, &packing), AG_OK);
    check_values(w);
    weights_free(w);
}

static void test_shapes(void) {
    static const struct ag_weight_row bad[] = {
        { .name = "behind", .file = { GATE }, .transform = { { AG_TRANSFORM_ROWS, 0, 100, 29, 0 } } },
        { .name = "odd", .file = { QUERY }, .transform = { { AG_TRANSFORM_ROPE_PAIRS, 0, 33, 0, 0 } } },
        { .name = "large", .file = { GATE }, .transform = { { AG_TRANSFORM_ROWS, 0, INT64_MAX, 2, 0 } } },
        { .name = "new", .file = { GATE }, .transform = { { 77, 0, 0, 0, 0 } } },
        { .name = "absent", .file = { "blk.0.no.such", "blk.0.nor.this" } },
    };
    const struct ag_weight_table table = { sizeof table, sizeof *bad, sizeof bad / sizeof *bad, 0, bad };
    struct weights *w = NULL;
    uint32_t dtype;
    CU_ASSERT_EQUAL_FATAL(weights_create(mf, "test", &table, &w), AG_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int64_t want[AG_MAX_DIM] = { WIDTH, 29, 1, 1 };
        CU_ASSERT(weights_slot(w, bad[i].name, -1, want, &dtype) < 0);
        const char *named = strcmp(bad[i].name, "absent") ? bad[i].file[0] : "blk.0.no.such or blk.0.nor.this";
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), named));
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "want 64x29"));
    weights_free(w);
}

/* The file is cut off, before or inside of a tensor, between its opening and the loading: an error, no
 * signal. */
static void shorten(bool inside) {
    char path[] = "/tmp/agave-weights-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    FILE *from = fopen(model_path, "rb");
    char part[1 << 14];
    CU_ASSERT_PTR_NOT_NULL_FATAL(from);
    for (size_t n; (n = fread(part, 1, sizeof part, from)) > 0;) CU_ASSERT_EQUAL(write(fd, part, n), (ssize_t)n);
    fclose(from);
    struct modelfile *file = NULL;
    CU_ASSERT_EQUAL_FATAL(modelfile_open(reg, path, &file), AG_OK);
    struct weights *w = open_weights(file);
    struct ag_tensor gate = { .size = sizeof gate };
    int64_t at = modelfile_tensor(file, GATE);
    CU_ASSERT_FATAL(at >= 0 && file->format->tensor(file->file, (uint32_t)at, &gate) == AG_OK);
    CU_ASSERT_EQUAL(ftruncate(fd, (off_t)gate.plane[0].offset + (inside ? 100 : -100)), 0);
    CU_ASSERT_EQUAL(load(w, &ref), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), GATE ": lies beyond the end")); /* not one behind it */
    weights_free(w);
    modelfile_close(file);
    close(fd);
    unlink(path);
}

static void test_file_became_shorter(void) {
    shorten(false);
    shorten(true);
}

static int setup(void) {
    const struct registry_options o = { .dir = &plugin_dir, .n_dir = 1 };
    const struct ag_device_config config = { .size = sizeof config };
    if (registry_open(&o, &reg) < 0 || modelfile_open(reg, model_path, &mf) < 0) goto failed;
    struct plugin *p = registry_find(reg, AG_KIND_BACKEND, "ref");
    if (!p || registry_load(reg, p) < 0) goto failed;
    ref = p->u.backend;
    if (ref.open(0, &config, &device) < 0) goto failed;
    return 0;
failed:
    fprintf(stderr, "%s\n", fail_text());
    return 1;
}

static int cleanup(void) {
    ref.close(device);
    modelfile_close(mf);
    registry_close(reg);
    team_stop();
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    plugin_dir = argv[1];
    model_path = argv[2];
    CU_pSuite s = CU_add_suite("weights", setup, cleanup);
    CU_ADD_TEST(s, test_transforms);
    CU_ADD_TEST(s, test_packing);
    CU_ADD_TEST(s, test_shapes);
    CU_ADD_TEST(s, test_file_became_shorter);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures() + (CU_get_number_of_suites_failed() > 0);
    CU_cleanup_registry();
    return failures != 0;
}
