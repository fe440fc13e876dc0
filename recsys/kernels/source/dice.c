/* Dice over the rows of a batch: x (alpha + (1 - alpha) p), p = sigmoid(h), h = (x - mean) / sqrt(var + eps).

   R rows, C channels.

   Rows are read block by block into the first cache. Sums over rows are those of the blocks, added up in their order
   and in double precision, so that the number of threads does not change a bit. */
#include "common.h"

#define BLOCK 64

typedef struct {
    const void *rows;        /* (R, C) */
    const float *alpha;      /* (C,) */
    float *mean, *var;       /* (C,) */
    void *output;            /* (R, C) */
    const void *grad_output; /* (R, C) */
    void *grad_rows;         /* (R, C) */
    float *grad_alpha;       /* (C,) */
    long num_rows, num_channels, is_bf16;
    long of_rows;   /* whether mean and variance are those of the rows, so that the gradient passes through them */
    float eps;
    float *sums;    /* (blocks, SUMS, padded C), filled and added up here */
    float *factors; /* (FACTORS, padded C) */
} Dice;

enum { OF_GRAD, OF_STANDARD, OF_ALPHA, SUMS };
enum { MEAN, SCALE, ALPHA, MEAN_GRAD, MEAN_STANDARD, FACTORS };

typedef struct {
    float *rows, *grad, *result;
    long first, count, row; /* of the rows of a block; from one row to the next */
} Block;

INLINE int open_block(Block *block, const Dice *dice) {
    block->row = padded(dice->num_channels);
    block->rows = floats_of(3 * BLOCK * block->row);
    if (!block->rows) return 0;
    memset(block->rows, 0, 3 * BLOCK * block->row * sizeof(float));
    block->grad = block->rows + BLOCK * block->row;
    block->result = block->grad + BLOCK * block->row;
    return 1;
}

INLINE void read_block(Block *block, const Dice *dice, long number, int with_grad) {
    long C = dice->num_channels;
    block->first = number * BLOCK;
    block->count = dice->num_rows - block->first < BLOCK ? dice->num_rows - block->first : BLOCK;
    for (long i = 0; i < block->count; i++) {
        read_floats(block->rows + i * block->row, dice->rows, (block->first + i) * C, C, dice->is_bf16);
        if (with_grad)
            read_floats(block->grad + i * block->row, dice->grad_output, (block->first + i) * C, C, dice->is_bf16);
    }
}

INLINE void write_block(const Block *block, void *to, const Dice *dice) {
    long C = dice->num_channels;
    for (long i = 0; i < block->count; i++)
        write_floats(to, (block->first + i) * C, block->result + i * block->row, C, dice->is_bf16);
}

/* Mean and sum of squared distances from it, of each block. */
static int block_moments(const void *given, long first, long end) {
    const Dice *dice = given;
    Block block;
    if (!open_block(&block, dice)) return 0;
    for (long number = first; number < end; number++) {
        read_block(&block, dice, number, 0);
        float *sums = dice->sums + number * SUMS * block.row;
        for (long c = 0; c < block.row; c += LANES) {
            Floats sum = all(0), squares = all(0);
            for (long i = 0; i < block.count; i++) sum += load(block.rows + i * block.row + c);
            Floats mean = sum / all((float)block.count);
            for (long i = 0; i < block.count; i++) {
                Floats distance = load(block.rows + i * block.row + c) - mean;
                squares += distance * distance;
            }
            store(sums + c, mean);
            store(sums + block.row + c, squares);
        }
    }
    free(block.rows);
    return 1;
}

/* Merge the moments of blocks (Chan, Golub and LeVeque, 1979). */
static void merge_moments(const Dice *dice, long num_blocks) {
    long row = padded(dice->num_channels);
    for (long c = 0; c < dice->num_channels; c++) {
        double count = 0, mean = 0, squares = 0;
        for (long number = 0; number < num_blocks; number++) {
            const float *sums = dice->sums + number * SUMS * row + c;
            long left = dice->num_rows - number * BLOCK;
            double more = left < BLOCK ? left : BLOCK, distance = sums[0] - mean;
            mean += distance * more / (count + more);
            squares += sums[row] + distance * distance * count * more / (count + more);
            count += more;
        }
        dice->mean[c] = (float)mean;
        dice->var[c] = (float)(squares / count);
    }
}

INLINE Floats gate_of(Floats standard) { return 1 / (all(1) + exponential(smaller(-standard, all(88)))); }
INLINE Floats factor(const Dice *dice, int which, long c) {
    return load(dice->factors + which * padded(dice->num_channels) + c);
}

static int forward(const void *given, long first, long end) {
    const Dice *dice = given;
    Block block;
    if (!open_block(&block, dice)) return 0;
    for (long number = first; number < end; number++) {
        read_block(&block, dice, number, 0);
        for (long c = 0; c < block.row; c += LANES) {
            Floats mean = factor(dice, MEAN, c), scale = factor(dice, SCALE, c);
            Floats alpha = factor(dice, ALPHA, c);
            for (long i = 0; i < block.count; i++) {
                Floats x = load(block.rows + i * block.row + c), gate = gate_of((x - mean) * scale);
                store(block.result + i * block.row + c, x * (alpha + (all(1) - alpha) * gate));
            }
        }
        write_block(&block, dice->output, dice);
    }
    free(block.rows);
    return 1;
}

/* The sums over the rows of each block that the gradients of mean, variance and alpha are made of. */
static int backward_sums(const void *given, long first, long end) {
    const Dice *dice = given;
    Block block;
    if (!open_block(&block, dice)) return 0;
    for (long number = first; number < end; number++) {
        read_block(&block, dice, number, 1);
        float *sums = dice->sums + number * SUMS * block.row;
        for (long c = 0; c < block.row; c += LANES) {
            Floats mean = factor(dice, MEAN, c), scale = factor(dice, SCALE, c);
            Floats rest = all(1) - factor(dice, ALPHA, c);
            Floats of_grad = all(0), of_standard = all(0), of_alpha = all(0);
            for (long i = 0; i < block.count; i++) {
                Floats x = load(block.rows + i * block.row + c), standard = (x - mean) * scale;
                Floats gate = gate_of(standard);
                Floats straight = load(block.grad + i * block.row + c) * x, closed = all(1) - gate;
                Floats grad = straight * rest * gate * closed;
                of_grad += grad;
                of_standard += grad * standard;
                of_alpha += straight * closed;
            }
            store(sums + OF_GRAD * block.row + c, of_grad);
            store(sums + OF_STANDARD * block.row + c, of_standard);
            store(sums + OF_ALPHA * block.row + c, of_alpha);
        }
    }
    free(block.rows);
    return 1;
}

static int backward(const void *given, long first, long end) {
    const Dice *dice = given;
    Block block;
    if (!open_block(&block, dice)) return 0;
    for (long number = first; number < end; number++) {
        read_block(&block, dice, number, 1);
        for (long c = 0; c < block.row; c += LANES) {
            Floats mean = factor(dice, MEAN, c), scale = factor(dice, SCALE, c);
            Floats alpha = factor(dice, ALPHA, c), rest = all(1) - alpha;
            Floats mean_grad = factor(dice, MEAN_GRAD, c), mean_standard = factor(dice, MEAN_STANDARD, c);
            for (long i = 0; i < block.count; i++) {
                Floats x = load(block.rows + i * block.row + c), g = load(block.grad + i * block.row + c);
                Floats standard = (x - mean) * scale, gate = gate_of(standard);
                Floats of_standard = g * x * rest * gate * (all(1) - gate) - mean_grad - standard * mean_standard;
                store(block.result + i * block.row + c, of_standard * scale + g * (alpha + rest * gate));
            }
        }
        write_block(&block, dice->grad_rows, dice);
    }
    free(block.rows);
    return 1;
}

static void set_factors(const Dice *dice) {
    long row = padded(dice->num_channels);
    for (long c = 0; c < dice->num_channels; c++) {
        dice->factors[MEAN * row + c] = dice->mean[c];
        dice->factors[SCALE * row + c] = 1 / __builtin_sqrtf(dice->var[c] + dice->eps);
        dice->factors[ALPHA * row + c] = dice->alpha[c];
    }
}

static void add_sums(const Dice *dice, long num_blocks) {
    long row = padded(dice->num_channels);
    for (long c = 0; c < dice->num_channels; c++) {
        double sums[SUMS] = {0};
        for (long number = 0; number < num_blocks; number++)
            for (int s = 0; s < SUMS; s++) sums[s] += dice->sums[(number * SUMS + s) * row + c];
        dice->grad_alpha[c] = (float)sums[OF_ALPHA];
        dice->factors[MEAN_GRAD * row + c] = dice->of_rows ? (float)(sums[OF_GRAD] / dice->num_rows) : 0;
        dice->factors[MEAN_STANDARD * row + c] = dice->of_rows ? (float)(sums[OF_STANDARD] / dice->num_rows) : 0;
    }
}

static int with_memory(Dice *dice, long num_blocks) {
    long row = padded(dice->num_channels);
    dice->factors = floats_of((FACTORS + num_blocks * SUMS) * row);
    if (!dice->factors) return 0;
    memset(dice->factors, 0, FACTORS * row * sizeof(float));
    dice->sums = dice->factors + FACTORS * row;
    return 1;
}

int dice_moments(const Dice *arguments, long num_rows, long num_threads) {
    Dice dice = *arguments;
    long num_blocks = (num_rows + BLOCK - 1) / BLOCK;
    if (!with_memory(&dice, num_blocks)) return 0;
    int done = in_threads(block_moments, &dice, num_blocks, 8, num_threads);
    if (done) merge_moments(&dice, num_blocks);
    free(dice.factors);
    return done;
}

int dice_forward(const Dice *arguments, long num_rows, long num_threads) {
    Dice dice = *arguments;
    if (!with_memory(&dice, 0)) return 0;
    set_factors(&dice);
    int done = in_threads(forward, &dice, (num_rows + BLOCK - 1) / BLOCK, 8, num_threads);
    free(dice.factors);
    return done;
}

int dice_backward(const Dice *arguments, long num_rows, long num_threads) {
    Dice dice = *arguments;
    long num_blocks = (num_rows + BLOCK - 1) / BLOCK;
    if (!with_memory(&dice, num_blocks)) return 0;
    set_factors(&dice);
    int done = in_threads(backward_sums, &dice, num_blocks, 8, num_threads);
    if (done) add_sums(&dice, num_blocks);
    done = done && in_threads(backward, &dice, num_blocks, 8, num_threads);
    free(dice.factors);
    return done;
}
