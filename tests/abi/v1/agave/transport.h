/* SPDX-License-Identifier: MIT */
/* transport.h - moves bytes between ranks. Splits, collectives and their order are the host's. */
#ifndef AGAVE_TRANSPORT_H
#define AGAVE_TRANSPORT_H

#include <agave/base.h>

typedef struct ag_link ag_link;

struct ag_transport {
    uint32_t size;
    uint32_t pad;
    /* Blocks until the peer is there or timeout_ms passed. `address` is the transport's own form. */
    int (*listen)(const char *address, int timeout_ms, ag_link **out);
    int (*connect)(const char *address, int timeout_ms, ag_link **out);
    /* All of the bytes or an error; after an error only close() may follow. */
    int (*send)(ag_link *, const void *from, uint64_t bytes, int timeout_ms);
    int (*recv)(ag_link *, void *to, uint64_t bytes, int timeout_ms);
    void (*close)(ag_link *); /* NULL is fine */
};

#endif
