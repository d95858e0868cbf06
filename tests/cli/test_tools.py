# SPDX-License-Identifier: MIT
"""eval, bench, info, doctor: options that contradict each other, shapes of results, interrupts."""
import array
import json
import os
import signal
import stat
import struct
import subprocess
import time

from harness import equal, need

REF = ("--backend", "ref", "--threads", "1")


def tokens(cli, ids, name="mid.tokens"):
    data = array.array("i", ids).tobytes()
    header = json.dumps({name: {"dtype": "I32", "shape": [len(ids)], "data_offsets": [0, len(data)]}}).encode()
    return cli.file("tokens.safetensors", struct.pack("<Q", len(header)) + header + data)


def read_header(path):
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))


def test_eval_options(cli):
    t, out = tokens(cli, [2, 5, 6]), os.path.join(cli.scratch, "out")
    text = cli.file("text", b"some words")
    cli.fails("eval", names="want <model>")
    cli.fails("eval", cli.gemma, names=["--tokens", "--text"])
    cli.fails("eval", "--tokens", t, "--text", text, cli.gemma, names=["--tokens", "--text"])
    cli.fails("eval", "--tokens", t, cli.gemma, names="--logits")
    cli.fails("eval", "--tokens", t, "--logits", out, "--step", "--chunk", "3", cli.gemma, names="--chunk")
    cli.fails("eval", "--tokens", t, "--logits", out, "--top", "3", cli.gemma, names="--text")
    cli.fails("eval", "--text", text, "--top", "3", cli.gemma, names="--out")
    cli.fails("eval", "--text", text, "--trace", cli.gemma, names="--logits")
    cli.fails("eval", "--text", text, "--top", "600", "--out", out, *REF, cli.gemma, names=["--top", "512"])
    cli.fails("eval", "--tokens", t, "--logits", out, "--chunk", "0", cli.gemma, names="--chunk")
    cli.fails("eval", "--tokens", text, "--logits", out, cli.gemma, names="text")
    cli.fails("eval", "--tokens", "/nowhere", "--logits", out, cli.gemma, names="/nowhere")
    cli.fails("eval", "--tokens", t, "--logits", "/nowhere/out", *REF, cli.gemma, names="/nowhere/out")
    cli.fails("eval", "--text", cli.file("empty", b""), *REF, cli.gemma, names=["empty", "2 tokens"])
    need(not os.path.exists(out), "a failed run wrote its output")
    # what a rename must not replace
    with open(t, "rb") as f:
        before = f.read()
    cli.fails("eval", "--tokens", t, "--logits", t, *REF, cli.gemma, names="replace what is read")
    with open(t, "rb") as f:
        equal(f.read(), before, "the prompts after a refusal")
    cli.fails("eval", "--tokens", t, "--logits", cli.scratch, *REF, cli.gemma, names="directory")
    pipe = os.path.join(cli.scratch, "pipe")
    os.mkfifo(pipe)
    cli.fails("eval", "--tokens", t, "--logits", pipe, *REF, cli.gemma, names="device or pipe")
    need(stat.S_ISFIFO(os.stat(pipe).st_mode), "the pipe was replaced")


def test_eval_output(cli):
    t, out = tokens(cli, [2, 5, 6], "a \"b\""), cli.file("out.safetensors", b"old")
    said = json.loads(cli.answer("eval", "--json", "--tokens", t, "--logits", out, "--greedy", "2", "--trace", *REF,
                                 cli.gemma))
    equal(said, {"logits": out, "prompts": {"a \"b\"": 3}, "steps": 2}, "result")
    shapes = {k: (v["dtype"], v["shape"]) for k, v in read_header(out).items()}
    layers = [k for k in shapes if ".trace.layer." in k]
    equal(shapes["a \"b\".logits"], ("F32", [3, 512]), "logits")
    equal(shapes["a \"b\".greedy.tokens"], ("I32", [2]), "greedy tokens")
    equal(shapes["a \"b\".greedy.logits"], ("F32", [2, 512]), "greedy logits")
    equal(shapes["a \"b\".trace.embed"], ("F32", [3, 64]), "embedding")
    equal(shapes["a \"b\".trace.layer.00.out"], ("F32", [3, 64]), "layer")
    equal(len(layers), 8, "layers")
    equal(shapes["eval.step_rows"], ("I32", [2]), "steps")
    equal(cli.answer("eval", "--quiet", "--tokens", t, "--logits", out, *REF, cli.gemma), "", "stdout")


def test_eval_interrupted(cli):
    folder = os.path.join(cli.scratch, "interrupted")
    os.mkdir(folder)
    t = tokens(cli, [2, 5, 6])
    for signo in (signal.SIGINT, signal.SIGKILL):
        p = subprocess.Popen([cli.agave, "eval", "--tokens", t, "--logits", os.path.join(folder, "out"), "--greedy",
                              "2000", *REF, cli.gemma], stderr=subprocess.PIPE, env=cli.env)
        time.sleep(0.5)
        p.send_signal(signo)
        err = p.communicate(timeout=60)[1].decode()
        need(p.returncode != 0, f"exit status {p.returncode} after a signal")
        need(signo == signal.SIGKILL or err.count("\n") == 1, f"message {err!r}")
        equal(os.listdir(folder), [], f"left behind by signal {signo}")


def test_bench(cli):
    options = ("--pp", "12", "--tg", "3", "--depth", "0,20", "--reps", "2", *REF)
    r = json.loads(cli.answer("bench", "--json", *options, cli.gemma))
    for key in ("model", "arch", "quant", "backend", "device", "build"):
        need(isinstance(r[key], str) and r[key], f"{key}: {r[key]!r}")
    equal((r["arch"], r["quant"], r["backend"], r["threads"]), ("gemma3", "F32", "ref", 1), "what was measured")
    need(r["read_bandwidth_gb_s"] > 0, "bandwidth")
    equal([(x["test"], x["depth"]) for x in r["rows"]], [("pp12", 0), ("tg3", 0), ("pp12", 20), ("tg3", 20)], "rows")
    for x in r["rows"]:
        speed = x["tok_per_sec"]
        need(0 < speed["min"] <= speed["median"] <= speed["max"], f"speeds {speed}")
        need(abs(x["gb_per_s"] / (x["bytes_per_token"] * speed["median"] * 1e-9) - 1) < 1e-3, f"bytes of {x}")
    need(r["rows"][3]["bytes_per_token"] > r["rows"][1]["bytes_per_token"], "a deeper cache is read whole")
    need("read bandwidth" in cli.answer("bench", *options, cli.gemma), "table")
    cli.fails("bench", "--depth", "1,x", cli.gemma, names="--depth")
    cli.fails("bench", "--pp", "0", "--tg", "0", cli.gemma, names=["--pp", "--tg"])
    cli.fails("bench", "--ctx-size", "100", *REF, cli.gemma, names=["--ctx-size", "512"])


def test_info(cli):
    r = json.loads(cli.answer("info", "--json", *REF, cli.gemma))
    want = {"name": "gemma3", "arch": "gemma3", "quant": "F32", "backend": "REF", "format": "GGUF v3", "layers": 8,
            "embed": 64, "heads": 4, "kv_heads": 2, "head_dim": 32, "ff_dim": 128, "vocab_size": 512,
            "file_size": os.path.getsize(cli.gemma), "vision": False, "kv_type_k": "f16", "kv_type_v": "f16",
            "chat_template": "gemma3"}
    equal({k: r.get(k) for k in want}, want, "info")
    need(r["load_ms"] > 0 and r["warmup_ms"] > 0 and r["n_params"] > 0 and "n_experts" not in r, f"numbers of {r}")
    text = cli.answer("info", *REF, cli.gemma)
    for line in ("Model: gemma3", "Arch: gemma3", "Layers: 8", "Heads: 4 / 2 (GQA 2:1)", "Vocab: 512"):
        need(line in text.splitlines(), f"{line!r} is not in {text}")
    need("Layers: 8" in cli.answer("--model-info", *REF, cli.gemma), "--model-info")
    equal(json.loads(cli.answer("--model-info", "--json", *REF, cli.gemma)).keys(), r.keys(), "--model-info --json")


def test_info_tensors_and_graph(cli):
    tensors = json.loads(cli.answer("info", "--tensors", "--json", cli.gemma))["tensors"]
    embd = [t for t in tensors if t["name"] == "token_embd.weight"][0]
    equal((embd["dtype"], embd["shape"], embd["bytes"], embd["part"]), ("F32", [64, 512], 64 * 512 * 4, 0), "tensor")
    size = os.path.getsize(cli.gemma)
    need(all(0 < t["offset"] and t["offset"] + t["bytes"] <= size for t in tensors), "offsets")
    equal(len(cli.answer("info", "--tensors", cli.gemma).splitlines()), len(tensors), "lines")
    drawn = cli.answer("info", "--graph", cli.gemma, "--threads", "1").splitlines()
    need(any(" = MATMUL " in x for x in drawn) and any(", T]" in x for x in drawn), "graph")
    counted = cli.answer("info", "--graph", "--tokens", "7", cli.gemma).splitlines()
    need(len(counted) == len(drawn) and not any(", T]" in x for x in counted), "graph of 7 tokens")
    both = json.loads(cli.answer("info", "--graph", "--json", *REF, cli.gemma))
    equal(both["graph"], drawn, "graph as JSON")
    need(not any(" GLU " in x for x in both["lowered"]), "ref has no composite")
    cli.fails("info", "--tokens", "7", cli.gemma, names="--graph")


def test_doctor(cli):
    r = json.loads(cli.answer("doctor", "--json"))
    need(r["machine"]["cores"] > 0 and r["read_bandwidth_gb_s"] > 0, "machine")
    need({"ref", "cpu"} <= {d["backend"] for d in r["devices"]}, f"devices {r['devices']}")
    need(all(x["path"].startswith(cli.scratch) for x in r["folders"]), f"folders {r['folders']}")
    broken = cli.file("backend_broken.so", b"not a plugin")
    text = cli.answer("doctor", "--plugin-dir", cli.scratch)
    need(any(x.startswith("refused:") and broken in x for x in text.splitlines()), text)
    need(len(text.splitlines()) < 40, "one screen")
