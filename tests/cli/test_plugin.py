# SPDX-License-Identifier: MIT
"""agave plugin: what is listed, refused, checked and written; what a run loads."""
import json
import os
import re
import shutil
import subprocess

from harness import equal, need

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def listed(cli, *args):
    rows = json.loads(cli.answer("plugin", "list", "--json", *args))["plugins"]
    return {f"{r['kind']}_{r['name']}": r for r in rows}


def installed(cli, name):
    return listed(cli)[name]["path"]


def loaded(cli, *args):
    """Plugin files that the dynamic linker opened."""
    err = cli.run(*args, env={"LD_DEBUG": "files"})[1]
    found = re.findall(r"calling init: (\S+/(?:backend|model|format|transport)_\w+\.so)", err)
    return sorted({os.path.basename(x)[:-3] for x in found})


def test_list(cli):
    rows = listed(cli)
    need({"backend_ref", "model_gemma3", "format_gguf"} <= set(rows), f"listed: {sorted(rows)}")
    gemma = rows["model_gemma3"]
    need("arch=gemma3" in gemma["provides"], gemma["provides"])
    for key in ("version", "license", "abi", "path"):
        need(gemma[key], f"no {key}")
    text = cli.answer("plugin", "list")
    for row in rows.values():
        need(row["path"] in text, f"{row['path']} is not in the table")
    table = cli.answer("plugin", "list", "-V")
    need(re.search(r"MATMUL +x +x", table), "no row of MATMUL")
    support = listed(cli, "-V")["backend_ref"]["support"]
    need("F32" in support["MATMUL"], support)


def test_loads_no_more_than_needed(cli):
    equal(loaded(cli, "plugin", "list"), [], "loaded by plugin list")
    backend = "cpu" if "backend_cpu" in listed(cli) else "ref"
    equal(loaded(cli, "--backend", backend, "--raw", "-n", "2", cli.gemma, "The river"),
          sorted([f"backend_{backend}", "format_gguf", "model_gemma3"]), "loaded by a run")


def test_refused(cli):
    folder = os.path.join(cli.scratch, "plugins")
    os.mkdir(folder)
    good = installed(cli, "model_gemma3")
    shutil.copy(good, os.path.join(folder, "model_gemma3.so"))
    shutil.copy(good, os.path.join(folder, "model_other.so"))
    cli.file("plugins/backend_text.so", b"not a plugin")
    os.chmod(os.path.join(folder, "model_gemma3.so"), 0o666)
    rows = json.loads(cli.answer("plugin", "list", "--all", "--json", "--plugin-dir", folder))["plugins"]
    why = {os.path.basename(r["path"]): r.get("refused", "") for r in rows if r["path"].startswith(folder)}
    need("writable by others" in why["model_gemma3.so"], why)
    need("must be called model_gemma3.so" in why["model_other.so"], why)
    need("not an ELF file" in why["backend_text.so"], why)
    # the good one further back still counts
    equal(listed(cli, "--plugin-dir", folder)["model_gemma3"]["path"], good, "path of gemma3")
    out = cli.answer("plugin", "list", "--all", "--plugin-dir", folder)
    need("refused: " in out and "backend_text.so" in out, out)
    cli.fails("plugin", "list", "--plugin", os.path.join(folder, "backend_text.so"), names="not an ELF file")
    cli.fails("plugin", "list", "--plugin-dir", os.path.join(folder, "absent"), names="absent")
    cli.fails("plugin", "list", "--model-plugin", "absent", names="model_absent.so")
    cli.fails("--plugin", os.path.join(folder, "model_gemma3.so"), cli.gemma, "x", names="writable by others")
    # what could have been used is named where it is missed
    shutil.copy(os.path.join(folder, "model_gemma3.so"), os.path.join(folder, "model_gemmaX.so"))
    os.chmod(os.path.join(folder, "model_gemmaX.so"), 0o666)
    with open(cli.gemma, "rb") as f:
        other = cli.file("other.gguf", f.read().replace(b"\x06" + bytes(7) + b"gemma3", b"\x06" + bytes(7) + b"gemmaX"))
    for args in ([other, "x"], ["--model-plugin", "gemmaX", cli.gemma, "x"]):
        cli.fails("--plugin-dir", folder, *args, names=["model_gemmaX.so", "writable by others", "chmod go-w"])
    shutil.copy(good, os.path.join(folder, "backend_fast.so"))
    cli.fails("--plugin-dir", folder, "--backend", "fast", cli.gemma, "x", names="must be called model_gemma3.so")
    # a plugin of which only a part was copied is refused before the dynamic linker dies of it
    with open(good, "rb") as f:
        cut = cli.file("plugins/model_cut.so", f.read()[:12000])
    cli.fails("plugin", "list", "--plugin", cut, names="cut off")
    os.chmod(os.path.join(folder, "model_gemma3.so"), 0o644)
    rows = json.loads(cli.answer("plugin", "list", "--all", "--json", "--plugin-dir", folder))["plugins"]
    shadowed = [r for r in rows if r["path"] == good]
    equal(shadowed[0]["shadowed"], os.path.join(folder, "model_gemma3.so"), "shadowed by")


def test_arguments(cli):
    cli.fails("plugin", names="plugin")
    cli.fails("plugin", "frobnicate", names="frobnicate")
    cli.fails("plugin", "list", "x", names="plugin list")
    cli.fails("plugin", "list", "--in-tree", names="--in-tree")
    cli.fails("plugin", "new", "model", names="NAME")
    cli.fails("plugin", "new", "cupboard", "x", names="cupboard")
    cli.fails("plugin", "new", "model", "No-Name", names="No-Name")
    cli.fails("plugin", "check", "/nowhere.so", "a", "b", names="plugin check")
    cli.fails("plugin", "check", "/x.so", "--model", "m", names="--reference")


def compile_plugin(cli, folder, kind, name):
    so = os.path.join(cli.scratch, f"{kind}_{name}.so")
    run = subprocess.run(["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared",
                          "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s",
                          "-I", os.path.join(TREE, "core/abi"), os.path.join(folder, kind + ".c"), "-o", so, "-lm"], capture_output=True, text=True)
    equal(run.returncode, 0, f"compiling {kind}: {run.stderr}")
    return so


def test_new(cli):
    for kind in ("model", "backend", "format"):
        folder = os.path.join(cli.scratch, kind + "_folder")
        cli.run("plugin", "new", kind, "fresh", folder)
        equal(sorted(os.listdir(folder)), sorted([kind + ".c", "meson.build"]), "files")
        with open(os.path.join(folder, "meson.build")) as f:
            need("agave-plugin" in f.read(), "no dependency on agave-plugin")
        cli.fails("plugin", "new", kind, "fresh", folder, names="exists")
        so = compile_plugin(cli, folder, kind, "fresh")
        row = listed(cli, "--plugin", so)[f"{kind}_fresh"]
        equal(row["path"], so, "path")
        out = cli.answer("plugin", "check", so)
        need("0 failed" in out, out)


def test_new_in_tree(cli):
    tree = os.path.join(cli.scratch, "tree")
    for part in ("core/abi/agave", "plugins/models", "tools"):
        os.makedirs(os.path.join(tree, part))
    for part in ("core/abi/agave/base.h", "plugins/meson.build", "tools/list-plugins.py"):
        shutil.copy(os.path.join(TREE, part), os.path.join(tree, part))
    cli.run("plugin", "new", "--in-tree", "model", "foo", tree)
    folder = os.path.join(tree, "plugins/models/foo")
    equal(sorted(os.listdir(folder)), ["meson.build", "model.c"], "files")
    with open(os.path.join(folder, "meson.build")) as f:
        need("plugins += {'model_foo'" in f.read(), "not the form of this tree")
    cli.fails("plugin", "new", "--in-tree", "model", "foo", tree, names="exists")
    cli.fails("plugin", "new", "--in-tree", "model", "foo", cli.scratch, names="source tree")


def test_check(cli):
    out = cli.answer("plugin", "check", installed(cli, "model_gemma3"))
    need("graph of 4 layers" in out and "0 failed" in out, out)
    out = cli.answer("plugin", "check", installed(cli, "format_gguf"), cli.gemma)
    need("cut short" in out and "0 failed" in out and "\nskip" not in out, out)
    out = cli.answer("plugin", "check", installed(cli, "backend_ref"))
    need("MATMUL" in out and "0 failed" in out, out)
    out, err = cli.run("plugin", "check", cli.file("model_x.so", b"\x7fELF"), code=1)
    need("FAIL" in out and "1 failed" in out, out)
    if "backend_null" in listed(cli):  # answers zeros: the comparison must notice
        out, err = cli.run("plugin", "check", installed(cli, "backend_null"), code=1)
        need("FAIL  MATMUL F32" in out, out)


def test_check_trace(cli):
    trace = os.path.join(cli.scratch, "trace.safetensors")
    golden = os.path.join(cli.data, "gemma3/golden.safetensors")
    model = installed(cli, "model_gemma3")
    cli.run("eval", "--backend", "ref", "--exact", "--trace", "--tokens", golden, "--logits", trace, cli.gemma)
    out = cli.answer("plugin", "check", model, "--model", cli.gemma, "--reference", trace, "--tokens", golden,
                     "--backend", "ref")
    need(re.search(r"ok +trace: \d+ tensors", out), out)
    with open(trace, "rb") as f:
        whole = bytearray(f.read())
    n = int.from_bytes(whole[:8], "little")
    at = json.loads(whole[8:8 + n])["mid.trace.layer.03.out"]["data_offsets"][0] + 8 + n
    whole[at:at + 4096] = bytes(4096)
    bad = cli.file("bad.safetensors", whole)
    out, err = cli.run("plugin", "check", model, "--model", cli.gemma, "--reference", bad, "--tokens", golden,
                       "--backend", "ref", code=1)
    need("mid.trace.layer.03.out is the first that differs" in out, out)


def test_out_of_tree(cli):
    """The model that lives outside: compiled against the headers alone, checked like any other."""
    folder = os.path.join(TREE, "subprojects/model_llama")
    so = os.path.join(cli.scratch, "model_llama.so")
    files = [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".c")]
    run = subprocess.run(["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared",
                          "-fvisibility=hidden", "-I", os.path.join(TREE, "core/abi"), *files, "-o", so, "-lm"],
                         capture_output=True, text=True)
    equal(run.returncode, 0, f"compiling model_llama: {run.stderr}")
    out = cli.answer("plugin", "check", so)
    need("llama (gguf): graph of 4 layers" in out and "llama (hf): graph of 4 layers" in out, out)
