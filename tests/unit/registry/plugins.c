/* SPDX-License-Identifier: MIT */
/* Plugins for test_registry.c, one a compilation, chosen by a macro. */
#include <agave/model.h>
#include <agave/transport.h>

#include <math.h>

#if defined(MODEL_FIRST) || defined(MODEL_SECOND)
static int match(const struct ag_meta *m) { (void)m; return 1; }
static int create(const struct ag_meta *m, void **self) { (void)m; *self = NULL; return 0; }
static void destroy(void *self) { (void)self; }
static int info(void *self, struct ag_model_info *out) { (void)self; (void)out; return 0; }
static int weights(void *self, const char *scheme, struct ag_weight_table *out) {
    (void)self; (void)scheme; (void)out;
    return 0;
}
static int states(void *self, struct ag_state_table *out) { (void)self; (void)out; return 0; }
static int build(void *self, struct ag_graph *g, const struct ag_build *b, const struct ag_pass *p) {
    (void)self; (void)g; (void)b; (void)p;
    return 0;
}
/* A chat record of an older day: it ends behind `answer`, and what follows is not its own. */
static const struct { struct ag_chat c; } chat = { {
    .size = offsetof(struct ag_chat, eog), .name = "test", .begin = "<", .middle = "|", .end = ">",
    .system = "s", .user = "u", .assistant = "a", .answer = "<a|",
    .eog = (const char *const *)(uintptr_t)1, .think_begin = (const char *)(uintptr_t)1 } };
static const struct ag_chat *const chats[] = { &chat.c, NULL };
static const struct ag_recipe recipe = { .size = sizeof recipe, .name = "calm", .temperature = 0.5,
                                         .top_p = NAN, .repeat_penalty = NAN };
static const struct ag_recipe *const recipes[] = { &recipe, NULL };
static const struct ag_model iface = { .size = sizeof iface, .match = match, .create = create,
    .destroy = destroy, .info = info, .weights = weights, .states = states, .build = build,
    .chat = chats, .recipe = recipes };
#ifdef MODEL_FIRST
AG_PLUGIN(MODEL, "first", "1", "MIT", "arch=alpha arch=beta", &iface, .init = NULL);
#else
AG_PLUGIN(MODEL, "second", "1", "MIT", "arch=alphabet arch=alpha", &iface, .init = NULL);
#endif

#elif defined(BACKEND)
static int device_count(void) { return 0; }
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
/* Rows of a later day, with a field behind those the host knows. */
static const struct { struct ag_support s; uint64_t later; } rows[] = {
    { { AG_OP_ADD, 0, 0 }, 7 }, { { AG_OP_MATMUL, 0, 1u << AG_F32 }, 7 } };
static const struct ag_backend iface = { .size = sizeof iface, .support = &rows[0].s, .n_support = 2,
    .support_stride = sizeof rows[0], .device_count = device_count, .device_info = device_info,
    .open = open_, .close = close_, .alloc = alloc_, .import = import_, .release = release_,
    .map = map_, .write = write_, .read = read_, .copy = copy_, .kv_layout = kv_, .plan = plan_,
    .plan_info = plan_info_, .run = run_, .plan_free = plan_free_ };
AG_PLUGIN(BACKEND, "rows", "2.5", "MIT", "device=none", &iface, .init = NULL);

#else
static int open_link(const char *address, int timeout, ag_link **out) {
    (void)address; (void)timeout; (void)out;
    return AG_ENOTSUP;
}
static int recv_(ag_link *l, void *p, uint64_t n, int t) { (void)l; (void)p; (void)n; (void)t; return AG_EIO; }
static void close_(ag_link *l) { (void)l; }
#ifdef HOLE
#define SEND NULL
#else
static int send_(ag_link *l, const void *p, uint64_t n, int t) { (void)l; (void)p; (void)n; (void)t; return AG_EIO; }
#define SEND send_
#endif
static const struct ag_transport iface = { .size = sizeof iface, .listen = open_link,
    .connect = open_link, .send = SEND, .recv = recv_, .close = close_ };
/* A file whose note and descriptor do not say the same. */
#define SPLIT(kind_, name_, ...)                                                                \
    AG_NOTE_(note, AG_NOTE_SECTION, AG_NOTE_OWNER, AG_NOTE_TYPE,                                \
             "kind=" kind_ "\nname=" name_ "\nversion=1\nlicense=MIT\nabi=1.0\nprovides=\n")    \
    extern const struct ag_plugin ag_plugin;                                                    \
    AG_EXPORT const struct ag_plugin ag_plugin = { .size = sizeof ag_plugin, .abi_major = 1,     \
        .version = "1", .license = "MIT", .iface = &iface, __VA_ARGS__ }

#if defined(GOOD)
AG_PLUGIN(TRANSPORT, "good", "1", "MIT", "transport=good", &iface, .init = NULL);
#elif defined(NOPROBE)
static const struct ag_host *host;
static int probe(void) { return host ? 0 : AG_EDEVICE; }
static int init(const struct ag_host *h) { host = h; return 0; }
AG_PLUGIN(TRANSPORT, "noprobe", "1", "MIT", "", &iface, .init = init, .probe = probe);
#elif defined(NOINIT)
static int init(const struct ag_host *h) { return h->fail(AG_EDEVICE, "no %s today", "luck"); }
AG_PLUGIN(TRANSPORT, "noinit", "1", "MIT", "", &iface, .init = init);
#elif defined(COUNT)
static int calls;
static int init(const struct ag_host *h) { return ++calls > 1 ? h->fail(AG_EINVAL, "init twice") : 0; }
AG_PLUGIN(TRANSPORT, "count", "1", "MIT", "", &iface, .init = init);
#elif defined(NOSYMBOL)
AG_NOTE_(note, AG_NOTE_SECTION, AG_NOTE_OWNER, AG_NOTE_TYPE, "kind=TRANSPORT\nname=nosymbol\nabi=1.0\n")
AG_EXPORT const void *nosymbol(void);
const void *nosymbol(void) { return &iface; }
#elif defined(PLAIN)
AG_EXPORT const void *plain(void);
const void *plain(void) { return &iface; }
#elif defined(LIAR)
SPLIT("TRANSPORT", "liar", .kind = AG_KIND_TRANSPORT, .name = "saint");
#elif defined(HOLE)
AG_PLUGIN(TRANSPORT, "hole", "1", "MIT", "", &iface, .init = NULL);
#elif defined(MAJOR)
AG_NOTE_(note, AG_NOTE_SECTION, AG_NOTE_OWNER, AG_NOTE_TYPE,
         "kind=TRANSPORT\nname=major\nversion=1\nlicense=MIT\nabi=2.3\n")
AG_EXPORT const void *major(void);
const void *major(void) { return &iface; }
#elif defined(UNKNOWN_KIND)
SPLIT("TLS", "tls", .kind = 77, .name = "tls");
#elif defined(FUTURE)
SPLIT("TRANSPORT", "future", .kind = AG_KIND_TRANSPORT, .name = "future", .min_host_minor = 99);
#endif
#endif
