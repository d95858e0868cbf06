# SPDX-License-Identifier: MIT
"""Model files that are not what they should be: one line, status 1, no crash, no hang."""
import os
import random
import shutil
import struct

from harness import need


def test_missing(cli):
    cli.fails("/nowhere/model.gguf", "hi", names="/nowhere/model.gguf")
    cli.fails(cli.scratch, "hi", names=cli.scratch)


def test_wrong_magic(cli):
    for name, content in (("text.gguf", b"this is no model\n" * 100), ("empty.gguf", b""), ("zero.gguf", bytes(4096))):
        path = cli.file(name, content)
        cli.fails(path, "hi", names=name)


def test_short(cli):
    with open(cli.gemma, "rb") as f:
        whole = f.read()
    for n in (3, 4, 8, 16, 23, 24, 25, 100, 1000, 5000, len(whole) // 2, len(whole) - 1):
        path = cli.file("short.gguf", whole[:n])
        cli.fails("--raw", "-n", "1", path, "hi", names="short.gguf", timeout=20)


def test_absurd_counts(cli):
    for tensors, keys in ((2 ** 63, 1), (1, 2 ** 63), (2 ** 40, 2 ** 40), (2 ** 64 - 1, 0)):
        path = cli.file("absurd.gguf", b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + bytes(64))
        cli.fails(path, "hi", names="absurd.gguf", timeout=5)
    path = cli.file("version.gguf", b"GGUF" + struct.pack("<IQQ", 99, 1, 1) + bytes(64))
    cli.fails(path, "hi", names="99")


def test_garbled(cli):
    """Bytes of the header changed at random: an answer or an error, never a signal."""
    with open(cli.gemma, "rb") as f:
        whole = bytearray(f.read())
    rng = random.Random(1)
    for _ in range(25):
        bad = bytearray(whole)
        for _ in range(rng.randrange(1, 8)):
            bad[rng.randrange(4, 12000)] = rng.randrange(256)
        path = cli.file("garbled.gguf", bad)
        _, err = cli.run("--raw", "-n", "1", path, "hi", code=None, timeout=20)
        code = 1 if "error: " in err else 0
        cli.run("--raw", "-n", "1", path, "hi", code=code, timeout=20)


def test_unknown_architecture(cli):
    with open(cli.gemma, "rb") as f:
        whole = f.read()
    at = whole.index(b"general.architecture")
    name = whole.index(b"gemma3", at)
    path = cli.file("other.gguf", whole[:name] + b"nosuch" + whole[name + 6:])
    cli.fails(path, "hi", names=["nosuch", "model_nosuch.so"])
    path = cli.file("relative.gguf", whole[:name] + b"gemma2" + whole[name + 6:])
    cli.fails(path, "hi", names=["gemma2 model, which computes differently"])


def test_cache_larger_than_memory(cli):
    """256 bytes a token in the one full layer: four times what the machine has is refused with both sizes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    tokens = min(memory * 4 // 256, 2**31 - 64)
    if tokens * 256 > memory:
        cli.fails("--raw", "--backend", "cpu", "--ctx-size", str(tokens), "-n", "1", cli.gemma, "hi",
                  names=["KV cache of", "needs", "has", "--ctx-size"])


def test_directories(cli):
    source = os.path.join(cli.data, "gemma3", "hf")
    want = cli.answer("--raw", "-n", "4", source, "The river")
    copy = os.path.join(cli.scratch, "hf")
    shutil.copytree(source, copy)
    need(cli.answer("--raw", "-n", "4", copy, "The river") == want, "a copy answers alike")
    with open(os.path.join(copy, "config.json"), "w", encoding="utf-8") as f:
        f.write("{ not json")
    cli.fails(copy, "hi", names="config.json")
    os.remove(os.path.join(copy, "config.json"))
    cli.fails(copy, "hi", names=copy)
    folder = os.path.join(cli.scratch, "one")
    os.mkdir(folder)
    shutil.copy(cli.gemma, folder)
    need(cli.answer("--raw", "-n", "4", folder, "The river") == cli.answer("--raw", "-n", "4", cli.gemma, "The river"),
         "a folder with one gguf file is that file")
