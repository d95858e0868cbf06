#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the Unicode tables of core/token.

usage: tools/gen-unicode.py class UnicodeData.txt > core/token/unicode_table.c
       tools/gen-unicode.py nfc UnicodeData.txt CompositionExclusions.txt > core/token/nfc_table.c

The inputs are the Unicode Consortium's (Debian: package unicode-data).
class: what every code point is to pre-tokenizers. Two-stage table: a byte per block of 256 code
points, then a byte per code point; equal blocks are stored once.
nfc: canonical decompositions, the compositions that NFC makes of them, combining classes.
"""
import sys

UPPER, LOWER, LETTER, MARK, NUMBER, SPACE, OTHER, PUNCT = (1 << k for k in range(8))
CLASS = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lm": LETTER, "Lo": LETTER,
         "Mn": MARK, "Mc": MARK, "Me": MARK, "Nd": NUMBER, "Nl": NUMBER, "No": NUMBER}
# The property White_Space (PropList.txt), stable since Unicode 6.3.
WHITE = [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]


def classes(path):
    table = bytearray([OTHER]) * 0x110000
    first = None
    with open(path, encoding="ascii") as f:
        for line in f:
            code, name, cat = line.split(";")[:3]
            code = int(code, 16)
            if name.endswith(", First>"):
                first = code
                continue
            cls = CLASS.get(cat, OTHER | PUNCT if cat[0] == "P" else OTHER)
            for c in range(first if name.endswith(", Last>") else code, code + 1):
                table[c] = cls
    for c in WHITE:
        table[c] = SPACE
    return table


HEAD = """/* SPDX-License-Identifier: MIT */
/* Written by tools/gen-unicode.py from the Unicode Character Database 15.0.0. */
"""


def rows(data):
    return fill(f"{x}," for x in data)


def braced(data):
    return fill("{" + ",".join(str(x) for x in row) + "}," for row in data)


def fill(words):
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines) + "\n"


def write_classes(path):
    table = classes(path)
    index, blocks = [], []
    for i in range(0, len(table), 256):
        block = bytes(table[i:i + 256])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(blocks) <= 256
    sys.stdout.write(
        HEAD + '#include "token/unicode.h"\n\n'
        f"const uint8_t unicode_block[{len(index)}] = {{\n{rows(index)}}};\n\n"
        f"const uint8_t unicode_class[{len(blocks)}][256] = {{\n"
        + "".join("{\n" + rows(b) + "},\n" for b in blocks) + "};\n")


def write_nfc(data, exclusions):
    with open(exclusions, encoding="utf-8") as f:
        excluded = {int(line.split()[0], 16) for line in f if line[0] in "0123456789ABCDEF"}
    parts, ccc = {}, {}
    with open(data, encoding="ascii") as f:
        for line in f:
            field = line.split(";")
            code = int(field[0], 16)
            if field[3] != "0":
                ccc[code] = int(field[3])
            if field[5] and field[5][0] != "<":
                parts[code] = [int(x, 16) for x in field[5].split()] + [0]
    ranges = []
    for code, c in sorted(ccc.items()):
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == c:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, c])
    pairs = sorted((p[0], p[1], code) for code, p in parts.items()
                   if p[1] and code not in excluded and code not in ccc and p[0] not in ccc)
    sys.stdout.write(
        HEAD + '#include "token/nfc.h"\n\n'
        f"const uint32_t nfc_parts[{len(parts)}][3] = {{\n"
        + braced((code, *p[:2]) for code, p in sorted(parts.items())) + "};\n\n"
        f"const uint32_t nfc_pairs[{len(pairs)}][3] = {{\n" + braced(pairs) + "};\n\n"
        f"const uint32_t nfc_classes[{len(ranges)}][3] = {{\n" + braced(ranges) + "};\n\n"
        f"const uint32_t nfc_counts[3] = {{{len(parts)}, {len(pairs)}, {len(ranges)}}};\n")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "class":
        write_classes(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "nfc":
        write_nfc(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)


main()
