#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tokens.py AGAVE GROWN PLUGINS OLD DATA: plugins built against the frozen headers (folder OLD), in a host
whose every table has grown (GROWN), yield the tokens and the very logits of today's host with today's
plugins (AGAVE, folder PLUGINS). DATA: tests/golden/data."""
import json
import os
import struct
import subprocess
import sys
import tempfile

agave, grown, plugins, old, data = sys.argv[1:]
TOKENS = 16
model = os.path.join(data, "gemma3/model-f32.gguf")
golden = os.path.join(data, "gemma3/golden.safetensors")
keep = tempfile.TemporaryDirectory()
scratch = keep.name
env = {"PATH": "/usr/bin:/bin", "HOME": scratch, "XDG_DATA_HOME": scratch}


def run(*args):
    p = subprocess.run(args, env=env, capture_output=True, text=True, timeout=120)
    if p.returncode:
        sys.exit(f"{' '.join(args)}: status {p.returncode}\n{p.stderr}")
    return p.stdout


def tensors(path):
    with open(path, "rb") as f:
        whole = f.read()
    n = struct.unpack("<Q", whole[:8])[0]
    head = json.loads(whole[8:8 + n])
    head.pop("__metadata__", None)
    return {k: whole[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]] for k, v in head.items()}


def ids(raw):
    return list(struct.unpack(f"<{len(raw) // 4}i", raw))


def listed(program, folder):
    rows = json.loads(run(program, "plugin", "list", "--json", "--plugin-dir", folder))["plugins"]
    return {r["kind"] + "_" + r["name"]: r for r in rows if os.path.dirname(r["path"]) == os.path.realpath(folder)}


def generate(program, folder, backend):
    out = os.path.join(scratch, "out.safetensors")
    run(program, "eval", "--plugin-dir", folder, "--backend", backend, "--threads", "2", "--tokens", golden,
        "--greedy", str(TOKENS), "--logits", out, model)
    return tensors(out)


abi = {p: [l for l in run(p, "--version", "--verbose").split("\n") if l.startswith("plugin ABI")][0]
       for p in (agave, grown)}
print(f"today {abi[agave]}; grown {abi[grown]}")
if abi[agave] == abi[grown]:
    sys.exit("the grown host has not grown")
found = listed(grown, old)
print("old plugins:", ", ".join(f"{n} (ABI {r['abi']})" for n, r in sorted(found.items())))
if not {"model_gemma3", "format_gguf"} <= set(found):
    sys.exit("the old plugins are not those that count")
want = ids(tensors(golden)["greedy.tokens"])[:TOKENS]
done = 0
for backend in ("ref", "cpu"):
    if "backend_" + backend not in found:
        continue
    today, later = generate(agave, plugins, backend), generate(grown, old, backend)
    got = ids(later["mid.greedy.tokens"])
    print(f"{backend}: {got}")
    if got != want:
        sys.exit(f"{backend}: want {want}")
    if today != later:
        sys.exit(f"{backend}: not the same bits: {[k for k in today if today[k] != later.get(k)]}")
    done += 1
sys.exit(0 if done else "no backend was built")
