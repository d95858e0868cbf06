#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes core/token/unicode_table.c: the class of every code point, as pre-tokenizers see it.

usage: tools/gen-unicode.py UnicodeData.txt > core/token/unicode_table.c

UnicodeData.txt is the Unicode Consortium's (Debian: package unicode-data). Two-stage table: a byte
per block of 256 code points, then a byte per code point; equal blocks are stored once.
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


def rows(data):
    lines = [""]
    for word in (f"{x}," for x in data):
        if len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table = classes(sys.argv[1])
    index, blocks = [], []
    for i in range(0, len(table), 256):
        block = bytes(table[i:i + 256])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(blocks) <= 256
    sys.stdout.write(
        "/* SPDX-License-Identifier: MIT */\n"
        "/* Written by tools/gen-unicode.py from UnicodeData.txt 15.0.0. */\n"
        '#include "token/unicode.h"\n\n'
        f"const uint8_t unicode_block[{len(index)}] = {{\n{rows(index)}}};\n\n"
        f"const uint8_t unicode_class[{len(blocks)}][256] = {{\n"
        + "".join("{\n" + rows(b) + "},\n" for b in blocks) + "};\n")


main()
