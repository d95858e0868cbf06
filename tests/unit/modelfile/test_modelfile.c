/* SPDX-License-Identifier: MIT */
/* Model files through the registry: which plugin is loaded, metadata as models see them, messages. */
#include "modelfile.h"

#include "scratch.h"

#include <math.h>

static const char *data_dir;
static const char *const *plugin_files;
static size_t n_plugin_file;

static const char *golden(const char *name) {
    static char path[2][1024];
    static int turn;
    char *to = path[turn++ % 2];
    snprintf(to, sizeof path[0], "%s/%s", data_dir, name);
    return to;
}

static struct registry *registry(size_t n) {
    struct registry *r = NULL;
    struct registry_options o = { .file = plugin_files, .n_file = n };
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), AG_OK);
    return r;
}

static struct modelfile *opened(struct registry *r, const char *path) {
    struct modelfile *m = NULL;
    fail_clear();
    CU_ASSERT_EQUAL(modelfile_open(r, path, &m), AG_OK);
    if (!m) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

static void says(const char *want) {
    if (!strstr(fail_text(), want)) fprintf(stderr, "want '%s', got '%s'\n", want, fail_text());
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), want));
    CU_ASSERT_PTR_NULL(strchr(fail_text(), '\n'));
}

static void refused(struct registry *r, const char *path, const char *want) {
    struct modelfile *m = NULL;
    fail_clear();
    CU_ASSERT(modelfile_open(r, path, &m) < 0);
    CU_ASSERT_PTR_NULL(m);
    says(want);
}

static bool is_loaded(struct registry *r, const char *name) {
    struct plugin *p = registry_find(r, AG_KIND_FORMAT, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p->loaded;
}

/* ---- which plugin ------------------------------------------------------------------------------ */

static void test_loads_one(void) {
    struct registry *r = registry(n_plugin_file);
    struct modelfile *m = opened(r, golden("gemma3/model-bf16.gguf"));
    CU_ASSERT_STRING_EQUAL(m->plugin->name, "gguf");
    CU_ASSERT(is_loaded(r, "gguf") && !is_loaded(r, "safetensors"));
    modelfile_close(m);
    registry_close(r);
    r = registry(n_plugin_file);
    m = opened(r, golden("gemma3/hf"));
    CU_ASSERT_STRING_EQUAL(m->plugin->name, "safetensors");
    CU_ASSERT(is_loaded(r, "safetensors") && !is_loaded(r, "gguf"));
    modelfile_close(m);
    modelfile_close(NULL);
    registry_close(r);
}

static void test_directories(void) {
    struct registry *r = registry(n_plugin_file);
    size_t n;
    unsigned char *p = slurp(golden("quant/Q8_0.gguf"), &n);
    scratch_make();
    refused(r, scratch_dir, "want a model in a known format (");
    says("found a directory without such files");
    scratch_write("m.gguf", p, n);
    struct modelfile *m = opened(r, scratch_dir);
    CU_ASSERT_STRING_EQUAL(m->scheme, "gguf");
    CU_ASSERT_EQUAL(m->bytes, n);
    modelfile_close(m);
    scratch_text("config.json", "{}"); /* beside GGUF files it does not make a SafeTensors directory */
    m = opened(r, scratch_dir);
    CU_ASSERT_STRING_EQUAL(m->scheme, "gguf");
    modelfile_close(m);
    free(p);
    scratch_remove();
    registry_close(r);
}

static void test_bad_paths(void) {
    struct registry *r = registry(n_plugin_file), *none = registry(0);
    scratch_make();
    refused(r, scratch_path("nothing"), "want a model file or directory, found none: No such file");
    refused(r, scratch_write("empty", "", 0), "want a model, found an empty file");
    refused(r, scratch_text("zip", "PK\3\4 some archive"), "found a file that begins with 50 4b 03 04");
    refused(r, scratch_text("one", "G"), "found a file that begins with 47");
    refused(r, "/dev/null", "want a regular file or a directory");
    refused(r, scratch_text("cut.gguf", "GGUF\3"), "want 4 bytes for the version at offset 4");
    refused(r, golden("gemma3/hf/model.safetensors"), "want the directory with config.json");
    refused(r, golden("quant"), "want one GGUF model in the directory, found 7");
    refused(none, golden("gemma3/model-bf16.gguf"), "no format plugin to read it with");
    if (geteuid()) {
        CU_ASSERT_EQUAL(chmod(scratch_text("locked", "GGUF"), 0), 0);
        refused(r, scratch_path("locked"), "cannot read the file: Permission denied");
    }
    scratch_remove();
    registry_close(none);
    registry_close(r);
}

/* A plugin that others may write to is refused; the message says so. */
static void test_refused_plugin(void) {
    struct registry *r = NULL;
    size_t n;
    const char *gguf = strstr(plugin_files[0], "format_gguf") ? plugin_files[0] : plugin_files[1];
    unsigned char *p = slurp(gguf, &n);
    scratch_make();
    CU_ASSERT_EQUAL(chmod(scratch_write("format_gguf.so", p, n), 0666), 0);
    const char *dir = scratch_dir;
    struct registry_options o = { .dir = &dir, .n_dir = 1 };
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), AG_OK);
    refused(r, golden("gemma3/model-bf16.gguf"), "no format plugin to read it with");
    says("; refused: /tmp/");
    says("/format_gguf.so: ");
    registry_close(r);
    free(p);
    scratch_remove();
}

/* ---- metadata ---------------------------------------------------------------------------------- */

struct params { int32_t layers, heads, nothing; float eps, base; bool flag; };

static int read_params(const struct modelfile *m, struct params *p, const struct ag_param_row *row) {
    return m->meta.params(&m->meta, row, 1, p);
}

static void test_params(void) {
    static const struct ag_param_row rows[] = {
        { "block_count", "num_hidden_layers", AG_PARAM_I32, AG_PARAM_REQUIRED,
          offsetof(struct params, layers), 1, 10000 },
        { "attention.head_count", "num_attention_heads", AG_PARAM_I32, AG_PARAM_REQUIRED,
          offsetof(struct params, heads), 1, 10000 },
        { "attention.layer_norm_rms_epsilon", "rms_norm_eps", AG_PARAM_F32, AG_PARAM_REQUIRED,
          offsetof(struct params, eps), 0, 1 },
        { "rope.freq_base", "rope_theta", AG_PARAM_F32, 0, offsetof(struct params, base), 0, 0 },
        { "/tokenizer.ggml.add_bos_token", "use_cache", AG_PARAM_BOOL, AG_PARAM_REQUIRED,
          offsetof(struct params, flag), 0, 0 },
        { "absent", "absent", AG_PARAM_I32, 0, offsetof(struct params, nothing), 0, 0 },
        { NULL, NULL, AG_PARAM_I32, AG_PARAM_REQUIRED, offsetof(struct params, nothing), 0, 0 },
    };
    static const char *const file[] = { "gemma3/model-bf16.gguf", "gemma3/hf" };
    struct registry *r = registry(n_plugin_file);
    for (int i = 0; i < 2; i++) {
        struct modelfile *m = opened(r, golden(file[i]));
        struct params p = { .nothing = 77 };
        CU_ASSERT_EQUAL(m->meta.params(&m->meta, rows, sizeof rows / sizeof *rows, &p), AG_OK);
        CU_ASSERT(p.layers == 8 && p.heads == 4 && p.base == 1e6f && p.flag && p.nothing == 77);
        CU_ASSERT(fabsf(p.eps - 1e-6f) < 1e-12f);
        modelfile_close(m);
    }
    registry_close(r);
}

static void test_bad_params(void) {
    static const struct { struct ag_param_row row; const char *want; } bad[] = {
        { { "block_count", "n", AG_PARAM_I32, 1, 0, 9, 10000 },
          "model gemma3: key gemma3.block_count: want a number in 9..10000, file has 8" },
        { { "absent", "a", AG_PARAM_I32, 1, 0, 0, 0 },
          "model gemma3: key gemma3.absent: wanted, but the file lacks it" },
        { { "rope.freq_base", "a", AG_PARAM_BOOL, 1, 0, 0, 0 }, "want true or false, file has 1e+06" },
        { { "attention.layer_norm_rms_epsilon", "a", AG_PARAM_I32, 1, 0, 0, 0 },
          "want a whole number, file has 1e-06" },
        { { "/general.architecture", "a", AG_PARAM_F32, 1, 0, 0, 0 },
          "key general.architecture: want a number, file has a text" },
        { { "/tokenizer.ggml.scores", "a", AG_PARAM_F32, 1, 0, 0, 1 },
          "want a number in 0..1, file has an array of 512" },
        { { "/tokenizer.ggml.add_bos_token", "a", AG_PARAM_I32, 1, 0, 0, 0 },
          "want a whole number, file has true" },
    };
    struct registry *r = registry(n_plugin_file);
    struct modelfile *m = opened(r, golden("gemma3/model-bf16.gguf"));
    struct params p = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fail_clear();
        CU_ASSERT_EQUAL(read_params(m, &p, &bad[i].row), AG_EFORMAT);
        says(bad[i].want);
    }
    modelfile_close(m);
    registry_close(r);
}

/* A directory made of a config.json and no tensors. */
static struct modelfile *configured(struct registry *r, const char *config) {
    scratch_text("config.json", config);
    scratch_write("model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    return opened(r, scratch_dir);
}

static void test_text_config(void) {
    static const struct ag_param_row both = { NULL, "hidden_size", AG_PARAM_I32, 1, 0, 1, 99 };
    static const struct ag_param_row outer = { NULL, "vocab", AG_PARAM_I32, 1, 0, 1, 99 };
    static const struct ag_param_row deep = { NULL, "rope/theta", AG_PARAM_F32, 1,
                                              offsetof(struct params, base), 0, 0 };
    static const struct ag_param_row wide = { NULL, "wide", AG_PARAM_I32, 1, 0, 0, 0 };
    static const struct ag_param_row object = { NULL, "rope", AG_PARAM_I32, 1, 0, 0, 0 };
    struct registry *r = registry(n_plugin_file);
    struct params p = { 0 };
    struct ag_value v;
    scratch_make();
    struct modelfile *m = configured(r, "{\"model_type\": \"outer\", \"hidden_size\": 1, \"vocab\": 5, "
        "\"wide\": 2147483648, \"text_config\": {\"model_type\": \"inner\", \"hidden_size\": 7, "
        "\"rope\": {\"theta\": 10000}, \"layer_types\": [\"a\", \"b\"]}}");
    CU_ASSERT_STRING_EQUAL(m->arch, "inner");
    CU_ASSERT_STRING_EQUAL(m->meta.arch, "inner");
    CU_ASSERT(read_params(m, &p, &both) == AG_OK && p.layers == 7);
    CU_ASSERT(read_params(m, &p, &outer) == AG_OK && p.layers == 5);
    CU_ASSERT(read_params(m, &p, &deep) == AG_OK && p.base == 10000.0f);
    CU_ASSERT(read_params(m, &p, &wide) < 0);
    says("key wide: want a whole number, file has 2147483648");
    CU_ASSERT(read_params(m, &p, &object) < 0);
    says("key text_config/rope: want a whole number, file has an object");
    CU_ASSERT(m->meta.value(&m->meta, "x", "layer_types", &v) && v.count == 2 && v.elem == AG_ELEM_STR);
    CU_ASSERT(!m->meta.value(&m->meta, "hidden_size", NULL, &v));
    CU_ASSERT_STRING_EQUAL(modelfile_quant(m), "?");
    modelfile_close(m);

    scratch_text("config.json", "{\"model_type\": 3}");
    refused(r, scratch_dir, "key model_type: want the name of an architecture, file has none");
    scratch_text("config.json", "{\"model_type\": \"\"}");
    refused(r, scratch_dir, "file has no proper one");
    scratch_remove();
    registry_close(r);
}

/* ---- tensors ----------------------------------------------------------------------------------- */

/* Gemma's norms lie as w in SafeTensors (BF16 here) and as 1 + w in GGUF (F32). */
static void test_read(void) {
    struct registry *r = registry(n_plugin_file);
    struct modelfile *a = opened(r, golden("gemma3/model-bf16.gguf")), *b = opened(r, golden("gemma3/hf"));
    float x[64], y[64], differ = 0;
    CU_ASSERT_EQUAL(a->meta.read(&a->meta, "blk.3.attn_norm.weight", x, 64), AG_OK);
    CU_ASSERT_EQUAL(b->meta.read(&b->meta, "model.layers.3.input_layernorm.weight", y, 64), AG_OK);
    for (int i = 0; i < 64; i++) {
        CU_ASSERT(fabsf(x[i] - (1 + y[i])) < 1e-6f);
        differ += fabsf(y[i]);
    }
    CU_ASSERT(differ > 0.1f);
    CU_ASSERT(a->meta.read(&a->meta, "blk.3.attn_norm.weight", x, 63) < 0);
    says("tensor blk.3.attn_norm.weight: want 63 elements, file has 64");
    CU_ASSERT(a->meta.read(&a->meta, "nothing", x, 64) < 0);
    says("tensor nothing: wanted, but the file lacks it");
    CU_ASSERT(a->meta.read(&a->meta, "token_embd.weight", x, 64 * 512) < 0);
    says("only small tensors (16384) are read here");
    modelfile_close(b);
    modelfile_close(a);
    registry_close(r);
}

static void test_read_half(void) {
    static const uint16_t half[] = { 0x0000, 0x8000, 0x3c00, 0xbc01, 0x0001, 0x83ff, 0x7bff, 0x7c00 };
    static const float want[] = { 0, -0.0f, 1, -1.0009765625f, 0x1p-24f, -1023 * 0x1p-24f, 65504, INFINITY };
    static const char header[] = "{\"h\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[0,16]}}";
    struct registry *r = registry(n_plugin_file);
    struct bytes b = { 0 };
    float got[8];
    put_u64(&b, sizeof header - 1), put(&b, header, sizeof header - 1), put(&b, half, 16);
    scratch_make();
    scratch_text("config.json", "{\"model_type\": \"toy\"}");
    scratch_write("model.safetensors", b.p, b.n);
    struct modelfile *m = opened(r, scratch_dir);
    CU_ASSERT_EQUAL(m->meta.read(&m->meta, "h", got, 8), AG_OK);
    CU_ASSERT_EQUAL(memcmp(got, want, sizeof want), 0);
    CU_ASSERT_EQUAL(truncate(scratch_path("model.safetensors"), (off_t)b.n - 1), 0);
    CU_ASSERT(m->meta.read(&m->meta, "h", got, 8) < 0);
    says("want 16 bytes at offset");
    modelfile_close(m);
    free(b.p);
    scratch_remove();
    registry_close(r);
}

static void test_names(void) {
    struct registry *r = registry(n_plugin_file);
    struct modelfile *m = opened(r, golden("gemma3/model-bf16.gguf"));
    char name[64];
    const char *p;
    size_t n;
    int64_t i;
    struct ag_tensor t;
    CU_ASSERT_EQUAL(modelfile_tensor(m, "token_embd.weight"), 0);
    CU_ASSERT_EQUAL(modelfile_tensor(m, "output_norm.weight"), 105);
    CU_ASSERT_EQUAL(modelfile_tensor(m, "output_norm"), -1);
    CU_ASSERT_EQUAL(modelfile_tensor(m, ""), -1);
    CU_ASSERT(m->meta.tensor(&m->meta, "blk.0.ffn_up.weight", &t) && t.dim[0] == 64 && t.dim[1] == 128);
    CU_ASSERT(!m->meta.tensor(&m->meta, "blk.99.ffn_up.weight", &t));
    modelfile_name(m, name, sizeof name);
    CU_ASSERT_STRING_EQUAL(name, "gemma3");
    modelfile_name(m, name, 4);
    CU_ASSERT_STRING_EQUAL(name, "gem");
    CU_ASSERT_STRING_EQUAL(modelfile_quant(m), "BF16");
    CU_ASSERT(modelfile_i64(m, "general.file_type", &i) && i == 32);
    CU_ASSERT(!modelfile_i64(m, "general.name", &i) && !modelfile_i64(m, "nothing", &i));
    CU_ASSERT(modelfile_str(m, "tokenizer.ggml.model", &p, &n) && n == 5 && !memcmp(p, "llama", 5));
    CU_ASSERT(!modelfile_str(m, "general.file_type", &p, &n));
    uint64_t params = modelfile_params(m);
    modelfile_close(m);

    m = opened(r, golden("gemma3/hf"));
    modelfile_name(m, name, sizeof name);
    CU_ASSERT_STRING_EQUAL(name, "hf");
    CU_ASSERT_STRING_EQUAL(modelfile_quant(m), "BF16");
    CU_ASSERT(params == modelfile_params(m) && params > 400000);
    CU_ASSERT_STRING_EQUAL(m->arch, "gemma3_text");
    modelfile_close(m);

    static const char *const label[] = { "Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q6_K", "Q4_K_M", "Q5_K_M" };
    for (size_t k = 0; k < sizeof label / sizeof *label; k++) {
        char file[64];
        snprintf(file, sizeof file, "quant/%s.gguf", label[k]);
        m = opened(r, golden(file));
        CU_ASSERT_STRING_EQUAL(modelfile_quant(m), label[k]);
        modelfile_close(m);
    }
    registry_close(r);
}

int main(int argc, char **argv) {
    static const CU_TestInfo tests[] = {
        { "loads one plugin", test_loads_one },
        { "directories", test_directories },
        { "bad paths", test_bad_paths },
        { "refused plugin", test_refused_plugin },
        { "parameters", test_params },
        { "bad parameters", test_bad_params },
        { "text_config", test_text_config },
        { "small tensors", test_read },
        { "half", test_read_half },
        { "names", test_names },
        CU_TEST_INFO_NULL,
    };
    if (argc < 4) return 2;
    data_dir = argv[1];
    plugin_files = (const char *const *)argv + 2;
    n_plugin_file = (size_t)argc - 2;
    return run_suite("modelfile", tests);
}
