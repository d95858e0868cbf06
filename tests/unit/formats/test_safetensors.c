/* SPDX-License-Identifier: MIT */
/* SafeTensors directories: a real one, shards, values of config.json, and tables of damaged ones. */
#include <agave/format.h>

#include "scratch.h"

#include <math.h>

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

static void refused(const char *path, const char *want) {
    ag_file *f = NULL;
    fail_clear();
    CU_ASSERT(format->open(path, &f) < 0);
    CU_ASSERT_PTR_NULL(f);
    if (!strstr(fail_text(), want)) fprintf(stderr, "want '%s', got '%s'\n", want, fail_text());
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), want));
    CU_ASSERT_PTR_NULL(strchr(fail_text(), '\n'));
}

static int64_t find(ag_file *f, const char *name, struct ag_tensor *t) {
    for (uint32_t i = 0; i < format->tensor_count(f); i++) {
        *t = (struct ag_tensor){ .size = sizeof *t };
        CU_ASSERT_EQUAL(format->tensor(f, i, t), AG_OK);
        if (!strcmp(t->name, name)) return i;
    }
    return -1;
}

/* Writes a SafeTensors file: the header given, then `data` bytes. */
static void weights(const char *file, const char *header, size_t data) {
    struct bytes b = { 0 };
    put_u64(&b, strlen(header));
    put(&b, header, strlen(header));
    for (size_t i = 0; i < data; i++) put(&b, &(uint8_t){ (uint8_t)i }, 1);
    scratch_write(file, b.p, b.n);
    free(b.p);
}

/* ---- a real directory -------------------------------------------------------------------------- */

static void test_gemma(void) {
    ag_file *f = opened(golden("gemma3/hf"));
    struct ag_tensor t;
    struct ag_value v = { .size = sizeof v };
    CU_ASSERT_STRING_EQUAL(format->scheme(f), "hf");
    CU_ASSERT_STRING_EQUAL(format->label(f), "SafeTensors");
    CU_ASSERT_EQUAL(format->part_count(f), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(format->part(f, 0), "/hf/model.safetensors"));
    CU_ASSERT_EQUAL(format->tensor_count(f), 106);
    CU_ASSERT_FATAL(find(f, "model.layers.0.mlp.down_proj.weight", &t) >= 0);
    CU_ASSERT(t.dtype == AG_BF16 && t.n_dim == 2 && t.dim[0] == 128 && t.dim[1] == 64);
    CU_ASSERT(t.n_plane == 1 && t.plane[0].bytes == 128 * 64 * 2);
    CU_ASSERT_FATAL(find(f, "model.norm.weight", &t) >= 0);
    CU_ASSERT(t.n_dim == 1 && t.dim[0] == 64 && t.dim[1] == 1 && t.dim[3] == 1);
    CU_ASSERT(format->tensor(f, 106, &t) < 0);

    CU_ASSERT(format->meta(f, "hidden_size", &v) && v.type == AG_VALUE_INT && v.i == 64);
    CU_ASSERT(format->meta(f, "rope_theta", &v) && v.type == AG_VALUE_FLOAT && v.f == 1e6);
    CU_ASSERT(format->meta(f, "use_cache", &v) && v.type == AG_VALUE_BOOL && v.i == 1);
    CU_ASSERT(format->meta(f, "model_type", &v) && v.type == AG_VALUE_STR && v.bytes == 11);
    CU_ASSERT(!format->meta(f, "rope_scaling", &v)); /* null */
    CU_ASSERT(!format->meta(f, "nothing", &v));
    CU_ASSERT(format->meta(f, "layer_types/5", &v) && v.bytes == 14 && !memcmp(v.data, "full_attention", 14));
    CU_ASSERT(format->meta(f, "layer_types", &v) && v.type == AG_VALUE_ARRAY && v.elem == AG_ELEM_STR &&
              v.count == 8 && v.bytes == 8 * 8 + 7 * 17 + 14);
    CU_ASSERT_STRING_EQUAL(format->meta_key(f, 0), "_sliding_window_pattern");
    CU_ASSERT_PTR_NOT_NULL(strstr(format->file(f, AG_FILE_TOKENIZER), "/hf/tokenizer.json"));
    CU_ASSERT_PTR_NOT_NULL(format->file(f, AG_FILE_CONFIG));
    CU_ASSERT_PTR_NULL(format->file(f, AG_FILE_PREPROCESSOR));
    CU_ASSERT_PTR_NULL(format->file(f, 99));
    format->close(f);
    format->close(NULL);
}

static void test_config_values(void) {
    static const char config[] =
        "{\"a\": {\"b/c\": {\"d\": 7}}, \"inf\": Infinity, \"lim\": [0, -Infinity], \"f\": "
        "{\"__float__\": \"-Infinity\"}, \"text\": \"Infinity \\\" NaN\", \"mixed\": [1, 2.5], \"ints\": "
        "[1, -2], \"flags\": [true, false], \"odd\": [1, \"x\"], \"none\": [], \"o\": {}}";
    scratch_make();
    scratch_text("config.json", config);
    weights("model.safetensors", "{}", 0);
    ag_file *f = opened(scratch_dir);
    struct ag_value v = { .size = sizeof v };
    double d[2];
    int64_t i[2];
    CU_ASSERT(format->meta(f, "a/b~1c/d", &v) && v.i == 7);
    CU_ASSERT(!format->meta(f, "a/b/c/d", &v) && !format->meta(f, "a/b~1c/d/e", &v));
    CU_ASSERT(!format->meta(f, "", &v) && !format->meta(f, "/", &v));
    CU_ASSERT(format->meta(f, "inf", &v) && v.type == AG_VALUE_FLOAT && v.f == INFINITY);
    CU_ASSERT(format->meta(f, "f", &v) && v.type == AG_VALUE_FLOAT && v.f == -INFINITY);
    CU_ASSERT(format->meta(f, "lim/1", &v) && v.f == -INFINITY);
    CU_ASSERT(format->meta(f, "text", &v) && v.bytes == 14 && !memcmp(v.data, "Infinity \" NaN", 14));
    CU_ASSERT_FATAL(format->meta(f, "mixed", &v) && v.elem == AG_ELEM_F64 && v.bytes == 16);
    memcpy(d, v.data, 16);
    CU_ASSERT(d[0] == 1 && d[1] == 2.5);
    CU_ASSERT_FATAL(format->meta(f, "ints", &v) && v.elem == AG_ELEM_I64 && v.bytes == 16);
    memcpy(i, v.data, 16);
    CU_ASSERT(i[0] == 1 && i[1] == -2);
    CU_ASSERT(format->meta(f, "flags", &v) && v.elem == AG_ELEM_BOOL && !memcmp(v.data, "\1\0", 2));
    CU_ASSERT(format->meta(f, "odd", &v) && v.elem == AG_ELEM_OTHER && v.count == 2 && !v.data);
    CU_ASSERT(format->meta(f, "none", &v) && v.type == AG_VALUE_ARRAY && v.count == 0);
    CU_ASSERT(format->meta(f, "o", &v) && v.type == AG_VALUE_NONE);
    CU_ASSERT_STRING_EQUAL(format->meta_key(f, 10), "o");
    CU_ASSERT_PTR_NULL(format->meta_key(f, 11));
    format->close(f);
    scratch_remove();
}

static void test_types_and_places(void) {
    static const char header[] = /* out of order, no padding, escapes, a scalar, five dims, blanks */
        "{\"__metadata__\":{\"format\":\"pt\"}, \"b\\u00e9\":{\"shape\":[3,5],\"dtype\":\"F8_E4M3\","
        "\"data_offsets\":[4,19]},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"five\":{\"dtype\":\"U8\",\"shape\":[2,3,1,2,2],\"data_offsets\":[19,43]},"
        "\"zero\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[19,19]}}  \n";
    scratch_make();
    scratch_text("config.json", "{}");
    weights("model.safetensors", header, 43);
    ag_file *f = opened(scratch_dir);
    struct ag_tensor t;
    CU_ASSERT(find(f, "b\xc3\xa9", &t) == 0 && t.dim[0] == 5 && t.dim[1] == 3);
    CU_ASSERT(t.plane[0].offset == 8 + sizeof header - 1 + 4 && t.plane[0].bytes == 15);
    CU_ASSERT(find(f, "a", &t) == 1 && t.n_dim == 0 && t.dim[0] == 1 && t.plane[0].bytes == 4);
    CU_ASSERT(find(f, "five", &t) == 2 && t.n_dim == 4 && t.dim[0] == 2 && t.dim[1] == 2 &&
              t.dim[2] == 1 && t.dim[3] == 6);
    CU_ASSERT(find(f, "zero", &t) == 3 && t.dim[1] == 0 && t.plane[0].bytes == 0);
    format->close(f);
    scratch_remove();
}

/* ---- shards ------------------------------------------------------------------------------------ */

#define ONE(name) "{\"" name "\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}}"
#define INDEX "model.safetensors.index.json"

static void test_shards(void) {
    scratch_make();
    scratch_text("config.json", "{}");
    scratch_text(INDEX, "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"x\":\"s-1.safetensors\","
                        "\"y\":\"s-2.safetensors\"}}");
    weights("s-1.safetensors", ONE("x"), 4);
    refused(scratch_dir, "names s-2.safetensors, which is missing");
    weights("s-2.safetensors", ONE("y"), 4);
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 100);
    ag_file *f = opened(scratch_dir);
    struct ag_tensor t;
    CU_ASSERT_EQUAL(format->part_count(f), 2);
    CU_ASSERT(find(f, "y", &t) == 1 && t.plane[0].part == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(format->part(f, 1), "/s-2.safetensors"));
    format->close(f);
    weights("s-2.safetensors", ONE("z"), 4);
    refused(scratch_dir, "tensor y: want it in s-2.safetensors, which lacks it");
    weights("s-2.safetensors", ONE("x"), 4);
    refused(scratch_dir, "tensor x is there twice");

    static const struct { const char *index, *want; } bad[] = {
        { "{}", "want a weight_map that names files, found none" },
        { "{\"weight_map\":{}}", "found an empty one" },
        { "{\"weight_map\":{\"x\":\"../s-1.safetensors\"}}", "want names of files in the directory" },
        { "{\"weight_map\":{\"x\":\"\"}}", "want names of files in the directory" },
        { "{\"weight_map\":{\"x\":7}}", "want '\"'" },
        { "{\"weight_map\":{\"x\":\"a\",\"x\":\"a\"}}", "tensor x is there twice" },
        { "{\"weight_map\":[", "want '{'" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scratch_text(INDEX, bad[i].index);
        refused(scratch_dir, bad[i].want);
    }
    scratch_remove();
}

/* ---- bad input --------------------------------------------------------------------------------- */

#define T(fields) "{\"t\":{" fields "}}"

static void test_bad_headers(void) {
    static const struct { const char *header; size_t data; const char *want; } bad[] = {
        { "[]", 0, "malformed JSON at byte 0: want '{'" },
        { "{ ", 0, "want '\"'" },
        { "{}x", 0, "want the end of the header" },
        { "{\"t\":1}", 0, "want '{'" },
        { "{\"t\" 1}", 0, "want ':'" },
        { "{\"t\\q\":1}", 0, "want an escape of JSON" },
        { "{\"t\\u0000\":1}", 0, "want an escape of JSON" },
        { "{\"t\\ud800\":1}", 0, "want an escape of JSON" },
        { "{\"\xff\":1}", 0, "want UTF-8" },
        { "{\"a\nb\":1}", 0, "want UTF-8" },
        { "{\"\":{}}", 0, "want names of 1..65535 bytes, found one of 0" },
        { T(""), 0, "tensor t: lacks dtype" },
        { T("\"dtype\":\"I8\""), 0, "tensor t: lacks shape" },
        { T("\"dtype\":\"I8\",\"shape\":[]"), 0, "tensor t: lacks data_offsets" },
        { T("\"dtype\":\"Q9\""), 0, "tensor t: type Q9 is not known" },
        { T("\"dtype\":\"I8\",\"dtype\":\"I8\""), 0, "tensor t: dtype is there twice" },
        { T("\"color\":1"), 0, "tensor t: want dtype, shape and data_offsets, found color" },
        { T("\"shape\":[-1]"), 0, "want a whole number" },
        { T("\"shape\":[1.5]"), 0, "want a whole number" },
        { T("\"shape\":[01]"), 0, "want a whole number" },
        { T("\"shape\":[18446744073709551616]"), 0, "want a number below 2^64" },
        { T("\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), 0, "want at most 16 dimensions" },
        { T("\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0, "too large" },
        { T("\"dtype\":\"I8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,0]"), 0, "too large" },
        { T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]"), 4, "its shape wants 8 bytes" },
        { T("\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[4,2]"), 4, "its shape wants 2 bytes" },
        { T("\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]"), 3, "tensor t: want 4 bytes at offset" },
        { T("\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]"), 5, "bytes in all, file has" },
        { T("\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[1,5]"), 5, "want it to begin where" },
        { "{\"t\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"u\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6, "tensor u: want it to begin" },
        { "{\"t\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]},"
          "\"t\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "tensor t is there twice" },
        { "{\"__metadata__\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0,
          "want values nested less deep" },
    };
    scratch_make();
    scratch_text("config.json", "{}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weights("model.safetensors", bad[i].header, bad[i].data);
        refused(scratch_dir, bad[i].want);
    }
    scratch_write("model.safetensors", "\1\0\0\0\0\0\0\0{", 9);
    refused(scratch_dir, "want a header of 2..104857600 bytes");
    scratch_write("model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    refused(scratch_dir, "found 18446744073709551615 in a file of 10");
    scratch_write("model.safetensors", "\1\0", 2);
    refused(scratch_dir, "want a header of");
    scratch_remove();
}

static void test_bad_directories(void) {
    struct bytes deep = { 0 };
    scratch_make();
    refused(scratch_dir, "config.json: No such file");
    scratch_text("config.json", "{\"a\": 1}");
    refused(scratch_dir, "want model.safetensors or model.safetensors.index.json");
    CU_ASSERT_EQUAL(format->probe(NULL, 0, scratch_dir, true), 20);
    weights("model.safetensors", "{}", 0);
    refused(scratch_path("model.safetensors"), "want the directory with config.json");
    static const struct { const char *config, *want; } bad[] = {
        { "", "malformed JSON at line 1" },
        { "[1]", "want a JSON object" },
        { "{\"a\": 1,\n \"a\": 2}", "malformed JSON at line 2: duplicate object key" },
        { "{\"a\": 99999999999999999999}", "too big integer" },
        { "{\"a\": \xff}", "malformed JSON" },
        { "{\"quantization\": {\"group_size\": 64, \"bits\": 4}}", "quantised (quantization: method MLX)" },
        { "{\"quantization_config\": {\"quant_method\": \"fp8\"}}", "method fp8" },
        { "{\"quantization_config\": {}}", "method unknown" },
        { "{\"text_config\": {\"quantization_config\": {\"quant_method\": \"x\\ny\"}}}", "method x?y" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scratch_text("config.json", bad[i].config);
        refused(scratch_dir, bad[i].want);
    }
    for (int i = 0; i < 1 << 20; i++) put(&deep, "[", 1);
    scratch_write("config.json", deep.p, deep.n);
    refused(scratch_dir, "maximum parsing depth reached");
    free(deep.p);
    scratch_text("config.json", "{\"quantization\": null}");
    format->close(opened(scratch_dir));
    scratch_text("hf_quant_config.json", "{}");
    refused(scratch_dir, "hf_quant_config.json: method modelopt");
    scratch_remove();
}

static void test_probe(void) {
    CU_ASSERT(format->probe("\2\0\0\0\0\0\0\0{}", 10, "x.safetensors", false) > 0);
    CU_ASSERT_EQUAL(format->probe("\2\0\0\0\0\0\0\1{}", 10, "x.safetensors", false), 0);
    CU_ASSERT_EQUAL(format->probe("GGUF", 4, "x", false), 0);
    CU_ASSERT_EQUAL(format->probe(NULL, 0, "/nowhere", true), 0);
}

/* Every allocation of the plugin fails once; what jansson takes is not counted. */
static void test_out_of_memory(void) {
    CU_ASSERT_EQUAL(ag_plugin.init(counting_host()), AG_OK);
    int done = 0;
    for (long n = 0; !done && n < 1000; n++) {
        ag_file *f = NULL;
        alloc_countdown = n;
        int rc = format->open(golden("gemma3/hf"), &f);
        alloc_countdown = -1;
        done = rc == AG_OK;
        if (done) {
            CU_ASSERT_PTR_NOT_NULL(format->file(f, AG_FILE_GENERATION));
        } else {
            CU_ASSERT(rc == AG_ENOMEM && !f && strstr(fail_text(), "out of memory"));
        }
        format->close(f);
        CU_ASSERT_EQUAL(alloc_live, 0);
    }
    CU_ASSERT(done);
    CU_ASSERT_EQUAL(ag_plugin.init(host_services()), AG_OK);
}

int main(int argc, char **argv) {
    static const CU_TestInfo tests[] = {
        { "a real directory", test_gemma },
        { "values of config.json", test_config_values },
        { "types and places", test_types_and_places },
        { "shards", test_shards },
        { "bad headers", test_bad_headers },
        { "bad directories", test_bad_directories },
        { "probe", test_probe },
        { "out of memory", test_out_of_memory },
        CU_TEST_INFO_NULL,
    };
    if (argc < 2) return 2;
    data_dir = argv[1];
    format = ag_plugin.iface;
    if (ag_plugin.init(host_services()) < 0) return 2;
    return run_suite("safetensors", tests);
}
