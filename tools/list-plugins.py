#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which plugins to build. list-plugins.py PLUGINS BACKENDS MODELS FORMATS

Every <kind>s/<name> below PLUGINS that has a meson.build is a plugin. The three lists hold names
separated by commas, or auto for all; an unknown name is an error that says what is there. Prints a
folder a line; one whose meson.build says 'dlopen': true is followed by " dlopen".
"""
import os
import re
import sys


def folders(root, kind):
    base = os.path.join(root, kind)
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    return [n for n in names if os.path.exists(os.path.join(base, n, "meson.build"))]


def choose(kind, wanted, there):
    names = [n for n in wanted.split(",") if n]
    if "auto" in names:
        if len(names) > 1:
            sys.exit(f"option {kind}: want auto or names, found both: {wanted}")
        return there
    for n in names:
        if n not in there:
            sys.exit(f"option {kind}: no plugin '{n}', there are: {', '.join(there) or 'none'}")
    return [n for n in there if n in names]


def opens_drivers(path):
    with open(path, encoding="utf-8") as f:
        return re.search(r"'dlopen'\s*:\s*true", f.read()) is not None


def main():
    root, backends, models, formats = sys.argv[1:5]
    wanted = {"formats": formats, "models": models, "backends": backends, "transports": "auto"}
    for kind, names in wanted.items():
        for n in choose(kind, names, folders(root, kind)):
            own = os.path.join(root, kind, n, "meson.build")
            print(f"{kind}/{n}" + (" dlopen" if opens_drivers(own) else ""))


main()
