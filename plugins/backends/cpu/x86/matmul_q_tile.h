/* SPDX-License-Identifier: MIT */
/* matmul_q_tile.h - the loop over a group's blocks. Included by each matmul_<type>_<isa>.c after it has
 * set: KIND (struct kind), PAYLOAD (bytes of a block), HEAD (bytes of a head), HEAD_T, unpack, head and
 * scales; and the instruction set's header gives column(), struct scales, acc_t, acc_zero, acc_store. */
enum { AHEAD = 12288 }; /* bytes; measured */

INLINE void tile(const uint8_t *group, const uint8_t *x, int64_t n_block, float *y, const int n_col) {
    const struct kind kind = KIND;
    const uint8_t *at = group + n_block * PAYLOAD;
    const uint8_t *fine = x + n_block * Q8_BLOCK_BYTES * n_col;
    const uint8_t *flag = fine + n_block * Q8_FINE_BYTES * n_col;
    acc_t acc[8];
    HEAD_T h;
    for (int c = 0; c < n_col; c++) acc[c] = acc_zero();
    for (int64_t u = 0; u < n_block; u += kind.unit, at += HEAD) {
        head(at, &h);
        for (int b = 0; b < kind.unit; b++, group += PAYLOAD, x += Q8_BLOCK_BYTES * n_col) {
            weights_t w;
            if (n_col == 1) /* a vector streams through memory faster than the prefetchers follow */
                for (int i = 0; i < PAYLOAD; i += 64)
                    _mm_prefetch((const char *)group + AHEAD + i, _MM_HINT_T1);
            unpack(group, w);
            struct scales s = scales(&h, b);
            for (int c = 0; c < n_col; c++) acc[c] = column(w, &s, x, n_col, c, kind, acc[c]);
            uint64_t wide = 0;
            memcpy(&wide, flag, (size_t)n_col);
            if (wide)
                for (int c = 0; c < n_col; c++)
                    acc[c] = column_fine(w, &s, x, fine, n_col, c, kind, acc[c]);
            fine += Q8_FINE_BYTES * n_col;
            flag += n_col;
        }
    }
    for (int c = 0; c < n_col; c++) acc_store(y + 16 * c, acc[c]);
}
