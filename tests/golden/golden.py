#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares `agave eval` with stored logits of tiny models. Standard library only.

usage: golden.py --agave PATH --data DIR --backend NAME [--plugin FILE]...
                 [--plugin-source DIR --include DIR --cc COMMAND] CASE...

With --plugin-source a model plugin is compiled from its folder and used.

modes:MODEL   exact logits of all prompts and the greedy continuation, from each file format, with the
              prompt in one step, token by token, in chunks, packed with others, after a rewind
trace:MODEL   exact residual stream after each layer
fast:MODEL    float weights, logits of the fast kernels: KL divergence and rms against the exact ones
quant         quantised models against the logits of their dequantised weights, exact and fast
text:MODEL    likelihood of a text against that of its logits, most likely tokens
bad:MODEL     prompts that must be refused by name, with nothing left behind

One line a comparison; exit status 1 when one falls short.
"""
import argparse
import array
import glob
import json
import math
import operator
import os
import shlex
import struct
import subprocess
import sys
import tempfile

MODES = {"batch": [], "step": ["--step"], "chunk": ["--chunk", "7"], "parallel": ["--parallel"],
         "rewind": ["--rewind", "5"]}
PROMPTS = ("one", "mid", "long")
CODES = {"F32": "f", "I32": "i"}


class Tensor:
    def __init__(self, shape, data):
        self.shape, self.data = list(shape), data

    def rows(self):
        n = self.shape[-1]
        return [self.data[i:i + n] for i in range(0, len(self.data), n)]


def load(path):
    with open(path, "rb") as f:
        raw = f.read()
    n = struct.unpack("<Q", raw[:8])[0]
    out, end = {}, 0
    for name, t in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__" or t["dtype"] not in CODES:
            continue
        a, b = t["data_offsets"]
        data = array.array(CODES[t["dtype"]], raw[8 + n + a:8 + n + b])
        if len(data) != math.prod(t["shape"]):
            raise ValueError(f"{path}: {name} has {len(data)} elements, shape {t['shape']}")
        out[name] = Tensor(t["shape"], data)
        end = max(end, b)
    if 8 + n + end != len(raw):
        raise ValueError(f"{path}: {len(raw)} bytes, header speaks of {8 + n + end}")
    return out


def save_tokens(path, prompts):
    header, data = {}, b""
    for name, ids in prompts.items():
        raw = array.array("i", ids).tobytes()
        header[name + ".tokens"] = {"dtype": "I32", "shape": [len(ids)],
                                    "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def difference(have, want):
    """Largest absolute difference; infinite when there is a NaN."""
    if have.shape != want.shape:
        raise ValueError(f"shape {have.shape}, want {want.shape}")
    worst = max(map(abs, map(operator.sub, have.data, want.data)))
    return worst if all(map(math.isfinite, have.data)) else math.inf


def argmax(row):
    return row.index(max(row))


def log_softmax(row):
    top = max(row)
    norm = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - norm for x in row]


def divergence(have, want):
    """Mean KL and rms over all rows of several tensors."""
    kl = square = rows = n = 0
    for h, w in zip(have, want):
        if h.shape != w.shape:
            raise ValueError(f"shape {h.shape}, want {w.shape}")
        for a, b in zip(h.rows(), w.rows()):
            p, q = log_softmax(b), log_softmax(a)
            kl += sum(math.exp(x) * (x - y) for x, y in zip(p, q))
            square += sum((x - y) ** 2 for x, y in zip(a, b))
            rows, n = rows + 1, n + len(a)
    return kl / rows, math.sqrt(square / n)


def shows_mode(rows, lengths, mode):
    """Do the sizes of the steps fit what was asked?"""
    if mode == "step":
        return max(rows) == 1
    if mode == "chunk":
        return max(rows) == 7
    if mode == "parallel":
        return max(rows) == sum(lengths)
    if mode == "rewind":
        return sum(rows) >= sum(lengths) + 5 * sum(n > 5 for n in lengths) + 23 * len(lengths)
    return max(lengths) in rows


class Suite:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.agave = shlex.split(os.environ.get("AGAVE", shlex.quote(args.agave)))
        self.out = os.path.join(folder, "out.safetensors")
        self.cases = self.failed = 0

    def command(self, model, prompts, options):
        tokens = os.path.join(self.folder, "tokens.safetensors")
        save_tokens(tokens, prompts)
        plugins = [x for p in self.args.plugin for x in ("--plugin", p)]
        return [*self.agave, "eval", "--quiet", "--backend", self.args.backend, "--tokens", tokens,
                "--logits", self.out, *plugins, *options, model]

    def run(self, model, prompts, options):
        r = subprocess.run(self.command(model, prompts, options), capture_output=True, text=True,
                           timeout=60)
        if r.returncode:
            raise RuntimeError(f"exit {r.returncode}: {r.stderr.strip()[-300:] or 'no message'}")
        got = load(self.out)
        os.unlink(self.out)
        return got

    def check(self, name, fn, *args):
        self.cases += 1
        try:
            notes, text = fn(*args)
        except (RuntimeError, ValueError, KeyError, OSError, subprocess.TimeoutExpired) as e:
            notes, text = [f"{type(e).__name__}: {e}"], ""
        self.failed += bool(notes)
        print("FAIL" if notes else "ok  ", name, text, "; ".join(notes), flush=True)

    def model(self, name):
        folder = os.path.join(self.args.data, name)
        with open(os.path.join(folder, "meta.json"), encoding="utf-8") as f:
            tolerance = json.load(f)["tolerance"]["max_abs_logits_f32_engine"]
        gold = load(os.path.join(folder, "golden.safetensors"))
        return folder, gold, tolerance, {p: gold[p + ".tokens"].data for p in PROMPTS}

    def one_mode(self, path, gold, tolerance, prompts, mode):
        # threads never change a number: one mode has two, the others do without their cost
        options = ["--exact", "--greedy", "24", "--threads", "2" if mode == "chunk" else "1"]
        got = self.run(path, prompts, options + MODES[mode])
        notes, worst = [], 0
        for p in PROMPTS:
            have, want = got[p + ".logits"], gold[p + ".logits"]
            d = difference(have, want)
            worst = max(worst, d)
            if d > tolerance:
                notes.append(f"{p}: {d:.1e}, tolerance {tolerance:.1e}")
            if any(argmax(a) != argmax(b) for a, b in zip(have.rows(), want.rows())):
                notes.append(f"{p}: argmax differs")
        if got["mid.greedy.tokens"].data != gold["greedy.tokens"].data:
            notes.append("greedy tokens differ")
        d = difference(got["mid.greedy.logits"], gold["greedy.logits"])
        if d > tolerance:
            notes.append(f"greedy logits: {d:.1e}")
        if not shows_mode(got["eval.step_rows"].data, [len(x) for x in prompts.values()], mode):
            notes.append(f"steps of {list(got['eval.step_rows'].data)} rows")
        return notes, f"{max(worst, d):.1e}"

    def modes(self, name):
        folder, gold, tolerance, prompts = self.model(name)
        for form, path in (("gguf", "model-f32.gguf"), ("hf", "hf")):
            for mode in MODES:
                self.check(f"{name} {form} {mode}", self.one_mode, os.path.join(folder, path), gold,
                           tolerance, prompts, mode)

    def one_trace(self, path, gold, tolerance, prompts, mode):
        got = self.run(path, prompts, ["--exact", "--trace", "--threads", "1", *MODES[mode]])
        layers = sorted(k for k in gold if k.startswith("trace.layer.") and k.endswith(".out"))
        notes, worst = [], 0
        for have, want in [("embed", "trace.embed_tokens")] + [(k[6:], k) for k in layers]:
            d = difference(got["mid.trace." + have], gold[want])
            d /= max(1, max(map(abs, gold[want].data)))
            worst = max(worst, d)
            if d > tolerance and not notes:
                notes.append(f"{have}: relative {d:.1e}")
        extra = [k for k in got if k.startswith("mid.trace.layer.")]
        if len(extra) != len(layers):
            notes.append(f"{len(extra)} layers traced, want {len(layers)}")
        return notes, f"{worst:.1e}"

    def trace(self, name):
        folder, gold, tolerance, prompts = self.model(name)
        for form, path in (("gguf", "model-f32.gguf"), ("hf", "hf")):
            for mode in ("batch", "parallel"):
                self.check(f"{name} {form} trace {mode}", self.one_trace, os.path.join(folder, path),
                           gold, tolerance, prompts, mode)

    def one_fast(self, path, gold, prompts):
        got = self.run(path, prompts, [])
        names = [p + ".logits" for p in prompts]
        kl, rms = divergence([got[n] for n in names], [gold[n] for n in names])
        notes = ["too far"] if not (kl <= 0.01 and rms <= 0.15) else []
        return notes, f"KL {kl:.1e} rms {rms:.3f}"

    def fast(self, name):
        folder, gold, _, prompts = self.model(name)
        for path in sorted(glob.glob(os.path.join(folder, "model-*f*.gguf"))):
            self.check(f"{name} {os.path.basename(path)} fast", self.one_fast, path, gold, prompts)

    def one_exact(self, path, gold, prompts):
        got = self.run(path, prompts, ["--exact", "--greedy", str(len(gold["greedy.tokens"].data))])
        pairs = [(p + ".logits", p + ".logits") for p in prompts]
        worst = max(difference(got[have], gold[want])
                    for have, want in pairs + [("mid.greedy.logits", "greedy.logits")])
        notes = ["too far"] if worst > 2e-3 else []
        if got["mid.greedy.tokens"].data != gold["greedy.tokens"].data:
            notes.append("greedy tokens differ")
        return notes, f"{worst:.1e}"

    def quant(self):
        for path in sorted(glob.glob(os.path.join(self.args.data, "quant", "*.gguf"))):
            gold = load(path[:-len(".gguf")] + ".golden.safetensors")
            prompts = {k[:-7]: gold[k].data for k in gold
                       if k.endswith(".tokens") and k[:-7] in PROMPTS}
            name = os.path.basename(path)
            self.check(name + " exact", self.one_exact, path, gold, prompts)
            self.check(name + " fast", self.one_fast, path, gold, prompts)

    def one_text(self, path, text, ids):
        name = os.path.join(self.folder, "text.txt")
        with open(name, "wb") as f:
            f.write(text.encode())
        plugins = [x for p in self.args.plugin for x in ("--plugin", p)]
        r = subprocess.run([*self.agave, "eval", "--quiet", "--exact", "--backend", self.args.backend,
                            "--text", name, "--top", "5", "--out", self.out, *plugins, path],
                           capture_output=True, text=True, timeout=60)
        os.unlink(name)
        if r.returncode:
            raise RuntimeError(f"exit {r.returncode}: {r.stderr.strip()[-300:]}")
        said, top = json.loads(r.stdout), load(self.out)
        rows = [log_softmax(x) for x in
                self.run(path, {"p": ids}, ["--exact"])["p.logits"].rows()]
        nll = -sum(rows[i][ids[i + 1]] for i in range(len(ids) - 1)) / (len(ids) - 1)
        notes = []
        if said["tokens"] != len(ids):
            return [f"{said['tokens']} tokens, want {len(ids)}"], ""
        if abs(said["nll_mean"] - nll) > 1e-5 or abs(said["perplexity"] / math.exp(nll) - 1) > 1e-5:
            notes.append(f"{said}, want mean {nll}")
        for i, row in enumerate(rows):
            best = sorted(range(len(row)), key=lambda t: (-row[t], t))[:5]
            logprobs = top["text.top_logprobs"].rows()[i]
            if list(top["text.top_ids"].rows()[i]) != best:
                notes.append(f"position {i}: {list(top['text.top_ids'].rows()[i])}, want {best}")
            elif max(abs(a - row[t]) for a, t in zip(logprobs, best)) > 1e-4:
                notes.append(f"position {i}: {list(logprobs)}")
        return notes[:3], f"nll {nll:.4f}"

    def text(self, name):
        folder, _, _, _ = self.model(name)
        with open(os.path.join(folder, "tokenizer_tests.json"), encoding="utf-8") as f:
            tests = json.load(f)
        tests = [t for t in tests if len(t["ids_special"]) > 8][:3]
        for i, t in enumerate(tests):
            self.check(f"{name} text {i}", self.one_text, os.path.join(folder, "model-f32.gguf"),
                       t["text"], t["ids_special"])

    def one_bad(self, path, prompts, options, words):
        r = subprocess.run(self.command(path, prompts, options), capture_output=True, text=True,
                           timeout=60)
        notes = []
        if r.returncode != 1:
            notes.append(f"exit {r.returncode}")
        if len(r.stderr.splitlines()) != 1 or not all(w in r.stderr for w in words):
            notes.append(f"message {r.stderr.strip()[-300:]!r}, want one line with {words}")
        left = [f for f in os.listdir(self.folder) if f != "tokens.safetensors"]
        if left:
            notes.append(f"left behind: {left}")
        return notes, r.stderr.strip()[:120]

    def bad(self, name):
        folder, gold, _, _ = self.model(name)
        path, fine = os.path.join(folder, "model-f32.gguf"), list(gold["mid.tokens"].data)
        vocabulary = gold["mid.logits"].shape[1]
        for what, prompts, options, words in (
                ("id too large", {"good": fine, "huge": [1, vocabulary]}, [], ["huge", str(vocabulary)]),
                ("id below 0", {"below": [1, -1]}, [], ["below", "-1"]),
                ("empty", {"good": fine, "void": []}, [], ["void", "empty"]),
                ("too long", {"wide": [5] * 41}, ["--ctx-size", "40"], ["wide", "41", "40"]),
                ("greedy too long", {"wide": [5] * 38}, ["--ctx-size", "40", "--greedy", "4"],
                 ["wide", "38", "--greedy", "40"]),
                ("no prompt", {}, [], ["no prompt"]),
                ("two of a name", {"a": [5], "a.greedy": [5]}, ["--greedy", "2"],
                 ["a.greedy.logits"])):
            self.check(f"{name} {what}", self.one_bad, path, prompts, options, words)


def compile_plugin(args, folder):
    """What a plugin's own build does, against the headers of the source tree."""
    out = os.path.join(folder, os.path.basename(os.path.normpath(args.plugin_source)) + ".so")
    sources = sorted(glob.glob(os.path.join(args.plugin_source, "*.c")))
    subprocess.run([*args.cc.split(), "-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-I", args.include, "-o", out, *sources, "-lm"], check=True, timeout=120)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--agave", required=True, help="$AGAVE wins: an installed binary, or an emulator and the binary")
    ap.add_argument("--data", required=True)
    ap.add_argument("--backend", required=True)
    ap.add_argument("--plugin", action="append", default=[])
    ap.add_argument("--plugin-source")
    ap.add_argument("--include", default="")
    ap.add_argument("--cc", default="cc")
    ap.add_argument("case", nargs="+")
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as built:
        if args.plugin_source:
            args.plugin.append(compile_plugin(args, built))
        suite = Suite(args, folder)
        for case in args.case:
            kind, _, model = case.partition(":")
            if kind not in ("modes", "trace", "fast", "text", "quant", "bad") or (kind == "quant") == bool(model):
                ap.error(f"no case {case}")
            getattr(suite, kind)(*([model] if model else []))
    print(f"{suite.cases - suite.failed} of {suite.cases} hold")
    return 1 if suite.failed or not suite.cases else 0


if __name__ == "__main__":
    sys.exit(main())
