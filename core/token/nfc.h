/* SPDX-License-Identifier: MIT */
/* nfc.h - Unicode's composed normal form (UAX #15), for tokenizer.json files that ask for it. */
#ifndef TOKEN_NFC_H
#define TOKEN_NFC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tables, sorted: code point and its one or two parts (0 = one); two parts and what they compose to;
 * first, last and combining class. Numbers of rows: nfc_counts. */
extern const uint32_t nfc_parts[][3], nfc_pairs[][3], nfc_classes[][3], nfc_counts[3];

enum { NFC_GROWTH = 3 }; /* a text has at most that many times the bytes in NFC */

/* Nothing below U+0300 changes: a text without such bytes is NFC. */
bool nfc_may_change(const char *s, size_t n);
/* Writes at most NFC_GROWTH * n bytes; bytes that are no UTF-8 stay as they are. */
int nfc_write(const char *s, size_t n, char *out, size_t *n_out);

#endif
