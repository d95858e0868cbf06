/* SPDX-License-Identifier: MIT */
/* plugin_templates.h - the files of host/templates, made into C by tools/embed.py. "@NAME@" in a text
 * is the new plugin's name. */
#ifndef HOST_PLUGIN_TEMPLATES_H
#define HOST_PLUGIN_TEMPLATES_H

struct template {
    const char *name; /* "model.c.in"; NULL ends the table */
    const char *text;
};
extern const struct template plugin_templates[];

#endif
