# SPDX-License-Identifier: MIT
"""Options, help, version, exit status."""
import json

from harness import equal, need

REFUSED = [
    (["--bogus", "m"], "--bogus"), (["-Z", "m"], "-Z"), (["m", "-n"], "-n"), (["m", "--top-p"], "--top-p"),
    (["-n", "0", "m", "x"], "'0'"), (["-n", "x", "m"], "'x'"), (["-n", "1e3", "m"], "'1e3'"),
    (["-t", "nan", "m"], "'nan'"), (["-t", "inf", "m"], "'inf'"), (["-t", "-1", "m"], "'-1'"),
    (["--top-p", "0", "m"], "--top-p"), (["--top-p=1.01", "m"], "1.01"), (["--min-p", "2", "m"], "'2'"),
    (["--seed", "-4", "m"], "--seed"), (["--seed", "18446744073709551616", "m"], "--seed"),
    (["--ctx-size", "lots", "m"], "auto"), (["--kv-type", "q4", "m"], "q8_0"),
    (["--color", "pink", "m"], "auto|always|never"), (["--quiet=yes", "m"], "--quiet"),
    (["--threads", "0", "m"], "--threads"), (["-qZ", "m"], "-Z"), (["--threads", "513", "m"], "at most 512"),
    (["-n", "2147483648", "m"], "at most 2147483647"), (["-n", "99999999999999999999", "m"], "at most 2147483647"), (["--stop", "", "m"], "--stop"),
]


def test_unknown_and_out_of_range(cli):
    for args, name in REFUSED:
        cli.fails(*args, names=[name, "--help"])


def test_errors_as_json(cli):
    for args in (["--json", "--bogus", "m"], ["--bogus", "m", "--json"], ["--json", "/nowhere", "hi"]):
        out, err = cli.run(*args, code=1)
        need(err.startswith("error: "), f"stderr {err!r}")
        equal(json.loads(out)["error"], err.splitlines()[0][len("error: "):], "the text in the object")


def test_help(cli):
    out, err = cli.run("--help")
    equal(err, "", "stderr of --help")
    for word in ("Usage: agave", "--temperature", "--backend", "Commands"):
        need(word in out, f"{word} is not in the help")
    equal(cli.run("help")[0], out, "agave help")
    equal(cli.run("--bogus", "-n", "x", "--help")[0], out, "--help wins")
    for command in ("eval", "bench"):
        text = cli.run("help", command)[0]
        need(f"Usage: agave {command}" in text, text[:80])
        equal(cli.run(command, "--help")[0], text, f"{command} --help")
    cli.fails("help", "nothing", names="'nothing'")
    cli.fails("help", "eval", "bench", names="one command")


def test_version(cli):
    out, err = cli.run("--version", "--bogus")
    need(out.startswith("agave ") and out.count("\n") == 1 and not err, f"{out!r} {err!r}")
    equal(cli.run("-v")[0], out, "-v")
    need("backends:" in cli.run("-vV")[0], "--version --verbose names the backends")


def test_no_model(cli):
    cli.fails(names=["model", "--help"])
    cli.fails("--raw", "-n", "3", names="model")


def test_an_option_of_another_command(cli):
    cli.fails("--logits", "x", cli.gemma, "hi", names=["--logits", "agave eval"])
    cli.fails("eval", "--top-p", "0.5", cli.gemma, names=["--top-p", "agave"])


def test_extra_arguments(cli):
    out, err = cli.run("--raw", "-n", "2", cli.gemma, "one", "two", "three")
    need("warning: extra arguments ignored" in err, err)
    equal(out, cli.run("--raw", "-n", "2", cli.gemma, "one")[0], "the answer")


def test_devices(cli):
    out, err = cli.run("--list-devices")
    need(out.startswith("Available devices:\n") and "cpu:0" in out, out)
    rows = json.loads(cli.run("--list-devices", "--json")[0])
    need({"cpu"} <= {r["backend"] for r in rows}, str(rows))
    for row in rows:
        need({"backend", "index", "name", "memory_total", "unified", "arch"} <= set(row), str(row))
    cli.fails("--backend", "nothing", cli.gemma, "hi", names=["nothing", "cpu"])
    cli.fails("--backend", "cpu", "--device", "7", cli.gemma, "hi", names="7")


def test_a_word_that_is_a_command_can_be_a_file(cli):
    cli.fails("./eval", "hi", names="./eval")


def test_tokenize(cli):
    words = ["The river runs", "<bos>", "gr\u00fc\u00df \U0001f331", ""]
    lines = "".join(json.dumps(w) + "\n" for w in words).encode()
    ids = cli.answer("tokenize", "-q", cli.gemma, stdin=lines)
    rows = [json.loads(x) for x in ids.splitlines()]
    equal(len(rows), len(words), "lines")
    need(rows[1] != [2] and rows[3] == [], f"{rows}")
    back = cli.answer("tokenize", "-q", "--decode", cli.gemma, stdin=ids.encode())
    equal([json.loads(x) for x in back.splitlines()], words, "there and back")
    with_bos = json.loads(cli.answer("tokenize", "-q", "--special", cli.gemma, stdin=b'"The river runs"\n'))
    equal(with_bos, [2] + rows[0], "--special")
    cli.fails("tokenize", cli.gemma, stdin=b"not json\n", names="line 1")
    _, err = cli.run("tokenize", "--ctx-size", "5", cli.gemma, stdin=b'"x"\n')
    need("warning: --ctx-size has no effect" in err, err)


def test_template(cli):
    request = b'{"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true}'
    want = "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"
    equal(cli.answer("template", "--builtin", "gemma3", stdin=request), want, "by name")
    equal(cli.answer("template", cli.gemma, stdin=request), want, "of a model")
    cli.fails("template", "--builtin", "nothing", stdin=request, names=["nothing", "gemma3", "chatml"])
    cli.fails("template", stdin=request, names="--builtin")
    cli.fails("template", "--builtin", "gemma3", stdin=b"{", names="error")


def test_jinja_template(cli):
    request = (b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"function": {"name": '
               b'"f", "arguments": "{\\"a\\": [1, 2.0]}"}}]}], "tools": [{"x": "\xc3\xa4"}], "thinking": true, "now": "2026-01-02", '
               b'"add_generation_prompt": true}')
    path = cli.file("own.jinja", b"{% for m in messages %}<|{{ m.role }}|>{{ m.content | default('-') | upper }}"
                    b"{% for c in m.tool_calls %}{{ c.function.arguments.a }}{% endfor %}\n{% endfor %}"
                    b"{{ tools | tojson }}{{ enable_thinking }}{{ documents }}{{ strftime_now('%d %b %Y') }}{{ bos_token }}")
    want = "<|user|>HI<|assistant|>-[1, 2.0][{\"x\": \"\u00e4\"}]TrueNone02 Jan 2026"
    equal(cli.answer("template", "--template", path, stdin=request), want, "of a file")
    equal(cli.answer("template", "--template", path, cli.gemma, stdin=request), want + "<bos>", "of a file, with a model")
    cli.fails("template", "--template", path, stdin=b'{"messages": 1}', names="messages")
    cli.fails("template", "--template", path, "--builtin", "gemma3", stdin=request, names="not both")
    cli.fails("template", "--template", "/nowhere/x.jinja", stdin=request, names="/nowhere/x.jinja")
    for text, name in ((b"{{ 1 | nosuch }}", "1:8: the filter nosuch"), (b"\n{% if %}", "2:7"), (b"\xff", "UTF-8"),
                       (b"{{ raise_exception('want a system message') }}", "want a system message")):
        cli.fails("template", "--template", cli.file("bad.jinja", text), stdin=request, names=name)
    gemma = cli.file("gemma.jinja", b"{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}"
                     b"<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}")
    run = ("-q", "-n", "8", "--temperature", "0", cli.gemma, "a <end_of_turn> b")
    equal(cli.answer("--chat-template", gemma, *run), cli.answer("--chat-template", "gemma3", *run), "--chat-template FILE")
    cli.fails("--chat-template", cli.file("bad.jinja", b"{% x %}"), cli.gemma, "hi", names=["bad.jinja", "1:4"])
