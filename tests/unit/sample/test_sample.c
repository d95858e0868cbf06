/* SPDX-License-Identifier: MIT */
/* Samplers against a brute-force model: the exact sets, the exact probabilities, and draws. */
#include "sample/chain.h"
#include "util/error.h"

#include <CUnit/Basic.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t noise_state = 1;
static double noise(void) { /* uniform in (0, 1) */
    noise_state = noise_state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(noise_state >> 11) + 0.5) * 0x1p-53;
}
static void fill(float *l, int n, double spread) {
    for (int i = 0; i < n; i++)
        l[i] = (float)(spread * sqrt(-2 * log(noise())) * cos(6.283185307179586 * noise()));
}

static struct sampler *make(const struct sampler_params *p, int n) {
    struct sampler *s = NULL;
    CU_ASSERT_EQUAL_FATAL(sampler_create(p, n, &s), AG_OK);
    return s;
}

/* The model: all probabilities, by sorting everything in double. */
struct ranked { double l; int id; };
static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    return x->l != y->l ? (x->l < y->l) - (x->l > y->l) : x->id - y->id;
}
static int reference(const float *l, int n, const struct sampler_params *p, double *prob) {
    struct ranked *r = malloc((size_t)n * sizeof *r);
    for (int i = 0; i < n; i++) r[i] = (struct ranked){ (double)l[i], i };
    qsort(r, (size_t)n, sizeof *r, by_rank);
    int kept = p->top_k > 0 && p->top_k < n ? p->top_k : n;
    double sum = 0, seen = 0;
    for (int i = 0; i < kept; i++) sum += exp(r[i].l - r[0].l);
    if (p->top_p < 1)
        for (int i = 0; i < kept; i++) {
            seen += exp(r[i].l - r[0].l) / sum;
            if (seen >= (double)p->top_p) { kept = i + 1; break; }
        }
    if (p->min_p > 0)
        while (kept > 1 && exp(r[kept - 1].l - r[0].l) < (double)p->min_p) kept--;
    memset(prob, 0, (size_t)n * sizeof *prob);
    sum = 0;
    for (int i = 0; i < kept; i++) sum += exp((r[i].l - r[0].l) / (double)p->temperature);
    for (int i = 0; i < kept; i++)
        prob[r[i].id] = exp((r[i].l - r[0].l) / (double)p->temperature) / sum;
    free(r);
    return kept;
}

/* What the chain would draw from: after a draw the list (or the logits) hold weights. */
static int chain_prob(const struct sampler *s, const float *logits, double *prob) {
    double sum = 0;
    memset(prob, 0, (size_t)s->n_vocab * sizeof *prob);
    for (int i = 0; i < s->n; i++) {
        int id = s->listed ? s->list[i].id : i;
        prob[id] = (double)(s->listed ? s->list[i].logit : logits[i]);
        sum += prob[id];
    }
    for (int i = 0; i < s->n_vocab; i++) prob[i] /= sum;
    return s->n;
}

static void same_as_reference(const struct sampler_params *p, int n, double spread) {
    float *l = malloc((size_t)n * sizeof *l);
    double *want = malloc((size_t)n * sizeof *want), *have = malloc((size_t)n * sizeof *have);
    struct sampler *s = make(p, n);
    fill(l, n, spread);
    int kept = reference(l, n, p, want);
    int32_t id;
    CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
    CU_ASSERT_EQUAL(chain_prob(s, l, have), kept);
    double worst = 0;
    for (int i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(have[i] > 0, want[i] > 1e-44);
        worst = fmax(worst, fabs(have[i] - want[i]));
    }
    CU_ASSERT(worst < 2e-6);
    CU_ASSERT(want[id] > 0);
    sampler_free(s);
    free(l), free(want), free(have);
}

static void test_sets(void) {
    static const int sizes[] = { 1, 2, 15, 16, 17, 63, 64, 65, 300, 1000, 5000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int round = 0; round < 40; round++) {
            struct sampler_params p = sampler_defaults();
            p.temperature = (float)(0.3 + 2 * noise());
            if (round & 1) p.top_k = 1 + (int)(noise() * sizes[i] * 1.2);
            if (round & 2) p.top_p = (float)(0.05 + 0.94 * noise());
            if (round & 4) p.min_p = (float)(0.3 * noise());
            p.seed = noise_state;
            same_as_reference(&p, sizes[i], 0.2 + 3 * noise());
        }
    }
}

/* Flat logits: the nucleus is far longer than the first try. */
static void test_wide_nucleus(void) {
    struct sampler_params p = sampler_defaults();
    p.temperature = 1, p.top_p = 0.97f;
    same_as_reference(&p, 20000, 0.01);
}

static void test_ties(void) {
    struct sampler_params p = sampler_defaults();
    float l[100];
    int32_t id;
    struct sampler *s = make(&p, 100);
    for (int i = 0; i < 100; i++) l[i] = i == 37 || i == 12 || i == 99 ? 2 : 1;
    CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
    CU_ASSERT_EQUAL(id, 12);
    sampler_free(s);
    p.temperature = 1, p.top_k = 5;
    s = make(&p, 100);
    CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
    static const int best[] = { 12, 37, 99, 0, 1 };
    for (int i = 0; i < 5; i++) CU_ASSERT_EQUAL(s->list[i].id, best[i]);
    sampler_free(s);
}

static void test_penalties(void) {
    struct sampler_params p = sampler_defaults();
    p.repeat_penalty = 2, p.repeat_last_n = 3, p.frequency_penalty = 0.5f, p.presence_penalty = 1;
    struct sampler *s = make(&p, 6);
    int32_t id;
    /* 5 leaves the window of 3; 0 occurs twice in it, and counts once */
    static const int32_t prompt[] = { 5, 0, 1, 0 };
    for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(sampler_accept(s, prompt[i], false), AG_OK);
    float l[] = { 4, -1, 3, 1, 0, 2.5f };
    CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
    static const float repeat[] = { 2, -2, 3, 1, 0, 2.5f };
    for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(l[i], repeat[i]);
    CU_ASSERT_EQUAL(id, 2);
    sampler_accept(s, 2, true), sampler_accept(s, 2, true), sampler_accept(s, 4, true);
    float m[] = { 4, -1, 3, 1, 0, 2.5f };
    CU_ASSERT_EQUAL(sampler_sample(s, m, &id), AG_OK);
    static const float all[] = { 4, -1, 1.5f - 2 * 0.5f - 1, 1, 0 - 0.5f - 1, 2.5f };
    for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(m[i], all[i]);
    sampler_reset(s);
    float fresh[] = { 4, -1, 3, 1, 0, 2.5f };
    CU_ASSERT_EQUAL(sampler_sample(s, fresh, &id), AG_OK);
    CU_ASSERT_EQUAL(fresh[0], 4);
    CU_ASSERT_EQUAL(fresh[2], 3);
    sampler_free(s);

    p = sampler_defaults();
    p.repeat_penalty = 2, p.repeat_last_n = -1;
    s = make(&p, 6);
    for (int i = 0; i < 100; i++) sampler_accept(s, i % 2, false);
    float n[] = { 4, -1, 3, 1, 0, 2.5f };
    CU_ASSERT_EQUAL(sampler_sample(s, n, &id), AG_OK);
    CU_ASSERT_EQUAL(n[0], 2);
    CU_ASSERT_EQUAL(n[1], -2);
    CU_ASSERT_EQUAL(n[2], 3);
    sampler_free(s);
}

static void test_ban(void) {
    struct sampler_params p = sampler_defaults();
    static const int32_t ids[] = { 1, 3 }, rest[] = { 0, 2 };
    for (int greedy = 0; greedy < 2; greedy++) {
        p.temperature = greedy ? 0 : 1;
        struct sampler *s = make(&p, 4);
        CU_ASSERT_EQUAL(sampler_ban(s, ids, 2), AG_OK);
        for (int i = 0; i < 200; i++) {
            float l[] = { 0, 9, 0.1f, 9 };
            int32_t id = -1;
            CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
            CU_ASSERT(id == 0 || id == 2);
        }
        CU_ASSERT_EQUAL(sampler_ban(s, rest, 2), AG_OK);
        float l[] = { 0, 9, 0.1f, 9 };
        int32_t id = -1;
        CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_EINVAL);
        int32_t outside = 4;
        CU_ASSERT_EQUAL(sampler_ban(s, &outside, 1), AG_EINVAL);
        CU_ASSERT_EQUAL(sampler_accept(s, -1, true), AG_EINVAL);
        sampler_free(s);
    }
}

static void test_bad_logits(void) {
    struct sampler_params p = sampler_defaults();
    static const int32_t banned = 7;
    enum { N = 9000 };
    static float l[N];
    for (int greedy = 0; greedy < 2; greedy++) {
        p.temperature = greedy ? 0 : 0.8f;
        p.top_k = 40;
        struct sampler *s = make(&p, N);
        CU_ASSERT_EQUAL(sampler_ban(s, &banned, 1), AG_OK);
        static const int at[] = { 0, 7, 15, 16, 4095, 4096, 8192, N - 1 };
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            int32_t id;
            fill(l, N, 1);
            l[at[i]] = NAN;
            CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_EDEVICE);
            fill(l, N, 1);
            l[at[i]] = -INFINITY;
            CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_OK);
            CU_ASSERT(id != at[i]);
        }
        int32_t id;
        l[100] = INFINITY;
        CU_ASSERT_EQUAL(sampler_sample(s, l, &id), AG_EDEVICE);
        sampler_free(s);
    }
}

static void test_bad_params(void) {
    struct sampler *s;
    struct sampler_params p[] = { sampler_defaults(), sampler_defaults(), sampler_defaults(),
                                  sampler_defaults(), sampler_defaults(), sampler_defaults(),
                                  sampler_defaults(), sampler_defaults() };
    p[0].temperature = NAN, p[1].temperature = -1, p[2].top_p = 0, p[3].min_p = 1.5f;
    p[4].repeat_penalty = 0, p[5].top_k = -1, p[6].repeat_last_n = -2, p[7].frequency_penalty = NAN;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++)
        CU_ASSERT_EQUAL(sampler_create(&p[i], 10, &s), AG_EINVAL);
    p[0] = sampler_defaults();
    CU_ASSERT_EQUAL(sampler_create(&p[0], 0, &s), AG_EINVAL);
    sampler_free(NULL);
}

/* 100 000 draws: chi-square within 5 sigma of its mean; cells of few expected draws are pooled. */
static void chi_square(const struct sampler_params *p, int n) {
    enum { DRAWS = 100000 };
    float *l = malloc((size_t)n * sizeof *l), *work = malloc((size_t)n * sizeof *l);
    double *want = malloc((size_t)n * sizeof *want), chi = 0, rest_want = 0, rest_have = 0;
    int *have = calloc((size_t)n, sizeof *have), cells = 0;
    struct sampler *s = make(p, n);
    fill(l, n, 1.5);
    reference(l, n, p, want);
    for (int i = 0; i < DRAWS; i++) {
        int32_t id = 0;
        memcpy(work, l, (size_t)n * sizeof *l);
        CU_ASSERT_EQUAL_FATAL(sampler_sample(s, work, &id), AG_OK);
        have[id]++;
    }
    for (int i = 0; i < n; i++) {
        if (want[i] * DRAWS < 10) {
            rest_want += want[i] * DRAWS, rest_have += have[i];
            continue;
        }
        chi += pow(have[i] - want[i] * DRAWS, 2) / (want[i] * DRAWS);
        cells++;
    }
    if (rest_want > 10) chi += pow(rest_have - rest_want, 2) / rest_want, cells++;
    else CU_ASSERT(rest_have <= rest_want + 5 * sqrt(rest_want + 1));
    CU_ASSERT(cells > 3);
    CU_ASSERT(fabs(chi - (cells - 1)) < 5 * sqrt(2.0 * (cells - 1)));
    sampler_free(s);
    free(l), free(work), free(want), free(have);
}

static void test_draws(void) {
    struct sampler_params p = sampler_defaults();
    p.temperature = 0.8f, p.seed = 42;
    chi_square(&p, 300);
    p.top_k = 40, p.top_p = 0.95f, p.min_p = 0.02f;
    chi_square(&p, 300);
}

static void test_seed(void) {
    struct sampler_params p = sampler_defaults();
    p.temperature = 1, p.seed = 7;
    struct sampler *a = make(&p, 500), *b = make(&p, 500);
    p.seed = 8;
    struct sampler *c = make(&p, 500);
    float l[3][500];
    int differ = 0;
    for (int i = 0; i < 200; i++) {
        int32_t x, y, z;
        fill(l[0], 500, 1);
        memcpy(l[1], l[0], sizeof l[0]);
        memcpy(l[2], l[0], sizeof l[0]);
        sampler_sample(a, l[0], &x);
        sampler_sample(b, l[1], &y);
        sampler_sample(c, l[2], &z);
        CU_ASSERT_EQUAL(x, y);
        differ += x != z;
    }
    CU_ASSERT(differ > 100);
    sampler_free(a), sampler_free(b), sampler_free(c);
}

int main(void) {
    if (CU_initialize_registry() != CUE_SUCCESS) return 2;
    CU_pSuite s = CU_add_suite("sample", NULL, NULL);
    CU_add_test(s, "sets and probabilities", test_sets);
    CU_add_test(s, "wide nucleus", test_wide_nucleus);
    CU_add_test(s, "ties", test_ties);
    CU_add_test(s, "penalties", test_penalties);
    CU_add_test(s, "ban", test_ban);
    CU_add_test(s, "bad logits", test_bad_logits);
    CU_add_test(s, "bad parameters", test_bad_params);
    CU_add_test(s, "draws", test_draws);
    CU_add_test(s, "seed", test_seed);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
