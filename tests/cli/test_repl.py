# SPDX-License-Identifier: MIT
"""The conversation, on a pseudo-terminal."""
import os
import signal
import stat
import termios
import time

from harness import Terminal, equal, need

PROMPT = "> "
INTRO = "Ctrl+D to quit."


class talk:
    """A conversation that is closed whatever happens."""

    def __init__(self, cli, *args, **more):
        self.t = Terminal(cli, "-n", "6", "--color", "never", *args, cli.gemma, **more)

    def __enter__(self):
        self.t.until(INTRO)
        self.t.until(PROMPT)
        return self.t

    def __exit__(self, *_):
        self.t.close()


def line(t, text, want):
    t.send(text + "\r")
    got = t.until(want)
    t.until(PROMPT)
    return got


def test_answers_and_leaves(cli):
    with talk(cli) as t:
        line(t, "Hello", "tok/s")
        line(t, "And again", "tok/s")
        t.send("\x04")
        equal(t.end(), 0, "exit status after Ctrl+D")


def test_commands(cli):
    with talk(cli) as t:
        line(t, "/help", "/quit")
        line(t, "/nothing at all", "Unknown command: /nothing (try /help)")
        line(t, "/context", "Context: 0 / ")
        line(t, "Hello there", "tok/s")
        got = line(t, "/ctx", "% used)")
        need("Context: 0 /" not in got, got)
        line(t, "/clear", "cleared")
        line(t, "/context", "Context: 0 / ")
        line(t, "/system", "System prompt: none")
        line(t, "/system Be kind", "cleared")
        line(t, "/system", "Be kind")
        line(t, "/system none", "removed")
        line(t, "/model", "Layers: 8")
        line(t, "/stats", "off")
        line(t, "/verbose", "on")
        line(t, "/debug", "on")
        line(t, "/debug", "off")
        line(t, "/verbose", "off")
        t.send("/quit\r")
        equal(t.end(), 0, "exit status after /quit")


def test_the_cache_is_reused(cli):
    with talk(cli, "--verbose") as t:
        first = line(t, "one two three four five six seven eight nine ten", "tok/s)")
        second = line(t, "go on", "tok/s)")
        count = [int(x.split("prefill ")[-1].split(" tok in")[0]) for x in (first, second)]
        need(count[1] < count[0] + 6, f"prefilled {count}")


def test_ctrl_c_at_the_prompt(cli):
    with talk(cli) as t:
        t.send("half a line\x03")
        t.until("Press Ctrl+C again to quit")
        t.until(PROMPT)
        time.sleep(1.2)
        t.send("\x03")
        t.until("Press Ctrl+C again to quit")
        t.send("\x03")
        equal(t.end(), 0, "exit status")


def test_ctrl_c_stops_an_answer(cli):
    with talk(cli, "--backend", "ref", "-n", "100000", "--ctx-size", "30000") as t:
        t.send("Hello\r")
        t.until("\n")
        time.sleep(0.5)
        t.send("\x03")
        t.until("[stopped]")
        t.until(PROMPT)
        t.send("\x04")
        equal(t.end(), 0, "exit status")


def test_editing(cli):
    with talk(cli) as t:
        line(t, "/contXX\x7f\x7fext", "Context: 0")
        line(t, "ontext\x01/c\x05", "Context: 0")
        line(t, "junk\x15/context", "Context: 0")
        line(t, "/context\x1b[D\x1b[D\x1b[3~\x1b[3~xt", "Context: 0")
        line(t, "\x1b[A", "Context: 0")
        line(t, "/system gr\u00fc\u00df \u4f60\x7f\u597d", "cleared")
        line(t, "/system", "gr\u00fc\u00df \u597d")
        t.send("\x04")
        equal(t.end(), 0, "exit status")


def test_continued_lines_and_pasting(cli):
    with talk(cli) as t:
        t.send("/system one\\\r")
        t.until(". ")
        t.send("two\r")
        t.until("cleared")
        t.until(PROMPT)
        got = line(t, "/system", "two")
        need("one" in got, got)
        t.send("\x1b[200~/system first\nsecond\n\x1b[201~")
        time.sleep(0.3)
        t.send("\r")
        t.until("cleared")
        t.until(PROMPT)
        got = line(t, "/system", "second")
        need("first" in got, got)


def test_search(cli):
    with talk(cli) as t:
        line(t, "/system alpha", "cleared")
        line(t, "/context", "Context:")
        t.send("\x12alp")
        t.until("(search) 'alp': /system alpha")
        t.send("\r")
        time.sleep(0.2)
        t.send("bet\r")
        t.until("cleared")
        t.until(PROMPT)
        line(t, "/system", "alphabet")
        t.send("\x12zzz\x1b")
        time.sleep(0.2)
        line(t, "/context", "Context:")


def test_history(cli):
    path = os.path.join(cli.scratch, "state", "agave", "history")
    with talk(cli) as t:
        line(t, "/context", "Context:")
        t.send("\x04")
        equal(t.end(), 0, "exit status")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of the history file")
    with talk(cli) as t:
        line(t, "\x1b[A", "Context: 0")
        t.send("\x04")
        t.end()
    os.remove(path)
    with talk(cli, "--no-history") as t:
        line(t, "/context", "Context:")
        t.send("\x04")
        t.end()
    need(not os.path.exists(path), "--no-history writes nothing")


def modes(t):
    return termios.tcgetattr(t.fd)[:4]


def test_terminal_is_restored(cli):
    for how in ("quit", "term"):
        t = Terminal(cli, "-n", "4", cli.gemma)
        before = modes(t)
        t.until(INTRO)
        t.until(PROMPT)
        time.sleep(0.2)
        need(modes(t) != before, "the editor changes the modes")
        if how == "quit":
            t.send("/quit\r")
        else:
            os.kill(t.pid, signal.SIGTERM)
        code = t.end()
        equal(code, 0 if how == "quit" else -signal.SIGTERM, f"exit status after {how}")
        equal(modes(t), before, f"modes after {how}")
        need(t.seen.rfind("\033[?2004l") > t.seen.rfind("\033[?2004h"), "marks of pasted text are off")
        t.close()


def test_context_full(cli):
    with talk(cli, "--ctx-size", "64") as t:
        got = [line(t, "one two three four five", "tok/s") for _ in range(6)]
        need("turns are forgotten" not in got[0], got[0])
        need(any("context full (64 tokens): the oldest 2 turns are forgotten" in x for x in got), str(got))
    with talk(cli, "--ctx-size", "32") as t:
        t.send("word " * 60 + "\r")
        t.until("error: the prompt has ")
        t.until(PROMPT)
        line(t, "hi", "tok/s")
        t.send("word " * 60 + "\r") # cannot fit by itself: what was said before stays
        got = t.until("error: the prompt has ")
        need("forgotten" not in got, got)


def test_json_wants_a_prompt(cli):
    t = Terminal(cli, "--json", cli.gemma)
    t.until("want a prompt")
    equal(t.end(), 1, "exit status")
    t.close()
