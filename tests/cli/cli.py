#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests that run the binary. cli.py AGAVE DATA [PART[.TEST]...]"""
import harness
import test_models
import test_options
import test_plugin
import test_repl
import test_run
import test_tools

PARTS = (test_options, test_plugin, test_models, test_run, test_tools, test_repl)

if __name__ == "__main__":
    harness.main([(f"{part.__name__[5:]}.{name[5:]}", test) for part in PARTS for name, test in vars(part).items()
                  if name.startswith("test_")])
