/* SPDX-License-Identifier: MIT */
/* bandwidth.h - how fast this machine reads memory, the measure of a decoder that reads all weights
 * for every token. */
#ifndef HOST_BANDWIDTH_H
#define HOST_BANDWIDTH_H

#include <stdint.h>

/* GB/s (1e9 bytes) of the compute team summing up a buffer several times the last-level cache;
 * median of some passes. Takes a fraction of a second. */
int bandwidth_measure(double *gb_s);
/* Bytes of the last-level cache, 0 = unknown. */
uint64_t cache_bytes(void);

#endif
