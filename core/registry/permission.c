/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* realpath, S_ISVTX */

#include "registry/permission.h"

#include "util/error.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A group of one, as distributions with umask 002 give to each user: the user's primary group, called
 * like the user, with no other member. */
static bool group_is_own(gid_t gid) {
    char user_text[4096], group_text[4096];
    struct passwd pw, *user = NULL;
    struct group gr, *group = NULL;
    if (getpwuid_r(geteuid(), &pw, user_text, sizeof user_text, &user) || !user || user->pw_gid != gid)
        return false;
    if (getgrgid_r(gid, &gr, group_text, sizeof group_text, &group) || !group) return false;
    if (strcmp(group->gr_name, user->pw_name)) return false;
    for (char **m = group->gr_mem; *m; m++)
        if (strcmp(*m, user->pw_name)) return false;
    return true;
}

static int check_one(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0) return fail(AG_EIO, "%s: %s", path, strerror(errno));
    if (st.st_uid && st.st_uid != geteuid())
        return fail(AG_EDENIED, "%s belongs to user %lu, want root or user %lu", path,
                    (unsigned long)st.st_uid, (unsigned long)geteuid());
    if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)) return 0;
    if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && !group_is_own(st.st_gid)))
        return fail(AG_EDENIED, "%s is writable by others (mode %04o): chmod go-w %s", path,
                    (unsigned)(st.st_mode & 07777), path);
    return 0;
}

/* Every prefix of the path, from the root on. */
static int check_chain(const char *path) {
    char prefix[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof prefix) return fail(AG_EINVAL, "path longer than %d bytes", PATH_MAX - 1);
    int rc = check_one("/");
    for (size_t i = 1; rc >= 0 && i <= n; i++) {
        if ((path[i] != '/' && path[i]) || path[i - 1] == '/') continue;
        memcpy(prefix, path, i);
        prefix[i] = 0;
        rc = check_one(prefix);
    }
    return rc;
}

int permission_check(const char *absolute) {
    int rc = check_chain(absolute);
    if (rc < 0) return rc;
    char real[PATH_MAX];
    if (!realpath(absolute, real)) return fail(AG_EIO, "%s: %s", absolute, strerror(errno));
    return strcmp(real, absolute) ? check_chain(real) : 0;
}
