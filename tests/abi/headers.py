#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""headers.py FOLDER COMPILER...: every header below FOLDER compiles alone, without warnings: as C11, and with
a C++ compiler as C++11 and C++20."""
import os
import subprocess
import sys

FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
folder, bad, n = sys.argv[1], 0, 0
for compiler in sys.argv[2:]:
    plus = "++" in os.path.basename(compiler)
    for header in sorted(os.listdir(os.path.join(folder, "agave"))):
        if not header.endswith(".h"):
            continue
        for std in ("c++11", "c++20") if plus else ("c11",):
            source = f"#include <agave/{header}>\nint main() {{ return 0; }}\n" if plus else \
                f"#include <agave/{header}>\nint main(void) {{ return 0; }}\n"
            run = subprocess.run([compiler, "-std=" + std, "-x", "c++" if plus else "c", "-I", folder, *FLAGS, "-"],
                                 input=source, capture_output=True, text=True)
            n += 1
            if run.returncode:
                bad += 1
                print(f"{compiler} -std={std} {header}:\n{run.stderr}", file=sys.stderr)
print(f"{n} compilations, {bad} failed")
sys.exit(bad != 0 or n == 0)
