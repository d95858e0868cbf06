/* SPDX-License-Identifier: MIT */
/* Plugins of other days, one a compilation. Built against the frozen headers (old) or against grown ones
 * (longer); behind every table lies rubbish that a host must never read. */
#include <agave/model.h>
#include <agave/transport.h>

#include <math.h>

#define RUBBISH ((void *)(uintptr_t)0x31337)
#define POISON { RUBBISH, RUBBISH, RUBBISH, RUBBISH, RUBBISH, RUBBISH, RUBBISH, RUBBISH }

#if defined(BACKEND_OLD) || defined(BACKEND_SHORTEST) || defined(BACKEND_SHORT) || defined(BACKEND_LONGER)
static int device_count(void) { return 3; }
static int device_info(int i, struct ag_device_info *o) { (void)i; (void)o; return AG_EINVAL; }
static int open_(int i, const struct ag_device_config *c, ag_device **o) { (void)i; (void)c; (void)o; return AG_EINVAL; }
static void close_(ag_device *d) { (void)d; }
static int alloc_(ag_device *d, uint64_t n, uint32_t k, uint32_t f, ag_buffer **o) { (void)d; (void)n; (void)k; (void)f; (void)o; return AG_EINVAL; }
static int import_(ag_device *d, void *m, uint64_t n, ag_buffer **o) { (void)d; (void)m; (void)n; (void)o; return AG_ENOTSUP; }
static void release_(ag_device *d, ag_buffer *b) { (void)d; (void)b; }
static void *map_(ag_device *d, ag_buffer *b) { (void)d; (void)b; return NULL; }
static int write_(ag_device *d, ag_buffer *b, uint64_t o, const void *p, uint64_t n) { (void)d; (void)b; (void)o; (void)p; (void)n; return AG_EINVAL; }
static int read_(ag_device *d, ag_buffer *b, uint64_t o, void *p, uint64_t n) { (void)d; (void)b; (void)o; (void)p; (void)n; return AG_EINVAL; }
static int copy_(ag_device *d, ag_buffer *a, uint64_t ao, ag_buffer *b, uint64_t bo, uint64_t n) { (void)d; (void)a; (void)ao; (void)b; (void)bo; (void)n; return AG_EINVAL; }
static int kv_(ag_device *d, const struct ag_state *s, struct ag_kv_layout *l) { (void)d; (void)s; (void)l; return AG_ENOTSUP; }
static int plan_(ag_device *d, const struct ag_plan_desc *p, ag_plan **o) { (void)d; (void)p; (void)o; return AG_ENOTSUP; }
static int plan_info_(ag_plan *p, struct ag_plan_info *o) { (void)p; (void)o; return AG_EINVAL; }
static int run_(ag_plan *p, const struct ag_run *r) { (void)p; (void)r; return AG_EINVAL; }
static void plan_free_(ag_plan *p) { (void)p; }
static const struct ag_support rows[] = {
    { .op = AG_OP_ADD }, { .op = AG_OP_MATMUL, .dtypes = 1u << AG_F32 | 1u << AG_F16 } };
#define COMMON                                                                                     \
    .support = rows, .n_support = 2, .support_stride = sizeof *rows, .device_count = device_count, \
    .device_info = device_info, .open = open_, .close = close_, .alloc = alloc_, .import = import_, \
    .release = release_, .map = map_, .write = write_, .read = read_, .copy = copy_,               \
    .kv_layout = kv_, .plan = plan_, .plan_info = plan_info_, .run = run_, .plan_free = plan_free_

#if defined(BACKEND_OLD)
static const struct { struct ag_backend b; void *behind[8]; } t = {
    { .size = sizeof(struct ag_backend), COMMON }, POISON };
AG_PLUGIN(BACKEND, "old", "1", "MIT", "device=old", &t.b, .init = NULL);
#elif defined(BACKEND_LONGER)
static void later(void) {}
static const struct { struct ag_backend b; void *behind[8]; } t = {
    { .size = sizeof(struct ag_backend), COMMON, .later_a = 7, .later_b = later }, POISON };
AG_PLUGIN(BACKEND, "longer", "9", "MIT", "device=longer", &t.b, .init = NULL);
#else
/* Ends behind the last entry that 1.0 requires, or one byte before. */
#ifdef BACKEND_SHORT
#define LESS 1
#define NAME "short"
#else
#define LESS 0
#define NAME "shortest"
#endif
static const struct ag_backend t = {
    .size = offsetof(struct ag_backend, memory_free) - LESS, COMMON,
    .memory_free = (uint64_t (*)(ag_device *))(uintptr_t)0x31337,
    .wait = (int (*)(ag_plan *))(uintptr_t)0x31337 };
AG_PLUGIN(BACKEND, NAME, "1", "MIT", "", &t, .init = NULL);
#endif

#elif defined(MODEL_OLD) || defined(MODEL_LONGER)
static int match(const struct ag_meta *m) { (void)m; return 42; }
static int create(const struct ag_meta *m, void **self) { (void)m; *self = NULL; return 0; }
static void destroy(void *self) { (void)self; }
static int info(void *self, struct ag_model_info *out) { (void)self; (void)out; return 0; }
static int weights(void *self, const char *s, struct ag_weight_table *out) { (void)self; (void)s; (void)out; return 0; }
static int states(void *self, struct ag_state_table *out) { (void)self; (void)out; return 0; }
static int build(void *self, struct ag_graph *g, const struct ag_build *b, const struct ag_pass *p) { (void)self; (void)g; (void)b; (void)p; return 0; }
static int64_t shape(const int64_t *d, uint32_t n) { (void)n; return d[0]; }
static void run(const float *const *s, const int64_t *sd, float *o, int64_t od, int64_t r) { (void)s; (void)sd; (void)o; (void)od; (void)r; }
static const struct { struct ag_chat c; void *behind[8]; } chat = {
    { .size = sizeof(struct ag_chat), .name = "c", .begin = "<", .middle = "|", .end = ">", .system = "s",
      .user = "u", .assistant = "a", .answer = "<a|" }, POISON };
static const struct { struct ag_recipe r; void *behind[8]; } recipe = {
    { .size = sizeof(struct ag_recipe), .name = "r", .temperature = 0.25, .top_p = NAN }, POISON };
static const struct { struct ag_private_op p; void *behind[8]; } op = {
    { .size = sizeof(struct ag_private_op), .n_src = 1, .name = "p", .shape = shape, .run = run }, POISON };
#ifdef MODEL_OLD
#define NAME "old"
#else
#define NAME "longer"
#endif
static const struct { struct ag_model m; void *behind[8]; } t = {
    { .size = sizeof(struct ag_model), .match = match, .create = create, .destroy = destroy, .info = info,
      .weights = weights, .states = states, .build = build,
      .chat = (const struct ag_chat *const[]){ &chat.c, &chat.c, NULL },
      .recipe = (const struct ag_recipe *const[]){ &recipe.r, NULL },
      .private_op = (const struct ag_private_op *const[]){ &op.p, NULL } }, POISON };
AG_PLUGIN(MODEL, NAME, "1", "MIT", "arch=old", &t.m, .init = NULL);

#elif defined(FORMAT_OLD)
static int probe(const void *h, size_t n, const char *p, bool d) { (void)h; (void)n; (void)p; (void)d; return 5; }
static int open_(const char *p, ag_file **o) { (void)p; (void)o; return AG_EFORMAT; }
static void close_(ag_file *f) { (void)f; }
static const char *text(ag_file *f) { (void)f; return "old"; }
static uint32_t count(ag_file *f) { (void)f; return 0; }
static const char *item(ag_file *f, uint32_t i) { (void)f; (void)i; return NULL; }
static int tensor(ag_file *f, uint32_t i, struct ag_tensor *o) { (void)f; (void)i; (void)o; return AG_EINVAL; }
static bool meta(ag_file *f, const char *k, struct ag_value *o) { (void)f; (void)k; (void)o; return false; }
static const struct { struct ag_format f; void *behind[8]; } t = {
    { .size = sizeof(struct ag_format), .probe = probe, .open = open_, .close = close_, .scheme = text,
      .label = text, .part_count = count, .part = item, .tensor_count = count, .tensor = tensor, .meta = meta,
      .meta_key = item, .file = item }, POISON };
AG_PLUGIN(FORMAT, "old", "1", "MIT", "format=old", &t.f, .init = NULL);

#else
static const struct ag_host *host;
/* What this plugin makes of its host: its size, for the test to look at. */
static int listen_(const char *a, int ms, ag_link **o) { (void)a; (void)ms; (void)o; return (int)host->size; }
static int send_(ag_link *l, const void *p, uint64_t n, int ms) { (void)l; (void)p; (void)n; (void)ms; return AG_EIO; }
static int recv_(ag_link *l, void *p, uint64_t n, int ms) { (void)l; (void)p; (void)n; (void)ms; return AG_EIO; }
static void close_(ag_link *l) { (void)l; }
static int init(const struct ag_host *h) { host = h; return AG_OK; }
#ifdef LONGER
/* A plugin that can live without a late field of the host asks whether it is there. */
static int connect_(const char *a, int ms, ag_link **o) { (void)a; (void)ms; (void)o; return AG_HAS(host, later_b); }
#else
#define connect_ listen_
#endif
static const struct { struct ag_transport x; void *behind[8]; } t = {
    { .size = sizeof(struct ag_transport), .listen = listen_, .connect = connect_, .send = send_, .recv = recv_,
      .close = close_ }, POISON };
/* A descriptor by hand, and a note that says `abi`. */
#define BY_HAND(name_, abi_, ...)                                                                        \
    AG_NOTE_(note, AG_NOTE_SECTION, AG_NOTE_OWNER, AG_NOTE_TYPE,                                         \
             "kind=TRANSPORT\nname=" name_ "\nversion=1\nlicense=MIT\nabi=" abi_ "\nprovides=\n")       \
    extern const struct ag_plugin ag_plugin;                                                             \
    AG_EXPORT const struct ag_plugin ag_plugin = { .name = name_,                                        \
        .version = "1", .license = "MIT", .iface = &t.x, .init = init, __VA_ARGS__ }
#if defined(OLD)
AG_PLUGIN(TRANSPORT, "old", "1", "MIT", "", &t.x, .init = init);
#elif defined(LONGER)
AG_PLUGIN(TRANSPORT, "longer", "1", "MIT", "", &t.x, .init = init);
#elif defined(NEXT_MAJOR)
BY_HAND("major", "2.0", .size = sizeof(struct ag_plugin), .abi_major = 2, .kind = AG_KIND_TRANSPORT);
#elif defined(HIDDEN_MAJOR) /* the note does not say so */
BY_HAND("hidden", "1.0", .size = sizeof(struct ag_plugin), .abi_major = 2, .kind = AG_KIND_TRANSPORT);
#elif defined(SHORT_DESCRIPTOR)
BY_HAND("stub", "1.0", .size = 16, .abi_major = 1, .kind = AG_KIND_TRANSPORT);
#elif defined(OTHER_KIND)
BY_HAND("kind", "1.0", .size = sizeof(struct ag_plugin), .abi_major = 1, .kind = AG_KIND_FORMAT);
#elif defined(UNUSABLE)
static int probe(void) { return AG_EDEVICE; }
AG_PLUGIN(TRANSPORT, "unusable", "1", "MIT", "", &t.x, .init = init, .probe = probe);
#endif
#endif
