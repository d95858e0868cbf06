/* SPDX-License-Identifier: MIT */
/* hash.h - short keys to 64 bits, with a secret seed (after wyhash's multiply and fold). */
#ifndef TOKEN_HASH_H
#define TOKEN_HASH_H

#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 hash_u128;

static inline uint64_t hash_mix(uint64_t a, uint64_t b) {
    hash_u128 r = (hash_u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static inline uint64_t hash_load8(const char *s) {
    uint64_t v;
    memcpy(&v, s, 8);
    return v;
}

static inline uint64_t hash_load4(const char *s) {
    uint32_t v;
    memcpy(&v, s, 4);
    return v;
}

static inline uint64_t text_hash(uint64_t seed, const char *s, size_t n) {
    uint64_t h = seed ^ n * 0x9e3779b97f4a7c15u, a = 0, b = 0;
    for (; n > 16; s += 16, n -= 16)
        h = hash_mix(hash_load8(s) ^ seed, hash_load8(s + 8) ^ h) ^ 0xd6e8feb86659fd93u;
    if (n >= 8) a = hash_load8(s), b = hash_load8(s + n - 8);
    else if (n >= 4) a = hash_load4(s), b = hash_load4(s + n - 4);
    else if (n) a = (uint64_t)(unsigned char)s[0] << 16 | (uint64_t)(unsigned char)s[n / 2] << 8 |
                    (unsigned char)s[n - 1];
    return hash_mix(a ^ seed, b ^ h ^ 0xa0761d6478bd642fu);
}

static inline uint64_t pair_hash(uint64_t seed, int32_t left, int32_t right) {
    return hash_mix(((uint64_t)(uint32_t)left << 32 | (uint32_t)right) ^ seed,
                    seed ^ 0xe7037ed1a0b428dbu);
}

#endif
