#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""grow.py IN OUT: a header of the plugin interface as it may look one minor later: every struct that may
grow has two fields more, and the minor is one higher."""
import re
import sys

# Structs with a size that lie by value inside others: these are fixed for a major.
FIXED = {"ag_state", "ag_kv_layout", "ag_layout"}
# Structs without a size that are walked with a stride kept beside them.
STRIDED = {"ag_node", "ag_support", "ag_weight_row", "ag_weight_binding", "ag_state_binding"}
FIELDS = "    uint64_t later_a;\n    void (*later_b)(void);\n};"

text = open(sys.argv[1]).read()


def grow(m):
    body = re.sub(r"/\*.*?\*/", " ", m.group(2), flags=re.S)
    sized = re.match(r"\s*uint32_t size\b", body)
    if m.group(1) in FIXED or not (sized or m.group(1) in STRIDED):
        return m.group(0)
    return f"struct {m.group(1)} {{\n{m.group(2)}\n{FIELDS}"


text = re.sub(r"^struct (ag_\w+) \{\n(.*?)\n\};", grow, text, flags=re.S | re.M)
minor = re.search(r"#define AG_ABI_MINOR (\d+)u", text)
if minor:
    later = int(minor.group(1)) + 1
    text = text.replace(minor.group(0), f"#define AG_ABI_MINOR {later}u")
    text = re.sub(r'#define AG_ABI_TEXT "(\d+)\.\d+"', rf'#define AG_ABI_TEXT "\1.{later}"', text)
open(sys.argv[2], "w").write(text)
