/* SPDX-License-Identifier: MIT */
/* GGUF files: a real one, parts, directories, and a table of damaged ones. */
#include <agave/format.h>

#include "scratch.h"

extern const struct ag_plugin ag_plugin;

static const struct ag_format *format;
static const char *data_dir;

static const char *golden(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", data_dir, name);
    return path;
}

static ag_file *opened(const char *path) {
    ag_file *f = NULL;
    fail_clear();
    CU_ASSERT_EQUAL(format->open(path, &f), AG_OK);
    if (!f) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    return f;
}

/* Opening must fail with a text that holds `want`. */
static void refused(const char *path, const char *want) {
    ag_file *f = NULL;
    fail_clear();
    CU_ASSERT(format->open(path, &f) < 0);
    CU_ASSERT_PTR_NULL(f);
    if (!strstr(fail_text(), want)) fprintf(stderr, "want '%s', got '%s'\n", want, fail_text());
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), want));
    CU_ASSERT_PTR_NULL(strchr(fail_text(), '\n'));
}

/* ---- a real file ------------------------------------------------------------------------------- */

static void test_gemma(void) {
    ag_file *f = opened(golden("gemma3/model-bf16.gguf"));
    struct ag_value v = { .size = sizeof v };
    struct ag_tensor t = { .size = sizeof t };
    CU_ASSERT_STRING_EQUAL(format->scheme(f), "gguf");
    CU_ASSERT_STRING_EQUAL(format->label(f), "GGUF v3");
    CU_ASSERT_EQUAL(format->part_count(f), 1);
    CU_ASSERT_EQUAL_FATAL(format->tensor_count(f), 106);
    CU_ASSERT_STRING_EQUAL(format->meta_key(f, 0), "general.architecture");
    CU_ASSERT_STRING_EQUAL(format->meta_key(f, 30), "tokenizer.ggml.add_space_prefix");
    CU_ASSERT_PTR_NULL(format->meta_key(f, 31));

    CU_ASSERT_EQUAL(format->tensor(f, 0, &t), AG_OK);
    CU_ASSERT_STRING_EQUAL(t.name, "token_embd.weight");
    CU_ASSERT(t.dtype == AG_BF16 && t.n_dim == 2 && t.dim[0] == 64 && t.dim[1] == 512);
    CU_ASSERT(t.dim[2] == 1 && t.dim[3] == 1 && t.n_plane == 1 && t.plane[0].bytes == 65536);
    CU_ASSERT(t.plane[0].offset == 18336); /* 18325 bytes of header, aligned to 32 */
    CU_ASSERT_EQUAL(format->tensor(f, 105, &t), AG_OK);
    CU_ASSERT_STRING_EQUAL(t.name, "output_norm.weight");
    CU_ASSERT(t.dtype == AG_F32 && t.plane[0].offset == 18336 + 862208 && t.plane[0].bytes == 256);
    CU_ASSERT(format->tensor(f, 106, &t) < 0);

    CU_ASSERT(format->meta(f, "gemma3.block_count", &v) && v.type == AG_VALUE_INT && v.i == 8);
    CU_ASSERT(format->meta(f, "gemma3.rope.freq_base", &v) && v.type == AG_VALUE_FLOAT && v.f == 1e6);
    CU_ASSERT(format->meta(f, "tokenizer.ggml.add_bos_token", &v) && v.type == AG_VALUE_BOOL && v.i);
    CU_ASSERT(format->meta(f, "general.architecture", &v) && v.type == AG_VALUE_STR && v.bytes == 6 &&
              !memcmp(v.data, "gemma3", 6));
    CU_ASSERT(!format->meta(f, "gemma3.block", &v));
    CU_ASSERT(!format->meta(f, "", &v));
    format->close(f);
    format->close(NULL);
}

static void test_arrays(void) {
    ag_file *f = opened(golden("gemma3/model-bf16.gguf"));
    struct ag_value v = { .size = sizeof v };
    CU_ASSERT_FATAL(format->meta(f, "tokenizer.ggml.tokens", &v));
    CU_ASSERT(v.type == AG_VALUE_ARRAY && v.elem == AG_ELEM_STR && v.count == 512);
    const unsigned char *p = v.data, *end = p + v.bytes;
    uint64_t n = 0;
    for (uint64_t i = 0; i < v.count; i++, p += n) {
        CU_ASSERT_FATAL(end - p >= 8);
        memcpy(&n, p, 8);
        p += 8;
        CU_ASSERT_FATAL(n <= (uint64_t)(end - p));
        if (i == 1) CU_ASSERT(n == 5 && !memcmp(p, "<eos>", 5));
    }
    CU_ASSERT_PTR_EQUAL(p, end);
    CU_ASSERT_FATAL(format->meta(f, "tokenizer.ggml.scores", &v));
    CU_ASSERT(v.elem == AG_ELEM_F32 && v.count == 512 && v.bytes == 2048);
    float last;
    memcpy(&last, (const char *)v.data + 2044, 4);
    CU_ASSERT_EQUAL(last, -243.0f);
    CU_ASSERT(format->meta(f, "tokenizer.ggml.token_type", &v) && v.elem == AG_ELEM_I32);
    format->close(f);
}

static void test_probe(void) {
    CU_ASSERT(format->probe("GGUF\3\0\0\0", 8, "x", false) > 0);
    CU_ASSERT_EQUAL(format->probe("GGU", 3, "x", false), 0);
    CU_ASSERT_EQUAL(format->probe("PK\3\4", 4, "x.gguf", false), 0);
    CU_ASSERT_EQUAL(format->probe(NULL, 0, "/nowhere", true), 0);
}

/* ---- made files -------------------------------------------------------------------------------- */

/* What a made file holds; defaults make a good one. Numbers of 0 mean the default. */
struct made {
    uint32_t version;
    uint64_t n_tensor, n_key; /* what the file says; -1 in the table = as they are */
    uint64_t dim0, dim1, offset;
    uint32_t n_dim, type;
    const char *name;  /* of the tensor */
    size_t cut;        /* bytes taken off the end */
    void (*key)(struct bytes *, uint64_t *n); /* further keys */
};

static void made_bytes(struct bytes *b, const struct made *m) {
    struct bytes keys = { 0 };
    uint64_t n_key = 1;
    put_str(&keys, "general.architecture"), put_u32(&keys, 8), put_str(&keys, "toy");
    if (m->key) m->key(&keys, &n_key);
    put(b, "GGUF", 4);
    put_u32(b, m->version ? m->version : 3);
    put_u64(b, m->n_tensor ? m->n_tensor : 1);
    put_u64(b, m->n_key ? m->n_key : n_key);
    put(b, keys.p, keys.n);
    put_str(b, m->name ? m->name : "w");
    put_u32(b, m->n_dim ? m->n_dim : 2);
    put_u64(b, m->dim0 ? m->dim0 : 32), put_u64(b, m->dim1 ? m->dim1 : 2);
    for (uint32_t i = 2; i < m->n_dim; i++) put_u64(b, 1);
    put_u32(b, m->type), put_u64(b, m->offset);
    while (b->n % 32) put(b, "", 1);
    for (int i = 0; i < 256; i++) put(b, &(uint8_t){ (uint8_t)i }, 1);
    b->n -= m->cut;
    free(keys.p);
}

static void key_twice(struct bytes *b, uint64_t *n) {
    put_str(b, "general.architecture"), put_u32(b, 4), put_u32(b, 1), ++*n;
}
static void key_type(struct bytes *b, uint64_t *n) { put_str(b, "k"), put_u32(b, 77), ++*n; }
static void key_elem(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 9), put_u32(b, 14), put_u64(b, 1), ++*n;
}
static void key_long(struct bytes *b, uint64_t *n) { put_u64(b, 1u << 20), put(b, "k", 1), ++*n; }
static void key_text(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 8), put_u64(b, UINT64_MAX - 3), ++*n;
}
static void key_zero(struct bytes *b, uint64_t *n) {
    put_u64(b, 3), put(b, "a\0b", 3), put_u32(b, 4), put_u32(b, 1), ++*n;
}
static void key_empty(struct bytes *b, uint64_t *n) {
    put_u64(b, 0), put_u32(b, 4), put_u32(b, 1), ++*n;
}
static void key_big(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 10), put_u64(b, 1ull << 63), ++*n;
}
static void key_array(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 9), put_u32(b, 12), put_u64(b, 1ull << 61), ++*n;
}
static void key_texts(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 9), put_u32(b, 8), put_u64(b, 1ull << 40), ++*n;
}
static void key_deep(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 9);
    for (int i = 0; i < 12; i++) put_u32(b, 9), put_u64(b, 1);
    ++*n;
}
static void key_align3(struct bytes *b, uint64_t *n) {
    put_str(b, "general.alignment"), put_u32(b, 4), put_u32(b, 3), ++*n;
}
static void key_align_text(struct bytes *b, uint64_t *n) {
    put_str(b, "general.alignment"), put_u32(b, 8), put_str(b, "32"), ++*n;
}
static void key_split_odd(struct bytes *b, uint64_t *n) {
    put_str(b, "split.no"), put_u32(b, 4), put_u32(b, 7), ++*n;
    put_str(b, "split.count"), put_u32(b, 4), put_u32(b, 3), ++*n;
}
static void key_split_name(struct bytes *b, uint64_t *n) {
    put_str(b, "split.count"), put_u32(b, 4), put_u32(b, 3), ++*n;
}

static void test_bad(void) {
    static const struct { struct made m; const char *want; } bad[] = {
        { { .version = 1 }, "GGUF version 1: want 2 or 3" },
        { { .version = 4 }, "GGUF version 4" },
        { { .version = 0x03000000 }, "big-endian" },
        { { .n_key = UINT64_MAX }, "says it has 18446744073709551615 keys" },
        { { .n_key = 100 }, "keys" },
        { { .n_tensor = 1ull << 40 }, "says it has 1099511627776 tensors" },
        { { .n_tensor = 2 }, "" },
        { { .n_dim = 5 }, "tensor w: want at most 4 dimensions, file has 5" },
        { { .dim0 = UINT64_MAX }, "tensor w: dimension 0" },
        { { .dim0 = 1ull << 40, .dim1 = 1ull << 40 }, "tensor w: dimension 1" },
        { { .dim0 = 1ull << 62 }, "tensor w: " },
        { { .dim0 = 1ull << 61, .dim1 = 1 }, "tensor w: " },
        { { .dim0 = 33, .type = 2 }, "tensor w: Q4_0 wants rows of a multiple of 32" },
        { { .type = 4 }, "tensor w: type 4 is not known" },
        { { .type = 99 }, "tensor w: type 99 is not known" },
        { { .type = UINT32_MAX }, "tensor w: type 4294967295 is not known" },
        { { .dim1 = 3 }, "tensor w: want 384 bytes at offset" },
        { { .cut = 1 }, "tensor w: want 256 bytes at offset" },
        { { .cut = 300 }, "cut off" },
        { { .offset = 16 }, "tensor w: want an offset that is a multiple of 32" },
        { { .offset = UINT64_MAX - 31 }, "tensor w: want 256 bytes" },
        { { .offset = 32 }, "tensor w: want 256 bytes" },
        { { .name = "" }, "a tensor: want a name of 1..65535 bytes, file has 0" },
        { { .name = "a\nb", .type = 99 }, "tensor a?b: type 99" },
        { { .key = key_twice }, "key general.architecture is there twice" },
        { { .key = key_type }, "key k: value type 77" },
        { { .key = key_elem }, "key k: value type 14" },
        { { .key = key_long }, "want 1048576 bytes for a key" },
        { { .key = key_text }, "bytes for k at offset" },
        { { .key = key_zero }, "key a?b: the name holds a zero byte" },
        { { .key = key_empty }, "a key: want a name of 1..65535 bytes" },
        { { .key = key_big }, "key k: want a number up to 9223372036854775807" },
        { { .key = key_array }, "for k at offset" },
        { { .key = key_texts }, "for k at offset" },
        { { .key = key_deep }, "key k: arrays inside arrays, more than 8 deep" },
        { { .key = key_align3 }, "key general.alignment: want a power of two" },
        { { .key = key_align_text }, "key general.alignment: want an integer" },
        { { .key = key_split_odd }, "says it is part 7 of 3" },
        { { .key = key_split_name }, "want a name that ends in -00001-of-00003.gguf" },
    };
    scratch_make();
    struct bytes good = { 0 };
    made_bytes(&good, &(struct made){ 0 });
    format->close(opened(scratch_write("good.gguf", good.p, good.n)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes b = { 0 };
        made_bytes(&b, &bad[i].m);
        refused(scratch_write("bad.gguf", b.p, b.n), bad[i].want);
        free(b.p);
    }
    refused(scratch_write("no.gguf", "PK\3\4 no", 8), "begins with \"GGUF\", found bytes 50 4b 03 04");
    refused(scratch_write("empty.gguf", "", 0), "found an empty one");
    refused(scratch_path("missing.gguf"), "No such file");
    for (size_t n = 1; n < good.n; n++) { /* a file cut anywhere */
        ag_file *f = NULL;
        const char *path = scratch_write("cut.gguf", good.p, n);
        CU_ASSERT(format->open(path, &f) < 0);
    }
    free(good.p);
    scratch_remove();
}

static void key_nested(struct bytes *b, uint64_t *n) {
    put_str(b, "k"), put_u32(b, 9), put_u32(b, 9), put_u64(b, 2); /* [[1, 2], ["x"]] */
    put_u32(b, 4), put_u64(b, 2), put_u32(b, 1), put_u32(b, 2);
    put_u32(b, 8), put_u64(b, 1), put_str(b, "x");
    put_str(b, "last"), put_u32(b, 1), put(b, "\xfe", 1);
    *n += 2;
}

static void test_nested_array(void) {
    struct bytes b = { 0 };
    struct ag_value v = { .size = sizeof v };
    scratch_make();
    made_bytes(&b, &(struct made){ .key = key_nested });
    ag_file *f = opened(scratch_write("x.gguf", b.p, b.n));
    CU_ASSERT(format->meta(f, "k", &v) && v.type == AG_VALUE_ARRAY && v.elem == AG_ELEM_OTHER &&
              v.count == 2 && !v.data);
    CU_ASSERT(format->meta(f, "last", &v) && v.type == AG_VALUE_INT && v.i == -2);
    format->close(f);
    free(b.p);
    scratch_remove();
}

/* ---- parts and directories --------------------------------------------------------------------- */

static void put_part(const char *file, uint32_t no, uint32_t count, uint32_t total, const char *tensor) {
    struct bytes b = { 0 };
    put(&b, "GGUF", 4), put_u32(&b, 3), put_u64(&b, 1), put_u64(&b, no ? 3 : 4);
    if (!no) put_str(&b, "general.architecture"), put_u32(&b, 8), put_str(&b, "toy");
    put_str(&b, "split.no"), put_u32(&b, 2), put(&b, &(uint16_t){ (uint16_t)no }, 2);
    put_str(&b, "split.count"), put_u32(&b, 2), put(&b, &(uint16_t){ (uint16_t)count }, 2);
    put_str(&b, "split.tensors.count"), put_u32(&b, 5), put_u32(&b, total);
    put_str(&b, tensor), put_u32(&b, 1), put_u64(&b, 8), put_u32(&b, 0), put_u64(&b, 0);
    while (b.n % 32) put(&b, "", 1);
    for (int i = 0; i < 8; i++) put(&b, &(float){ (float)no }, 4);
    scratch_write(file, b.p, b.n);
    free(b.p);
}

static void test_split(void) {
    scratch_make();
    put_part("m-00001-of-00003.gguf", 0, 3, 3, "a");
    put_part("m-00002-of-00003.gguf", 1, 3, 3, "b");
    refused(scratch_path("m-00001-of-00003.gguf"), "part 3 of 3 is missing: want ");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "c");
    ag_file *f = opened(scratch_path("m-00001-of-00003.gguf"));
    CU_ASSERT_EQUAL(format->part_count(f), 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(format->part(f, 2), "/m-00003-of-00003.gguf"));
    CU_ASSERT_PTR_NULL(format->part(f, 3));
    CU_ASSERT_EQUAL_FATAL(format->tensor_count(f), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct ag_tensor t = { .size = sizeof t };
        CU_ASSERT_EQUAL(format->tensor(f, i, &t), AG_OK);
        CU_ASSERT(t.plane[0].part == i && t.plane[0].bytes == 32 && t.name[0] == (char)('a' + i));
        size_t n;
        unsigned char *p = slurp(format->part(f, i), &n);
        float x;
        memcpy(&x, p + t.plane[0].offset, 4);
        CU_ASSERT_EQUAL(x, (float)i);
        free(p);
    }
    format->close(f);

    f = opened(scratch_dir); /* one set in a folder */
    CU_ASSERT_EQUAL(format->part_count(f), 3);
    format->close(f);
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 100);

    refused(scratch_path("m-00002-of-00003.gguf"), "part 2 of 3: open the first part instead, ");
    put_part("m-00003-of-00003.gguf", 1, 3, 3, "c");
    refused(scratch_path("m-00001-of-00003.gguf"), "want part 3 of 3, the file says it is part 2 of 3");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "a");
    refused(scratch_path("m-00001-of-00003.gguf"), "tensor a is there twice");
    put_part("m-00003-of-00003.gguf", 2, 3, 3, "c");
    put_part("m-00001-of-00003.gguf", 0, 3, 4, "a");
    refused(scratch_path("m-00001-of-00003.gguf"), "want 4 tensors in 3 parts, found 3");
    scratch_remove();
}

static void test_directory(void) {
    scratch_make();
    struct bytes b = { 0 };
    made_bytes(&b, &(struct made){ 0 });
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 0);
    refused(scratch_dir, "want a .gguf file in the directory, found none");
    scratch_write("one.gguf", b.p, b.n);
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 100);
    format->close(opened(scratch_dir));
    scratch_text("config.json", "{}");
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 50);
    scratch_write("two.gguf", b.p, b.n);
    refused(scratch_dir, "want one GGUF model in the directory, found 2 (one.gguf, two.gguf): name");
    free(b.p);
    scratch_remove();
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void test_out_of_memory(void) {
    CU_ASSERT_EQUAL(ag_plugin.init(counting_host()), AG_OK);
    int done = 0;
    for (long n = 0; !done && n < 1000; n++) {
        ag_file *f = NULL;
        alloc_countdown = n;
        int rc = format->open(golden("gemma3/model-bf16.gguf"), &f);
        alloc_countdown = -1;
        done = rc == AG_OK;
        if (!done) CU_ASSERT(rc == AG_ENOMEM && !f && strstr(fail_text(), "out of memory"));
        format->close(f);
        CU_ASSERT_EQUAL(alloc_live, 0);
    }
    CU_ASSERT(done);
    CU_ASSERT_EQUAL(ag_plugin.init(host_services()), AG_OK);
}

int main(int argc, char **argv) {
    static const CU_TestInfo tests[] = {
        { "a real file", test_gemma },
        { "arrays", test_arrays },
        { "probe", test_probe },
        { "bad files", test_bad },
        { "nested array", test_nested_array },
        { "parts", test_split },
        { "directory", test_directory },
        { "out of memory", test_out_of_memory },
        CU_TEST_INFO_NULL,
    };
    if (argc < 2) return 2;
    data_dir = argv[1];
    format = ag_plugin.iface;
    if (ag_plugin.init(host_services()) < 0) return 2;
    return run_suite("gguf", tests);
}
