# SPDX-License-Identifier: MIT
"""One-shot answers. The model has random weights: what it says means nothing, but is always the same."""
import json
import os
import signal
import subprocess
import time

from harness import equal, need

PROMPT = "The river runs past the old mill"


def test_repeatable(cli):
    a, err = cli.run("--raw", "-n", "12", cli.gemma, PROMPT)
    need(a.endswith("\n") and len(a) > 2, repr(a))
    for line in ("agave ", "loading ", "system: ", "loaded: GGUF", "context: ", "tok/s"):
        need(line in err, f"{line!r} is not in {err!r}")
    equal(cli.answer("--raw", "-n12", "--threads", "1", cli.gemma, PROMPT), a, "with one thread")
    equal(cli.answer("--raw", "-n12", "--prefill-batch-size", "3", cli.gemma, PROMPT), a, "in chunks of 3")
    equal(cli.answer("--raw", "-n12", "--mmap", "--seed", "5", cli.gemma, PROMPT), a, "greedy needs no seed")


def test_quiet(cli):
    out, err = cli.run("-q", "--raw", "-n", "3", cli.gemma, PROMPT)
    equal(err, "", "stderr with --quiet")
    need(out.strip(), "an answer")


def test_verbose_and_debug(cli):
    _, err = cli.run("-V", "--raw", "-n", "3", cli.gemma, PROMPT)
    need("prefill" in err and "memory:" in err and "hd" in err, err)
    _, err = cli.run("-d", "-n", "3", cli.gemma, PROMPT)
    need("prompt: " in err and "token " in err, err)


def test_json(cli):
    out, err = cli.run("--json", "--raw", "-n", "9", "--seed", "7", cli.gemma, PROMPT)
    equal(err, "", "stderr with --json")
    equal(out.count("\n"), 1, "lines")
    r = json.loads(out)
    fields = {"model": str, "arch": str, "quant": str, "backend": str, "version": str, "output": str, "tokens": int,
              "tok_per_sec": float, "prefill_tokens": int, "prefill_ms": float, "prefill_tok_per_sec": float,
              "gen_ms": float, "finish_reason": str, "prompt": str, "seed": int}
    for name, kind in fields.items():
        need(isinstance(r[name], kind), f"{name}: {r[name]!r}")
    equal((r["arch"], r["backend"], r["prompt"], r["seed"]), ("gemma3", "CPU", PROMPT, 7), "fields")
    equal(r["output"] + "\n", cli.answer("--raw", "-n", "9", cli.gemma, PROMPT), "the text")
    if r["finish_reason"] == "length":
        equal(r["tokens"], 9, "tokens")


def test_sampling(cli):
    def drawn(seed):
        return cli.answer("-q", "--raw", "-n", "16", "-t", "1.5", "--seed", str(seed), cli.gemma, PROMPT)
    equal(drawn(3), drawn(3), "the same seed")
    need(len({drawn(s) for s in range(4)}) > 1, "seeds differ")
    greedy = cli.answer("-q", "--raw", "-n", "16", cli.gemma, PROMPT)
    equal(cli.answer("-q", "--raw", "-n", "16", "-t", "2", "--top-k", "1", cli.gemma, PROMPT), greedy, "top-k 1")


def test_unused_tokens_are_not_drawn(cli):
    with open(cli.gemma, "rb") as f:
        whole = bytearray(f.read())
    drawn = [int(x.split()[1]) for x in cli.run("-qd", "--raw", "-n", "1", cli.gemma, PROMPT)[1].splitlines()
             if x.startswith("token ")]
    key = b"tokenizer.ggml.token_type"
    first = whole.index(key) + len(key) + 4 + 4 + 8  # type of the value, of its elements, their number
    whole[first + 4 * drawn[0]:first + 4 * drawn[0] + 4] = (5).to_bytes(4, "little")  # unused
    said = cli.run("-qd", "--raw", "-n", "1", cli.file("unused.gguf", whole), PROMPT)[1]
    need("token " in said and f"token {drawn[0]}\n" not in said, f"token {drawn} is unused and was drawn: {said}")


def test_stop(cli):
    whole = json.loads(cli.answer("--json", "--raw", "-n", "40", cli.gemma, PROMPT))["output"]
    stop = whole[len(whole) // 2:][:3]
    r = json.loads(cli.answer("--json", "--raw", "-n", "40", "--stop", stop, cli.gemma, PROMPT))
    equal(r["output"], whole[:whole.index(stop)], f"text before {stop!r}")
    equal(r["finish_reason"], "stop_sequence", "finish_reason")


def test_standard_input(cli):
    want = cli.answer("-q", "--raw", "-n", "8", cli.gemma, PROMPT)
    equal(cli.answer("-q", "--raw", "-n", "8", cli.gemma, stdin=PROMPT.encode() + b" \n\n"), want, "from stdin")
    joined = cli.answer("-q", "--raw", "-n", "8", cli.gemma, "One\n\n" + PROMPT)
    equal(cli.answer("-q", "--raw", "-n", "8", cli.gemma, "One", stdin=PROMPT.encode()), joined, "both")
    cli.fails(cli.gemma, names="empty prompt")
    cli.fails(cli.gemma, "", names="empty prompt")
    cli.fails(cli.gemma, stdin=b" \n", names="empty prompt")
    cli.fails(cli.gemma, stdin=b"good \xff bad", names=["UTF-8", "0xff", "offset 5"])
    cli.fails(cli.gemma, stdin=b"a" * (2 ** 20 + 1), names="1048576")


def test_texts_are_utf8(cli):
    for args in (["--system", "\udcff"], ["--stop", "ok", "--stop", "a\udcc3"]):
        cli.fails(*args, cli.gemma, "x", names=[args[0], "UTF-8", "found byte 0x"])


def test_closed_streams(cli):
    def closed(fd, *args):
        return subprocess.run(["sh", "-c", f'exec "$@" {fd}', "sh", cli.agave, *args], capture_output=True, env=cli.env)
    run = closed("<&-", cli.gemma, "hi", "-n4", "-q")
    equal((run.returncode, run.stderr), (0, b""), "without standard input")
    run = closed("<&-", cli.gemma, "-n4", "-q")
    equal(run.returncode, 1, "without standard input and prompt")
    need(b"empty prompt" in run.stderr, run.stderr)
    run = closed(">&-", cli.gemma, "hi", "-n4", "-q")
    equal(run.returncode, 1, "without standard output")
    need(b"standard output: " in run.stderr, run.stderr)
    history = os.path.join(cli.scratch, "out")
    equal(closed(f"2>&- >{history}", cli.gemma, "hi", "-n4").returncode, 0, "without standard error")
    with open(history) as f:
        need("agave" not in f.read(), "the banner is in the answer")


def test_prompt_longer_than_the_context(cli):
    cli.fails("--raw", "--ctx-size", "16", cli.gemma, "word " * 40, names=["16", "tokens", "--ctx-size"])


def test_context_ends_the_answer(cli):
    r = json.loads(cli.answer("--json", "--raw", "--ctx-size", "24", "-n", "500", cli.gemma, PROMPT))
    need(r["finish_reason"] in ("length", "stop"), str(r))
    need(r["prefill_tokens"] + r["tokens"] <= 25, f"{r['prefill_tokens']} + {r['tokens']} tokens")


def test_context_sizes(cli):
    for size, word in (("0", "context: 2048"), ("64", "context: 64"), ("auto", "context: ")):
        _, err = cli.run("--raw", "-n", "1", "--ctx-size", size, cli.gemma, PROMPT)
        need(word in err, err)
    _, err = cli.run("--raw", "-n", "1", "--ctx-size", "4000", cli.gemma, PROMPT)
    need("warning: --ctx-size 4000" in err, err)


def test_recipe(cli):
    _, err = cli.run("--raw", "-n", "1", cli.gemma, PROMPT)
    need("recipe: CPU generic" in err, err)
    _, err = cli.run("--raw", "-n", "1", "--no-recipe", cli.gemma, PROMPT)
    need("recipe:" not in err, err)


def test_recipe_fills_what_is_open(cli):
    def tokens(*args):
        r = json.loads(cli.answer("--json", "--raw", "-t", "1", "--seed", "2", *args, cli.gemma, PROMPT))
        return r["tokens"], r["finish_reason"]
    seen = tokens("-n", "300")
    if seen == (300, "length"):
        equal(tokens(), (256, "length"), "the recipe's limit")
        equal(tokens("--no-recipe", "-n", "299"), (299, "length"), "without it")
    else:
        need(seen[0] < 300 and seen[1] == "stop", str(seen))


def test_cache_types(cli):
    for kind in ("f32", "F16", "bf16", "q8_0"):
        need(cli.answer("-q", "--raw", "-n", "4", "--kv-type", kind, cli.gemma, PROMPT).strip(), kind)
    _, err = cli.run("--raw", "-n", "1", "--kv-type", "f16", "--kv-type-k", "f16", "--kv-type-v", "f32", cli.gemma, "x")
    need("--kv-type has no effect" in err and "wider" in err, err)


def test_chat_template(cli):
    chat = cli.answer("-q", "-n", "8", cli.gemma, PROMPT)
    need(chat != cli.answer("-q", "--raw", "-n", "8", cli.gemma, PROMPT), "--raw makes a difference")
    equal(cli.answer("-q", "-n", "8", "--chat-template", "gemma3", cli.gemma, PROMPT), chat, "by name")
    need(cli.answer("-q", "-n", "8", "--system", "Be brief.", cli.gemma, PROMPT) != chat, "--system")
    cli.fails("--chat-template", "nothing", cli.gemma, "hi", names=["nothing", "gemma3", "chatml", "--raw"])
    _, err = cli.run("--raw", "--system", "x", "-n", "1", cli.gemma, PROMPT)
    need("--system has no effect" in err, err)


def test_thinking(cli):
    _, err = cli.run("--think", "on", "-n", "1", cli.gemma, PROMPT)
    need("warning: --think has no effect" in err, err)
    cli.fails("--think", "maybe", cli.gemma, PROMPT, names="on|off|auto")


def test_names_in_files_cannot_reach_the_terminal(cli):
    with open(cli.gemma, "rb") as f:
        whole = f.read()
    name = whole.index(b"gemma3", whole.index(b"general.architecture"))
    path = cli.file("evil.gguf", whole[:name] + b"\033[2J\xc2\x9b"[:6] + whole[name + 6:])
    out, err = cli.run("--json", path, "hi", code=1)
    need("\033" not in out + err and "\u001b" not in out, f"{out!r} {err!r}")


def test_profile(cli):
    _, err = cli.run("--profile", "--raw", "-n", "3", cli.gemma, PROMPT)
    need("Operation" in err and "MATMUL" in err, err)
    r = json.loads(cli.answer("--json", "--profile", "--raw", "-n", "3", cli.gemma, PROMPT))
    need(any(row["op"] == "MATMUL" and row["calls"] > 0 for row in r["profile"]), str(r["profile"])[:200])


def test_colour(cli):
    out, err = cli.run("--color", "always", "--raw", "-n", "3", cli.gemma, PROMPT)
    need("\033[" in err, "colours")
    for args in (["--no-color"], ["--color", "never"], []):
        out, err = cli.run(*args, "--raw", "-n", "3", cli.gemma, PROMPT)
        need("\033" not in out + err, f"{args}: escape sequences")


def test_reader_leaves(cli):
    p = subprocess.Popen([cli.agave, "--raw", "-n", "2000", cli.gemma, PROMPT], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.env)
    p.stdout.close()
    err = p.stderr.read().decode()
    equal(p.wait(60), 0, "exit status")
    need("error" not in err, err)


def test_full_disk(cli):
    if not os.path.exists("/dev/full"):
        return
    with open("/dev/full", "wb") as full:
        r = subprocess.run([cli.agave, "--raw", "-n", "4", cli.gemma, PROMPT], stdin=subprocess.DEVNULL, stdout=full,
                           stderr=subprocess.PIPE, env=cli.env, timeout=60)
    equal(r.returncode, 1, "exit status")
    need(b"standard output" in r.stderr, r.stderr)


def test_interrupt(cli):
    """Ctrl+C while it writes: what is there stays, status 130."""
    args = [cli.agave, "--backend", "ref", "--raw", "-n", "100000", "--ctx-size", "30000", cli.gemma, PROMPT]
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.env)
    first = p.stdout.read(1)
    p.send_signal(signal.SIGINT)
    begin = time.monotonic()
    out, err = p.communicate(timeout=60)
    need(time.monotonic() - begin < 5, "it stops at once")
    equal(p.returncode, 130, "exit status")
    need((first + out).endswith(b"\n"), "a newline at the end")
    need(b"tok/s" in err, err)


def test_interrupt_with_json(cli):
    args = [cli.agave, "--backend", "ref", "--json", "--raw", "-n", "100000", "--ctx-size", "30000",
            cli.gemma, PROMPT]
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.env)
    time.sleep(1.0)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    if p.returncode == -signal.SIGINT:  # a slow machine: it was still loading
        return
    r = json.loads(out)
    equal((p.returncode, r["finish_reason"]), (130, "interrupted"), f"status and finish_reason {err!r}")
