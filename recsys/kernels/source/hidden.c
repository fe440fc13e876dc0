/* What follows a linear layer in training: d relu(w h + b), h = (x - mean) / sqrt(var + eps), d = 0 or 1 / (1 - rate)
   by draws; mean and var are those of the rows.

   R rows, C channels.

   Rows are passed in the order of memory, each in the first cache. Sums over rows are those of blocks, added up in
   their order and in double precision, so that the number of threads does not change a bit. */
#include "common.h"

#define BLOCK 64

typedef struct {
    const void *rows;               /* (R, C) */
    const float *mean, *var;        /* (C,) */
    const float *weight, *bias;     /* (C,) */
    const int16_t *draws;           /* (R, C), uniform; NULL without dropout */
    void *output;                   /* (R, C) */
    const void *grad_output;        /* (R, C) */
    void *grad_rows;                /* (R, C) */
    float *grad_weight, *grad_bias; /* (C,) */
    long num_rows, num_channels, is_bf16;
    long first_kept;  /* the least draw that is kept */
    float kept_scale; /* what is kept is multiplied by it */
    float eps;
    float *sums;    /* (blocks, SUMS, padded C), filled and added up here */
    float *factors; /* (FACTORS, padded C) */
} Hidden;

enum { OF_GRAD, OF_STANDARD, SUMS };
enum { MEAN, SCALE, WEIGHT, BIAS, MEAN_GRAD, MEAN_STANDARD, FACTORS };

INLINE Floats factor(const Hidden *hidden, int which, long c) {
    return load(hidden->factors + which * padded(hidden->num_channels) + c);
}

/* One row of each; lanes beyond the last channel are 0. */
typedef struct {
    float *rows, *other, *grads;
} Buffers;

INLINE int open_buffers(Buffers *buffers, const Hidden *hidden) {
    long width = padded(hidden->num_channels);
    buffers->rows = floats_of(3 * width);
    if (!buffers->rows) return 0;
    memset(buffers->rows, 0, 3 * width * sizeof(float));
    buffers->other = buffers->rows + width;
    buffers->grads = buffers->other + width;
    return 1;
}

INLINE long first_row(long block) { return block * BLOCK; }
INLINE long end_row(const Hidden *hidden, long block) {
    long end = (block + 1) * BLOCK;
    return end < hidden->num_rows ? end : hidden->num_rows;
}

INLINE void read_kept(float *kept, const Hidden *hidden, long r) {
    long C = hidden->num_channels;
    const int16_t *draws = hidden->draws + r * C;
    const int first_kept = (int)hidden->first_kept;
    const float scale = hidden->kept_scale; /* not read again after each store, which would be a branch */
    for (long c = 0; c < C; c++) kept[c] = draws[c] >= first_kept ? scale : 0.0f;
}

static int forward(const void *given, long first, long end) {
    const Hidden *hidden = given;
    long C = hidden->num_channels;
    Buffers buffers;
    if (!open_buffers(&buffers, hidden)) return 0;
    for (long c = 0; c < C; c++) buffers.other[c] = 1;
    for (long r = first_row(first); r < end_row(hidden, end - 1); r++) {
        read_floats(buffers.rows, hidden->rows, r * C, C, hidden->is_bf16);
        if (hidden->draws) read_kept(buffers.other, hidden, r);
        for (long c = 0; c < C; c += LANES) {
            Floats standard = (load(buffers.rows + c) - factor(hidden, MEAN, c)) * factor(hidden, SCALE, c);
            Floats line = standard * factor(hidden, WEIGHT, c) + factor(hidden, BIAS, c);
            store(buffers.rows + c, larger(line, all(0)) * load(buffers.other + c));
        }
        write_floats(hidden->output, r * C, buffers.rows, C, hidden->is_bf16);
    }
    free(buffers.rows);
    return 1;
}

/* Read the row, and what the gradient of w h + b is made of. */
INLINE void read_row(Buffers *buffers, const Hidden *hidden, long r) {
    long C = hidden->num_channels;
    read_floats(buffers->rows, hidden->rows, r * C, C, hidden->is_bf16);
    read_floats(buffers->other, hidden->output, r * C, C, hidden->is_bf16);
    read_floats(buffers->grads, hidden->grad_output, r * C, C, hidden->is_bf16);
}

/* The gradient of w h + b: none where the output is 0, which ReLU or dropout has made of it. */
INLINE Floats grad_of(const Buffers *buffers, Floats kept_scale, long c) {
    return either(load(buffers->other + c) <= all(0), all(0), load(buffers->grads + c) * kept_scale);
}

INLINE Floats standard_of(const Buffers *buffers, const Hidden *hidden, long c) {
    return (load(buffers->rows + c) - factor(hidden, MEAN, c)) * factor(hidden, SCALE, c);
}

/* The sums over the rows of each block that the gradients of mean, variance, weight and bias are made of. */
static int backward_sums(const void *given, long first, long end) {
    const Hidden *hidden = given;
    long C = hidden->num_channels, width = padded(C);
    const Floats kept_scale = all(hidden->kept_scale);
    Buffers buffers;
    if (!open_buffers(&buffers, hidden)) return 0;
    for (long block = first; block < end; block++) {
        float *of_grad = hidden->sums + block * SUMS * width, *of_standard = of_grad + OF_STANDARD * width;
        memset(of_grad, 0, SUMS * width * sizeof(float));
        for (long r = first_row(block); r < end_row(hidden, block); r++) {
            read_row(&buffers, hidden, r);
            for (long c = 0; c < C; c += LANES) {
                Floats grad = grad_of(&buffers, kept_scale, c);
                store(of_grad + c, load(of_grad + c) + grad);
                store(of_standard + c, load(of_standard + c) + grad * standard_of(&buffers, hidden, c));
            }
        }
    }
    free(buffers.rows);
    return 1;
}

/* The last block comes first, for it is still in the second cache. */
static int backward(const void *given, long first, long end) {
    const Hidden *hidden = given;
    long C = hidden->num_channels;
    const Floats kept_scale = all(hidden->kept_scale);
    Buffers buffers;
    if (!open_buffers(&buffers, hidden)) return 0;
    for (long block = end - 1; block >= first; block--)
        for (long r = first_row(block); r < end_row(hidden, block); r++) {
            read_row(&buffers, hidden, r);
            for (long c = 0; c < C; c += LANES) {
                Floats standard = standard_of(&buffers, hidden, c);
                Floats through_moments = factor(hidden, MEAN_GRAD, c) + standard * factor(hidden, MEAN_STANDARD, c);
                Floats slope = factor(hidden, WEIGHT, c) * factor(hidden, SCALE, c);
                store(buffers.rows + c, (grad_of(&buffers, kept_scale, c) - through_moments) * slope);
            }
            write_floats(hidden->grad_rows, r * C, buffers.rows, C, hidden->is_bf16);
        }
    free(buffers.rows);
    return 1;
}

static void set_factors(const Hidden *hidden) {
    long width = padded(hidden->num_channels);
    for (long c = 0; c < hidden->num_channels; c++) {
        hidden->factors[MEAN * width + c] = hidden->mean[c];
        hidden->factors[SCALE * width + c] = 1 / __builtin_sqrtf(hidden->var[c] + hidden->eps);
        hidden->factors[WEIGHT * width + c] = hidden->weight[c];
        if (hidden->bias) hidden->factors[BIAS * width + c] = hidden->bias[c];
    }
}

static void add_sums(const Hidden *hidden, long num_blocks) {
    long width = padded(hidden->num_channels);
    for (long c = 0; c < hidden->num_channels; c++) {
        double sums[SUMS] = {0};
        for (long block = 0; block < num_blocks; block++)
            for (int s = 0; s < SUMS; s++) sums[s] += hidden->sums[(block * SUMS + s) * width + c];
        hidden->grad_bias[c] = (float)sums[OF_GRAD];
        hidden->grad_weight[c] = (float)sums[OF_STANDARD];
        hidden->factors[MEAN_GRAD * width + c] = (float)(sums[OF_GRAD] / hidden->num_rows);
        hidden->factors[MEAN_STANDARD * width + c] = (float)(sums[OF_STANDARD] / hidden->num_rows);
    }
}

static int with_memory(Hidden *hidden, long num_blocks) {
    long width = padded(hidden->num_channels);
    hidden->factors = floats_of((FACTORS + num_blocks * SUMS) * width);
    if (!hidden->factors) return 0;
    memset(hidden->factors, 0, FACTORS * width * sizeof(float));
    hidden->sums = hidden->factors + FACTORS * width;
    return 1;
}

int hidden_forward(const Hidden *arguments, long num_rows, long num_threads) {
    Hidden hidden = *arguments;
    if (!with_memory(&hidden, 0)) return 0;
    set_factors(&hidden);
    int done = in_threads(forward, &hidden, (num_rows + BLOCK - 1) / BLOCK, 8, num_threads);
    free(hidden.factors);
    return done;
}

int hidden_backward(const Hidden *arguments, long num_rows, long num_threads) {
    Hidden hidden = *arguments;
    long num_blocks = (num_rows + BLOCK - 1) / BLOCK;
    if (!with_memory(&hidden, num_blocks)) return 0;
    set_factors(&hidden);
    int done = in_threads(backward_sums, &hidden, num_blocks, 8, num_threads);
    if (done) add_sums(&hidden, num_blocks);
    done = done && in_threads(backward, &hidden, num_blocks, 8, num_threads);
    free(hidden.factors);
    return done;
}
