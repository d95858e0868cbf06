#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the plugin folders below a directory: every <kind>s/<name> that has a meson.build."""
import os
import sys

root = sys.argv[1]
for kind in ("formats", "models", "backends", "transports"):
    base = os.path.join(root, kind)
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else ():
        if os.path.exists(os.path.join(base, name, "meson.build")):
            print(f"{kind}/{name}")
