#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house, checked. house.py RULE SOURCE_ROOT [FILES...]

includes  who may include whom; prints the graph
docs      pages and files that the documents name are there
text      licence lines, lengths of files and functions, words that must not stay, getenv
symbols   FILES are plugins, then "--", then host libraries: one exported symbol, nothing of ours wanted
state     FILES are libraries and plugins: no mutable file-scope state but what ALLOWED_STATE names
"""
import collections
import os
import re
import subprocess
import sys

C_HEADERS = {h + ".h" for h in """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp
signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar
wchar wctype""".split()}

# Areas, the first prefix that fits, and which areas each may include besides itself.
AREAS = ["core/abi", "core/util", "core", "plugins/", "host", "tests", "subprojects/"]
MAY = {
    "core/abi": set(),
    "core/util": {"core/abi"},
    "core": {"core/abi", "core/util"},
    "host": {"core/abi", "core/util", "core"},
}
# Folders of a kind that are compiled into each plugin of the kind that wants them.
SHARED = ("plugins/backends/gpu", "plugins/backends/shared", "plugins/models/shared", "plugins/formats/shared")
# Libraries that only some folders may use.
LIBRARIES = {
    "jansson.h": ("core/token/", "host/", "plugins/formats/safetensors/", "tests/"),
    "uv.h": ("core/dist/", "core/util/", "host/", "tests/"),
    "histedit.h": ("host/", "tests/"),
}

MAX_FILE, MAX_FUNCTION = 1500, 120
SOURCE = (".c", ".h", ".def")
LICENSED = SOURCE + (".py", ".sh", ".c.in")
UNWANTED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

# Section .data/.bss/.tdata/.tbss of our own code may hold these, and why.
ALLOWED_STATE = {
    ("libagave_core.a", "text"): "the last error text, one a thread (util/error.c)",
    ("libagave_core.a", "shown"): "the log level, one a process (util/log.c)",
    ("libagave_core.a", "team"): "the thread team, one a process (util/team.c)",
    ("libagave_core.a", "woken_lock"): "guards woken_first",
    ("libagave_core.a", "woken_first"): "code is loaded and initialised once a process (registry/load.c)",
}


def walk(root, below=("core", "plugins", "host", "tests", "tools", "subprojects", "docs", ".ci"), data=False):
    """Our files as paths relative to the root; golden data and unpacked wraps are not ours to judge."""
    for top in below:
        for folder, dirs, names in os.walk(os.path.join(root, top)):
            rel = os.path.relpath(folder, root)
            dirs[:] = sorted(d for d in dirs if not d.startswith(("build", "__py", ".git"))
                             and (data or d not in ("data", "corpus", "packagecache"))
                             and (rel != "subprojects" or d.startswith(("model_", "packagefiles"))))
            for n in sorted(names):
                yield os.path.normpath(os.path.join(rel, n))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def blank(text):
    """The text with comments, strings and characters turned to spaces, newlines kept."""
    pattern = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def area(path):
    for a in AREAS:
        if path.startswith(a if a.endswith("/") else a + "/"):
            if a == "plugins/" or a == "subprojects/":
                return "/".join(path.split("/")[:3 if a == "plugins/" else 2])
            return a
    return None


def allowed(src, dst):
    if src == dst or src == "tests":
        return True
    if src.startswith("plugins/"):
        return dst == "core/abi" or dst in SHARED and os.path.dirname(src) == os.path.dirname(dst)
    if src.startswith("subprojects/"):
        return dst == "core/abi"
    return dst in MAY.get(src, set())


def resolve(root, path, quoted, name):
    """The file of ours that an include line means, or None when it is the system's."""
    folder = os.path.dirname(path)
    if not quoted:
        return f"core/abi/{name}" if os.path.exists(os.path.join(root, "core/abi", name)) else None
    tries = [os.path.join(folder, name), os.path.join("core", name), os.path.join("core/abi", name)]
    parts = path.split("/")
    tries += [os.path.join(s, name) for s in SHARED if path.startswith(os.path.dirname(s) + "/")]
    tries += [os.path.join(*parts[:i], name) for i in range(len(parts) - 1, 0, -1)]
    for t in tries:
        if os.path.exists(os.path.join(root, t)):
            return os.path.normpath(t)
    return "?" + name


def rule_includes(root, _files):
    graph, bad = collections.Counter(), []
    line_of = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]", re.M)
    for path in walk(root):
        src = area(path)
        if src is None or not path.endswith(SOURCE):
            continue
        for mark, name in line_of.findall(read(root, path)):
            to = resolve(root, path, mark == '"', name)
            if to is None:
                if src == "core/abi" and name not in C_HEADERS:
                    bad.append(f"{path}: <{name}>: the ABI headers include nothing but the C standard headers")
                if name in LIBRARIES and not path.startswith(LIBRARIES[name]):
                    bad.append(f"{path}: <{name}> is for {', '.join(LIBRARIES[name])} only")
                continue
            if to.startswith("?"):
                if src != "tests" and not src.startswith("subprojects"):  # generated or frozen headers of a test
                    bad.append(f"{path}: \"{to[1:]}\" is not in the source tree")
                continue
            dst = area(to)
            graph[src, dst] += 1
            if not allowed(src, dst):
                bad.append(f"{path}: includes {to}; {src} may not include {dst}")
    for (src, dst), n in sorted(graph.items()):
        mark = "" if allowed(src, dst) else "   <-- against the rule"
        print(f"{src:28} -> {dst:28} {n:4}{mark}")
    return bad


def functions(text):
    """(line, lines, name) of each function body: a brace at depth 0 that follows a closing parenthesis."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group()), blank(text), flags=re.M)
    depth, start, head, line = 0, None, "", 1
    for ch in code:
        if ch == "{":
            if depth == 0 and head.rstrip().endswith(")"):
                names = re.findall(r"(\w+)\s*\(", head)
                start = (line, names[0] if names else "?")
            depth += 1
        elif ch == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                if start:
                    yield start[0], line - start[0] + 1, start[1]
                start, head = None, ""
        elif depth == 0:
            head = "" if ch == ";" else head + ch
        line += ch == "\n"


def rule_text(root, _files):
    bad, longest = [], []
    for path in walk(root):
        script = "." not in os.path.basename(path) and read(root, path).startswith("#!")
        named = os.path.basename(path) in ("meson.build", "meson_options.txt")
        if not (path.endswith(LICENSED) or named or script):
            continue
        text = read(root, path)
        if "SPDX-License-Identifier: MIT" not in "\n".join(text.split("\n")[:3]):
            bad.append(f"{path}: no SPDX-License-Identifier line at its top")
        for m in UNWANTED.finditer(text):
            bad.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group()}")
        if not path.endswith(SOURCE):
            continue
        lines = text.count("\n")
        if lines > MAX_FILE:
            bad.append(f"{path}: {lines} lines, the limit is {MAX_FILE}")
        for line, n, name in functions(text):
            longest.append((n, f"{path}:{line} {name}"))
            if n > MAX_FUNCTION:
                bad.append(f"{path}:{line}: {name} has {n} lines, the limit is {MAX_FUNCTION}")
        if path.startswith(("core/", "plugins/")):
            for m in re.finditer(r"\b(secure_)?getenv\b|\benviron\b", blank(text)):
                bad.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: only host/ reads the environment")
    lengths = sorted(n for n, _ in longest)
    if lengths:
        over = sum(n > 60 for n in lengths)
        print(f"{len(lengths)} functions, median {lengths[len(lengths) // 2]} lines, {over} above 60")
        for n, where in sorted(longest, reverse=True)[:5]:
            print(f"{n:5} {where}")
    return bad


def rule_docs(root, _files):
    bad = []
    pages = [n for n in sorted(os.listdir(root)) if n.endswith(".md")]
    pages += [p for p in walk(root, ("docs",)) if p.endswith(".md")]
    named = re.compile(r"`((?:core|plugins|host|tests|tools|docs|subprojects)/[\w./-]*\w\.(?:md|c|h|py|def|ini))`")
    for page in pages:
        for name in named.findall(read(root, page)):
            if "NAME" not in name and not os.path.exists(os.path.join(root, name)):
                bad.append(f"{page}: {name} is not there")
    print(f"{len(pages)} pages")
    return bad


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def defined(path, *flags):
    """Names of global symbols that a library defines."""
    out = run("nm", *flags, "--defined-only", "-g", "-P", path)
    return {line.split()[0].split("@")[0] for line in out.splitlines() if len(line.split()) > 1}


def rule_symbols(_root, files):
    cut = files.index("--")
    host = set().union(*(defined(f) for f in files[cut + 1:]))
    bad = []
    for path in files[:cut]:
        name = os.path.basename(path)
        exported = defined(path, "-D")
        if exported != {"ag_plugin"}:
            bad.append(f"{name}: want one exported symbol, ag_plugin; found {', '.join(sorted(exported)) or 'none'}")
        wanted = {line.split()[0].split("@")[0] for line in run("nm", "-D", "-u", "-P", path).splitlines() if line}
        for symbol in sorted(wanted & host):
            bad.append(f"{name}: wants {symbol} of the host; host services come through struct ag_host")
        libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path))
        print(f"{name}: needs {' '.join(libraries) or 'nothing'}")
        for lib in libraries:
            if "agave" in lib or lib.startswith(("backend_", "model_", "format_", "transport_")):
                bad.append(f"{name}: linked with {lib}")
    return bad


def rule_state(_root, files):
    own = {"completed.0", "__TMC_END__", "__dso_handle", "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_"}  # the C runtime's
    row = re.compile(r"^[0-9a-f]{16} (.{7}) (\.t?data(?!\.rel\.ro)|\.t?bss|\*COM\*)\S*\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$")
    bad = []
    for path in files:
        lib, member = os.path.basename(path), ""
        pointers = 0
        for line in run("objdump", "-t", path).splitlines():
            m = re.match(r"^(\S+\.o):\s+file format", line)
            if m:
                member = m.group(1)
            m = row.match(line)
            if not m or m.group(4) in own or m.group(4).startswith(".") or int(m.group(3), 16) == 0:
                continue
            section, size, name = m.group(2), int(m.group(3), 16), re.sub(r"\.\d+$", "", m.group(4))
            if lib.endswith(".so") and name.endswith("host") and size == 8 and pointers == 0:
                pointers += 1
                continue
            if (lib, name) in ALLOWED_STATE:
                print(f"{lib}: {name} ({size} bytes in {section}): {ALLOWED_STATE[lib, name]}")
                continue
            bad.append(f"{lib}{'(' + member + ')' if member else ''}: mutable state {name} ({size} bytes in {section})")
        if pointers:
            print(f"{lib}: the host pointer")
    return bad


def main():
    rules = {"includes": rule_includes, "docs": rule_docs, "text": rule_text, "symbols": rule_symbols, "state": rule_state}
    bad = rules[sys.argv[1]](sys.argv[2], sys.argv[3:])
    for line in bad:
        print(line, file=sys.stderr)
    print(f"{sys.argv[1]}: {len(bad)} against the rule")
    return 1 if bad else 0


sys.exit(main())
