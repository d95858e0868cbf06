#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py OUT.c FILE...: files as C character arrays, listed as struct template { name, text }[]."""
import os
import sys

with open(sys.argv[1], "w") as out:
    out.write('#include "plugin_templates.h"\n#include <stddef.h>\n')
    names = [os.path.basename(f) for f in sys.argv[2:]]
    for i, path in enumerate(sys.argv[2:]):
        data = open(path, "rb").read() + b"\0"
        out.write(f"static const char text{i}[] = {{\n")
        for at in range(0, len(data), 24):
            out.write(",".join(str(b if b < 128 else b - 256) for b in data[at:at + 24]) + ",\n")
        out.write("};\n")
    out.write("const struct template plugin_templates[] = {\n")
    for i, name in enumerate(names):
        out.write(f'    {{ "{name}", text{i} }},\n')
    out.write("    { NULL, NULL },\n};\n")
