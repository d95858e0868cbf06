/* SPDX-License-Identifier: MIT */
/* permission.h - code is loaded only from where nobody but root and the user could have put it. */
#ifndef REGISTRY_PERMISSION_H
#define REGISTRY_PERMISSION_H

/* The file or folder at an absolute path, the folders above it and those above the file it resolves
 * to: owned by root or the user, and not writable by others. Folders with the sticky bit pass, since
 * nobody else can replace what lies in them. AG_EDENIED names the first that fails, and why. */
int permission_check(const char *absolute);

#endif
