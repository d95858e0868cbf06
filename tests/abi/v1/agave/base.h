/* SPDX-License-Identifier: MIT */
/* base.h - the words every plugin shares with the host.
 *
 * Rules of this folder: nothing but the C standard headers is included; no host type appears; every
 * struct that crosses the border starts with `size` (its sizeof where it was compiled); arrays of
 * such structs carry a stride; fields are only ever appended; enum numbers are written out and never
 * reused; text is UTF-8; sizes are bytes unless a name says otherwise.
 * Ownership: nothing allocated on one side is freed on the other. Create and destroy sit in the same
 * table; a pointer returned by a getter lives as long as the object it was asked of.
 * Errors: a negative enum ag_status. The text is made with ag_host.fail where the fact is known. */
#ifndef AGAVE_BASE_H
#define AGAVE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AG_ABI_MAJOR 1u /* a plugin of another major is refused */
#define AG_ABI_MINOR 0u /* which appended fields may be present */

#define AG_EXPORT __attribute__((visibility("default")))

/* The one list of failures: name, number, text. */
#define AG_STATUS_MAP(X)                     \
    X(OK, 0, "ok")                           \
    X(EINVAL, -1, "invalid argument")        \
    X(ENOMEM, -2, "out of memory")           \
    X(ENOTSUP, -3, "not supported")          \
    X(EFORMAT, -4, "malformed file")         \
    X(EABI, -5, "incompatible plugin")       \
    X(EDEVICE, -6, "device failure")         \
    X(EIO, -7, "input/output error")         \
    X(ECANCELED, -8, "cancelled")            \
    X(ENOSPC, -9, "no space left")           \
    X(ENOENT, -10, "not found")              \
    X(EDENIED, -11, "permission refused")

enum ag_status {
#define X(name, num, text) AG_##name = num,
    AG_STATUS_MAP(X)
#undef X
};

/* Does the struct behind `p`, written by the other side, hold `field`? */
#define AG_HAS(p, field) \
    ((size_t)(p)->size >= offsetof(__typeof__(*(p)), field) + sizeof((p)->field))

/* Levels of ag_host.log; the host decides what is shown. */
enum ag_log_level { AG_LOG_ERROR = 0, AG_LOG_WARN = 1, AG_LOG_INFO = 2, AG_LOG_DEBUG = 3 };

/* Work for a team: called once by each of `nth` threads with its own `ith`. A negative return stops
 * nothing by itself; the first one, with its text, is what team_run returns. */
typedef int (*ag_team_fn)(void *arg, int ith, int nth);

/* What the host lends to a plugin; lives for the whole process. init() may keep the pointer in a
 * static variable: the one mutable file-scope state a plugin may have. */
struct ag_host {
    uint32_t size;
    uint32_t abi_minor;
    /* Keeps a text for the calling thread and returns `code`: return host->fail(AG_EFORMAT, ...). */
    int (*fail)(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    void (*log)(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
    /* One team of threads per process, lent to whoever computes. team_run blocks until all threads
     * returned and is never nested; callers from several threads take turns. */
    int (*team_size)(void);
    int (*team_run)(ag_team_fn fn, void *arg);
    /* Inside fn only: waits until every thread of the team is here; memory written before is seen
     * after. All threads must call it equally often. */
    void (*team_barrier)(void);
    /* aligned_alloc/free of the host, so that tests can count and fail them. alloc returns memory
     * that is not cleared, aligned to `align` (a power of two), or NULL. */
    void *(*alloc)(size_t bytes, size_t align);
    void (*free)(void *ptr);
};

enum ag_kind {
    AG_KIND_BACKEND = 1,
    AG_KIND_MODEL = 2,
    AG_KIND_FORMAT = 3,
    AG_KIND_TRANSPORT = 4,
};

/* The one exported symbol of a plugin. It is const data: the host reads it, and may refuse the file,
 * before any code of the plugin has run. */
struct ag_plugin {
    uint32_t size;
    uint32_t abi_major, abi_minor; /* what it was compiled against */
    uint32_t min_host_minor;       /* refuses hosts older than this minor */
    uint32_t kind;                 /* enum ag_kind */
    const char *name;              /* "gemma3": the file is model_gemma3.so */
    const char *version;           /* of the plugin */
    const char *license;           /* SPDX expression */
    const void *iface;             /* struct ag_backend, ag_model, ag_format or ag_transport */
    int (*init)(const struct ag_host *host); /* optional; once, before any other call */
    int (*probe)(void); /* optional; < 0 with a text = not usable on this machine. Before init. */
};

/* An ELF note repeats what a host wants to know before dlopen: lines "key=value\n" of kind, name,
 * version, license, abi, and provides (words separated by spaces: arch=gemma3 format=gguf
 * device=cuda). Section .note.agave.plugin, owner "agave", type 1. */
#define AG_NOTE_OWNER "agave\0\0"
#define AG_NOTE_TYPE 1u
#define AG_NOTE_SECTION ".note.agave.plugin"

#define AG_STR_(x) #x
#define AG_STR(x) AG_STR_(x)
#define AG_ABI_TEXT "1.0" /* AG_ABI_MAJOR.AG_ABI_MINOR, for the note */

#if defined(__ELF__)
#define AG_NOTE_(var_, section_, owner_, type_, text_)                                        \
    __attribute__((section(section_), used, aligned(4))) static const struct {               \
        uint32_t namesz, descsz, type;                                                        \
        char owner[(sizeof(owner_) + 3) & ~(size_t)3];                                        \
        char desc[(sizeof(text_) + 3) & ~(size_t)3];                                          \
    } var_ = { sizeof(owner_), sizeof(text_), type_, owner_, text_ };
#else
#define AG_NOTE_(var_, section_, owner_, type_, text_) /* a sidecar <file>.json instead */
#endif

/* The exported object's name; static builds compile each plugin with a name of its own, and with a
 * second object that holds the note's text, since there is no file to read the note from. */
#ifndef AG_PLUGIN_SYMBOL
#define AG_PLUGIN_SYMBOL ag_plugin
#endif
#ifdef AG_PLUGIN_NOTE_SYMBOL
#define AG_PLUGIN_NOTE_TEXT_(text_)             \
    extern const char AG_PLUGIN_NOTE_SYMBOL[];  \
    const char AG_PLUGIN_NOTE_SYMBOL[] = text_;
#else
#define AG_PLUGIN_NOTE_TEXT_(text_)
#endif
#define AG_PLUGIN_TEXT_(kind_, name_, version_, license_, provides_)                          \
    "kind=" kind_ "\nname=" name_ "\nversion=" version_ "\nlicense=" license_                 \
    "\nabi=" AG_ABI_TEXT "\nprovides=" provides_ "\n"
#define AG_PLUGIN_SYMBOL_NAME "ag_plugin"

/* AG_PLUGIN(MODEL, "gemma3", "1.0", "MIT", "arch=gemma3 arch=gemma3_text", &iface, .init = init); */
#define AG_PLUGIN(kind_, name_, version_, license_, provides_, iface_, ...)                   \
    AG_NOTE_(ag_plugin_note_, AG_NOTE_SECTION, AG_NOTE_OWNER, AG_NOTE_TYPE,                   \
             AG_PLUGIN_TEXT_(#kind_, name_, version_, license_, provides_))                   \
    AG_PLUGIN_NOTE_TEXT_(AG_PLUGIN_TEXT_(#kind_, name_, version_, license_, provides_))       \
    extern const struct ag_plugin AG_PLUGIN_SYMBOL;                                           \
    AG_EXPORT const struct ag_plugin AG_PLUGIN_SYMBOL = {                                     \
        .size = sizeof(struct ag_plugin),                                                     \
        .abi_major = AG_ABI_MAJOR,                                                            \
        .abi_minor = AG_ABI_MINOR,                                                            \
        .kind = AG_KIND_##kind_,                                                              \
        .name = name_,                                                                        \
        .version = version_,                                                                  \
        .license = license_,                                                                  \
        .iface = iface_,                                                                      \
        __VA_ARGS__                                                                           \
    }

/* A library the plugin opens by itself when it is there, for packagers (systemd's ELF_DLOPEN note):
 * AG_DLOPEN("[{\"soname\":[\"libcuda.so.1\"],\"priority\":\"recommended\"}]"); once a plugin. */
#define AG_DLOPEN(json_) AG_NOTE_(ag_dlopen_note_, ".note.dlopen", "FDO", 0x407c0c0au, json_) \
    struct ag_dlopen_semicolon_

#endif
