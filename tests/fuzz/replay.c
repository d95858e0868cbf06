/* SPDX-License-Identifier: MIT */
/* replay.c - runs a fuzz target without a fuzzer: over a corpus, then over mutants of it that depend on
 * nothing but the seed and their number.
 *   replay_gguf [--mutate N] [--seed S] [--only I [--save FILE]] [--slow MS] PATH...
 * PATH: files, or folders of files. --only runs (and --save writes) mutant I alone. An input that takes
 * longer than --slow is a failure; a crash names the input. */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUT = 16 << 20 };

struct input { char *name; uint8_t *p; size_t n; };
static struct input *corpus;
static size_t n_corpus;

static char doing[512]; /* what runs now, for the last words of a crash */
static uint64_t rng;

static void die(const char *what, const char *of) {
    fprintf(stderr, "replay: %s: %s\n", of, what);
    exit(2);
}

/* Sanitizers call this before they end the process. */
void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));
static void last_words(void) { fprintf(stderr, "replay: while running %s\n", doing); }

static uint64_t draw(void) { /* splitmix64 */
    uint64_t z = rng += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t below(size_t n) { return n ? (size_t)(draw() % n) : 0; }

/* ---- corpus ------------------------------------------------------------------------------------ */

static void add_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct input in = { .name = strdup(path) };
    if (!f || !in.name) die("cannot be read", path);
    size_t cap = 0, got;
    do {
        if (cap - in.n < 65536) {
            cap = cap ? cap * 2 : 65536;
            in.p = realloc(in.p, cap);
            if (!in.p || cap > 2 * (size_t)MAX_INPUT) die("too large", path);
        }
        got = fread(in.p + in.n, 1, cap - in.n, f);
        in.n += got;
    } while (got);
    fclose(f);
    corpus = realloc(corpus, (n_corpus + 1) * sizeof *corpus);
    if (!corpus) die("out of memory", path);
    corpus[n_corpus++] = in;
}

static void add_path(const char *path) {
    struct stat st;
    struct dirent **entry;
    if (stat(path, &st) < 0) die("not there", path);
    if (!S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    int n = scandir(path, &entry, NULL, alphasort); /* sorted: mutants must not depend on the disk */
    if (n < 0) die("cannot be listed", path);
    for (int i = 0; i < n; i++) {
        char file[1024];
        int len = snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && len < (int)sizeof file) add_file(file);
        free(entry[i]);
    }
    free(entry);
}

/* ---- mutants ----------------------------------------------------------------------------------- */

struct mutant { uint8_t *p; size_t n, cap; };

/* Puts `n` bytes in place of `cut` bytes at `at`; `from` may lie in the mutant itself only when n = 0. */
static void replace(struct mutant *m, size_t at, size_t cut, const void *from, size_t n) {
    if (cut > m->n - at) cut = m->n - at;
    if (m->n - cut + n > MAX_INPUT) return;
    if (m->n - cut + n > m->cap) {
        m->cap = 2 * (m->n + n);
        m->p = realloc(m->p, m->cap);
        if (!m->p) die("out of memory", "mutant");
    }
    memmove(m->p + at + n, m->p + at + cut, m->n - at - cut);
    if (n) memcpy(m->p + at, from, n);
    m->n += n - cut;
}

static void flip_bit(struct mutant *m) {
    if (m->n) m->p[below(m->n)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct mutant *m) {
    static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '[', ']', ',', ':', '\\', '-', '9' };
    if (m->n) m->p[below(m->n)] = draw() & 1 ? odd[below(sizeof odd)] : (uint8_t)draw();
}

/* A number of 2, 4 or 8 bytes: limits, sizes near this input's, or the one that was there plus a bit. */
static void set_number(struct mutant *m) {
    static const uint64_t odd[] = { 0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                    0x100000000, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX,
                                    UINT64_MAX - 7, 1ull << 40, 1ull << 61, 1ull << 62 };
    size_t width = (size_t)2 << below(3);
    if (m->n < width) return;
    size_t at = below(m->n - width + 1);
    uint64_t v = 0;
    switch (below(3)) {
    case 0: v = odd[below(sizeof odd / sizeof *odd)]; break;
    case 1: v = m->n - at + below(32) - 16; break;
    default: memcpy(&v, m->p + at, width), v += draw() % 17 - 8; break;
    }
    memcpy(m->p + at, &v, width);
}

static void cut_end(struct mutant *m) { m->n = below(m->n + 1); }

static void cut_middle(struct mutant *m) {
    if (m->n) replace(m, below(m->n), 1 + below(m->n < 64 ? m->n : 64), NULL, 0);
}

/* A piece of some input of the corpus, put in or over. */
static void splice(struct mutant *m) {
    const struct input *in = &corpus[below(n_corpus)];
    size_t from = below(in->n + 1), n = below(in->n - from + 1), at = below(m->n + 1);
    if (draw() % 4) n = n > 96 ? below(97) : n;
    replace(m, at, draw() & 1 ? n : 0, in->p + from, n);
}

/* One byte, or one short piece, many times. */
static void repeat(struct mutant *m) {
    uint8_t piece[4096];
    if (!m->n) return;
    size_t at = below(m->n), unit = 1 + below(m->n - at < 8 ? m->n - at : 8), n = unit * (1 + below(4096 / unit));
    for (size_t i = 0; i < n; i++) piece[i] = m->p[at + i % unit];
    replace(m, at, 0, piece, n);
}

/* Another number in digits, for texts. */
static void set_digits(struct mutant *m) {
    static const char *const odd[] = { "0", "-1", "4294967296", "9223372036854775808", "1e999",
                                       "99999999999999999999", "0.5", "null", "true", "[]", "{}", "\"\"" };
    size_t at = below(m->n + 1), n = 0;
    for (size_t tries = 0; tries < 64 && at < m->n && !isdigit(m->p[at]); tries++) at++;
    while (at + n < m->n && isdigit(m->p[at + n])) n++;
    const char *to = odd[below(sizeof odd / sizeof *odd)];
    replace(m, at, n, to, strlen(to));
}

static void mutate(struct mutant *m, uint64_t seed, uint64_t index) {
    static void (*const change[])(struct mutant *) = { flip_bit, flip_bit, set_byte, set_byte, set_number,
                                                       set_number, set_number, cut_end, cut_middle, splice,
                                                       repeat, set_digits };
    rng = seed * 0xD1342543DE82EF95u + index;
    const struct input *in = &corpus[below(n_corpus)];
    m->n = 0;
    replace(m, 0, 0, in->p, in->n);
    for (size_t times = 1 + below(4); times; times--) change[below(sizeof change / sizeof *change)](m);
}

/* ---- running ----------------------------------------------------------------------------------- */

static double slowest;

static bool run(const uint8_t *p, size_t n, double slow) {
    struct timespec a, b;
    uint8_t *exact = malloc(n ? n : 1); /* of its very size, so that a sanitizer sees the end */
    if (!exact) die("out of memory", doing);
    if (n) memcpy(exact, p, n);
    clock_gettime(CLOCK_MONOTONIC, &a);
    LLVMFuzzerTestOneInput(exact, n);
    clock_gettime(CLOCK_MONOTONIC, &b);
    free(exact);
    double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) * 1e-6;
    if (ms > slowest) slowest = ms;
    if (ms <= slow) return true;
    fprintf(stderr, "replay: %s: %zu bytes took %.0f ms, at most %.0f are allowed\n", doing, n, ms, slow);
    return false;
}

static uint64_t number_after(int argc, char **argv, int *i) {
    char *end = NULL;
    uint64_t v = ++*i < argc ? strtoull(argv[*i], &end, 10) : 0;
    if (!end || end == argv[*i] || *end) die("want a number behind it", argv[*i - 1]);
    return v;
}

int main(int argc, char **argv) {
    uint64_t mutants = 0, seed = 1, only = UINT64_MAX, slow = 1000, bad = 0;
    const char *save = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mutate")) mutants = number_after(argc, argv, &i);
        else if (!strcmp(argv[i], "--seed")) seed = number_after(argc, argv, &i);
        else if (!strcmp(argv[i], "--only")) only = number_after(argc, argv, &i);
        else if (!strcmp(argv[i], "--slow")) slow = number_after(argc, argv, &i);
        else if (!strcmp(argv[i], "--save") && i + 1 < argc) save = argv[++i];
        else if (argv[i][0] == '-') die("unknown option", argv[i]);
        else add_path(argv[i]);
    }
    if (!n_corpus) die("want a file or a folder with files", "corpus");
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(last_words);
    for (size_t i = 0; only == UINT64_MAX && i < n_corpus; i++) {
        snprintf(doing, sizeof doing, "%s", corpus[i].name);
        bad += !run(corpus[i].p, corpus[i].n, (double)slow);
    }
    struct mutant m = { 0 };
    uint64_t first = only == UINT64_MAX ? 0 : only, end = only == UINT64_MAX ? mutants : only + 1;
    for (uint64_t i = first; i < end; i++) {
        snprintf(doing, sizeof doing, "mutant %" PRIu64 " of seed %" PRIu64, i, seed);
        mutate(&m, seed, i);
        FILE *f = save && only != UINT64_MAX ? fopen(save, "wb") : NULL;
        if (f) fwrite(m.p, 1, m.n, f), fclose(f);
        bad += !run(m.p, m.n, (double)slow);
    }
    printf("%zu files, %" PRIu64 " mutants of seed %" PRIu64 ", slowest %.1f ms, too slow: %" PRIu64 "\n",
           n_corpus, end - first, seed, slowest, bad);
    free(m.p);
    for (size_t i = 0; i < n_corpus; i++) free(corpus[i].name), free(corpus[i].p);
    free(corpus);
    return bad != 0;
}
