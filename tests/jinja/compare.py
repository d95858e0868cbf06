#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chat templates rendered by agave's engine and by jinja2, compared: compare.py RENDER TEMPLATE...

RENDER is build/tests/jinja/jinja_render, TEMPLATE a Jinja file or a folder of *.jinja. Needs jinja2 (pip).
Each template meets conversations of several forms; one line a difference, a summary at the end. What
jinja2 itself refuses is not counted. -v shows the whole texts and what both refuse.
"""
import argparse
import datetime
import difflib
import json
import os
import subprocess
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = "2026-01-02T03:04:05"


class Generation(jinja2.ext.Extension):
    """{% generation %} as trainers have it: its body, unchanged."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromisoformat(NOW).strftime(f)
    return env


TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a place, today's \"real\" one <b>",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Name of the city\nor town"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": "integer", "minimum": 1}}, "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "set_tags", "description": "Sets tags",
        "parameters": {"type": "object", "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": ["number", "null"]}},
                      "required": ["x"]},
            "deep": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["tags", "where"]}}},
]


def call(arguments, number=1, name="get_weather"):
    return {"id": "call0000" + str(number), "type": "function", "function": {"name": name, "arguments": arguments}}


def conversations():
    user, system = {"role": "user", "content": "Hi there, <b>'q'</b>"}, {"role": "system", "content": "Be brief."}
    assistant, bye = {"role": "assistant", "content": "Hello!\n\nÄ 你好 🙂"}, {"role": "user", "content": "  Bye  "}
    thought = {"role": "assistant", "content": "Hello!", "reasoning_content": "greet\nthem"}
    inline = {"role": "assistant", "content": "<think>\nhmm\n</think>\n\nHello!"}
    arguments = {"city": "Zürich", "unit": "celsius", "days": 3}
    called = {"role": "assistant", "content": "", "tool_calls": [call(arguments)]}
    two = {"role": "assistant", "content": "I look.", "reasoning_content": "so",
           "tool_calls": [call(arguments), call({"tags": ["a", 1, None, True, 2.5], "where": {"x": 1.0}}, 2, "set_tags")]}
    result = {"role": "tool", "content": "{\"temp\": 21}", "tool_call_id": "call00001", "name": "get_weather"}
    result2 = {"role": "tool", "content": "ok", "tool_call_id": "call00002", "name": "set_tags"}
    none = dict(called, content=None)
    text = dict(called, tool_calls=[call(json.dumps(arguments))])
    parts = {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image"}, {"type": "text", "text": " here"}]}
    yield "single", [user], {}
    yield "system", [system, user], {}
    yield "multi", [system, user, assistant, bye], {}
    yield "closed", [user, assistant], {"add_generation_prompt": False}
    yield "thinking_on", [user], {"enable_thinking": True, "thinking": True}
    yield "thinking_off", [system, user], {"enable_thinking": False, "thinking": False}
    yield "thought", [user, thought, bye], {"enable_thinking": True}
    yield "inline_thought", [user, inline, bye], {}
    yield "effort", [user], {"reasoning_effort": "high"}
    yield "tools", [user], {"tools": TOOLS}
    yield "tools_system", [system, user], {"tools": TOOLS, "enable_thinking": True}
    yield "tool_round", [user, called, result], {"tools": TOOLS}
    yield "tool_round_none", [system, user, none, result], {"tools": TOOLS, "enable_thinking": False}
    yield "tool_round_text", [user, text, result], {"tools": TOOLS}
    yield "tool_two", [user, two, result, result2, assistant, bye], {"tools": TOOLS}
    yield "tool_no_declaration", [user, called, result, assistant], {"add_generation_prompt": False}
    yield "parts", [parts], {}
    yield "documents", [user], {"documents": [{"title": "T", "text": "Some text"}]}
    yield "empty", [], {}


def compare(render, env, name, text, verbose):
    try:
        template, why = env.from_string(text), None
    except jinja2.exceptions.TemplateError as e:
        template, why = None, e
    same = bad = refused = ours_only = 0
    for case, messages, extra in conversations():
        literal = {"bos_token": "<s>", "eos_token": "</s>"}
        data = {"messages": messages, "add_generation_prompt": True, **extra}
        want, error = None, why
        if template:
            try:
                want = template.render(**literal, **data)
            except Exception as e:  # whatever a template does to Python
                error = e
        render.stdin.write(json.dumps({"template": text, "vars": data, "literal": literal, "now": NOW}) + "\n")
        render.stdin.flush()
        line = render.stdout.readline()
        if not line:
            sys.exit(f"{name} {case}: {render.args[0]} ended")
        got = json.loads(line)
        if want is None:
            refused += 1
            if "text" in got:
                ours_only += 1
            if verbose:
                print(f"  {name} {case}: jinja2 refuses: {error}; ours: {got.get('error', 'renders')}")
        elif got.get("text") == want:
            same += 1
        else:
            bad += 1
            print(f"DIFFERENT {name} {case}: {got.get('error', '')}")
            if "text" in got:
                diff = list(difflib.unified_diff(want.splitlines(True), got["text"].splitlines(True), "jinja2", "ours", n=0))
                print("".join(diff[2:] if verbose else diff[2:8]))
    return same, bad, refused, ours_only


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-v", "--verbose", action="store_true")
    p.add_argument("render")
    p.add_argument("template", nargs="+")
    a = p.parse_args()
    files = []
    for t in a.template:
        files += sorted(os.path.join(t, f) for f in os.listdir(t) if f.endswith(".jinja")) if os.path.isdir(t) else [t]
    render = subprocess.Popen([a.render], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    env, total, whole = environment(), [0, 0, 0, 0], 0
    for f in files:
        with open(f, encoding="utf-8", newline="") as h:
            counts = compare(render, env, os.path.basename(f), h.read(), a.verbose)
        total = [x + y for x, y in zip(total, counts)]
        whole += counts[1] == 0
    print(f"{len(files)} templates, {whole} without a difference; {total[0]} prompts equal, {total[1]} different, "
          f"{total[2]} refused by jinja2 ({total[3]} of them not by ours)")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
