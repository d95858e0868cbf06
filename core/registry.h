/* SPDX-License-Identifier: MIT */
/* registry.h - finds plugins, refuses the wrong ones, loads those that are wanted.
 *
 * registry_open reads names, permissions and ELF notes only; no code of a plugin runs before
 * registry_load. Loaded code is never unloaded. One bad file never stops the host: its reason is kept. */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <agave/backend.h>
#include <agave/format.h>
#include <agave/model.h>
#include <agave/transport.h>

struct registry;

/* Where to look, in this order; the environment is read by the host program, not here. */
struct registry_options {
    const char *const *file; size_t n_file; /* --plugin: exactly these files; a bad one is an error */
    const char *const *dir; size_t n_dir;   /* --plugin-dir */
    const char *path;          /* $AGAVE_PLUGIN_PATH, folders separated by ':'; NULL when unset */
    const char *data_home;     /* $XDG_DATA_HOME or $HOME/.local/share: <it>/agave/abi-<major> */
    const char *install_dir;   /* <libdir>/agave/abi-<major> */
    const char *list_file;     /* uninstalled: text file, one folder a line, instead of install_dir */
    const char *model_plugin;  /* --model-plugin: wins for every architecture it provides */
    bool secure;               /* AT_SECURE: path and data_home are ignored */
};

/* A plugin file that was found. Fields but `u` are known without loading it. */
struct plugin {
    uint32_t kind;
    const char *name, *version, *license;
    const char *path;      /* "(built in)" for static ones */
    const char *provides;  /* "arch=gemma3 arch=gemma3_text" */
    uint32_t abi_major, abi_minor;
    const char *refused;   /* why it is not used, NULL when it may be */
    const char *shadowed;  /* path of the file that comes before it */
    const char *outranked; /* "arch=gemma3: other comes first"; NULL = nobody comes before it */
    bool loaded;
    /* The host's own full-size copy of the plugin's table, valid once loaded: fields the plugin is
     * too old to have are NULL, so a NULL check is the only check. */
    union {
        struct ag_backend backend;
        struct ag_model model;
        struct ag_format format;
        struct ag_transport transport;
    } u;
};

int registry_open(const struct registry_options *, struct registry **out);
void registry_close(struct registry *); /* NULL is fine; loaded code stays */

/* All files, in search order, refused and shadowed ones too. */
size_t registry_count(const struct registry *);
struct plugin *registry_at(struct registry *, size_t i);

/* The usable plugin of a name, or of something it provides ("arch=gemma3"); NULL when there is none.
 * registry_provider walks on: after = the last one returned, NULL to begin. */
struct plugin *registry_find(struct registry *, uint32_t kind, const char *name);
struct plugin *registry_provider(struct registry *, uint32_t kind, const char *what,
                                 const struct plugin *after);
/* The first refused plugin that says it is this one, or whose file is called like it (a file that may
 * not be read says nothing); NULL when there is none. For messages. */
const struct plugin *registry_refused(const struct registry *, uint32_t kind, const char *name);
/* Folders that were searched, for messages: "a, b". */
const char *registry_searched(const struct registry *);

/* dlopen, checks, normalisation, probe, init. Idempotent; after a failure the reason is kept in
 * `refused` and returned again. */
int registry_load(struct registry *, struct plugin *);

const char *plugin_kind_name(uint32_t kind); /* "backend", or "?" */

#endif
