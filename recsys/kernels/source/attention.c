/* Self-attention over the few rows of each example, with residual and ReLU: relu(dropout(softmax(scale q k')) v + r).

   B examples, M rows of each, H heads, W width of a head, A = H * W.

   An example fits the first cache, so that everything between the projections and the output is done there, head by
   head. Weights are kept as (key, query): lanes are queries, so that maximum and sum over keys need no sum of lanes.
   Examples do not touch each other: the number of threads does not change a bit. */
#include "common.h"

typedef struct {
    const void *projected;   /* (B, M, num_parts * A): query, key, value and, of 4 parts, residual */
    const uint8_t *kept;     /* (B, M): keys that are attended to; may be NULL */
    const float *dropout;    /* (B, H, M, M): what weights (query, key) are multiplied by; may be NULL */
    float *weights;          /* (B, H, M, padded M): softmax weights (key, query) before dropout; may be NULL */
    void *output;            /* (B, M, A) */
    const void *grad_output; /* (B, M, A) */
    void *grad_projected;    /* as projected */
    long num_rows, num_heads, width, num_parts, is_bf16;
    float scale;
} Attention;

/* c (rows, columns) = start + a b; a (rows, depth) has strides of its own, columns are padded to lanes. */
INLINE void tile(long depth, const float *a, long a_row, long a_depth, const float *b, long b_row, const float *start,
                 float *c, long c_row, const int rows, const int vectors) {
    Floats sums[5][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sums[i][j] = start ? load(start + i * c_row + j * LANES) : all(0);
    for (long k = 0; k < depth; k++)
        for (int j = 0; j < vectors; j++) {
            Floats of_b = load(b + k * b_row + j * LANES);
            for (int i = 0; i < rows; i++) sums[i][j] += all(a[i * a_row + k * a_depth]) * of_b;
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) store(c + i * c_row + j * LANES, sums[i][j]);
}

INLINE void strip(long rows, long depth, const float *a, long a_row, long a_depth, const float *b, long b_row,
                  const float *start, float *c, long c_row, const int vectors) {
    long i = 0;
#define TILES(n)                                                                                      \
    for (; i + n <= rows; i += n)                                                                     \
        tile(depth, a + i * a_row, a_row, a_depth, b, b_row, start ? start + i * c_row : NULL,        \
             c + i * c_row, c_row, n, vectors);
    TILES(5)
    TILES(2)
    TILES(1)
#undef TILES
}

static void product(long rows, long depth, long columns, const float *a, long a_row, long a_depth, const float *b,
                    long b_row, const float *start, float *c, long c_row) {
    long j = 0;
    for (; j + 2 * LANES <= columns; j += 2 * LANES)
        strip(rows, depth, a, a_row, a_depth, b + j, b_row, start ? start + j : NULL, c + j, c_row, 2);
    for (; j < columns; j += LANES)
        strip(rows, depth, a, a_row, a_depth, b + j, b_row, start ? start + j : NULL, c + j, c_row, 1);
}

/* to (columns, padded rows) = factor * from (rows, columns)' */
static void transpose(float *to, const float *from, long rows, long columns, long from_row, float factor) {
    long to_row = padded(rows);
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) to[j * to_row + i] = factor * from[i * from_row + j];
}

/* weights (key, query): scores -> softmax over keys */
static void softmax(float *weights, long num_rows, const uint8_t *kept) {
    long row = padded(num_rows);
    for (long m = 0; m < row; m += LANES) {
        Floats top = all(-3e38f), sum = all(0);
        for (long n = 0; n < num_rows; n++) {
            if (kept && !kept[n]) store(weights + n * row + m, all(-1e30f));
            top = larger(top, load(weights + n * row + m));
        }
        for (long n = 0; n < num_rows; n++) {
            Floats power = exponential(load(weights + n * row + m) - top);
            store(weights + n * row + m, power);
            sum += power;
        }
        Floats share = 1 / sum;
        for (long n = 0; n < num_rows; n++) store(weights + n * row + m, load(weights + n * row + m) * share);
    }
}

static void times_dropout(float *to, const float *weights, const float *dropout, long num_rows) {
    long row = padded(num_rows);
    for (long n = 0; n < num_rows; n++)
        for (long m = 0; m < num_rows; m++) to[n * row + m] = weights[n * row + m] * dropout[m * num_rows + n];
}

static int forward(const void *given, long first, long end) {
    const Attention *at = given;
    long M = at->num_rows, H = at->num_heads, W = at->width, Mp = padded(M), Wp = padded(W);
    long A = H * W, row = at->num_parts * A;
    float *memory = floats_of(M * 5 * Wp + Wp * Mp + 2 * M * Mp);
    if (!memory) return 0;
    memset(memory, 0, (M * 5 * Wp + Wp * Mp + 2 * M * Mp) * sizeof(float));
    float *part[4], *mixed = memory + 4 * M * Wp, *queries = mixed + M * Wp, *own = queries + Wp * Mp,
                    *dropped = own + M * Mp;
    for (int p = 0; p < 4; p++) part[p] = memory + p * M * Wp;
    for (long b = first; b < end; b++)
        for (long h = 0; h < H; h++) {
            float *weights = at->weights ? at->weights + (b * H + h) * M * Mp : own, *used = weights;
            for (long m = 0; m < M; m++)
                for (long p = 0; p < at->num_parts; p++)
                    read_floats(part[p] + m * Wp, at->projected, (b * M + m) * row + p * A + h * W, W, at->is_bf16);
            transpose(queries, part[0], M, W, Wp, at->scale);
            product(M, W, Mp, part[1], Wp, 1, queries, Mp, NULL, weights, Mp);
            softmax(weights, M, at->kept ? at->kept + b * M : NULL);
            if (at->dropout) times_dropout(used = dropped, weights, at->dropout + (b * H + h) * M * M, M);
            product(M, M, Wp, used, 1, Mp, part[2], Wp, at->num_parts == 4 ? part[3] : NULL, mixed, Wp);
            for (long m = 0; m < M; m++) {
                for (long w = 0; w < Wp; w += LANES)
                    store(mixed + m * Wp + w, larger(load(mixed + m * Wp + w), all(0)));
                write_floats(at->output, (b * M + m) * A + h * W, mixed + m * Wp, W, at->is_bf16);
            }
        }
    free(memory);
    return 1;
}

/* grad (key, query): of the weights -> of the scores, times scale */
static void softmax_backward(float *grad, const float *weights, long num_rows, const uint8_t *kept, float scale) {
    long row = padded(num_rows);
    for (long m = 0; m < row; m += LANES) {
        Floats sum = all(0);
        for (long n = 0; n < num_rows; n++) sum += load(weights + n * row + m) * load(grad + n * row + m);
        for (long n = 0; n < num_rows; n++) {
            Floats of_score = load(weights + n * row + m) * (load(grad + n * row + m) - sum);
            store(grad + n * row + m, kept && !kept[n] ? all(0) : of_score * all(scale));
        }
    }
}

static int backward(const void *given, long first, long end) {
    const Attention *at = given;
    long M = at->num_rows, H = at->num_heads, W = at->width, Mp = padded(M), Wp = padded(W);
    long A = H * W, row = at->num_parts * A;
    float *memory = floats_of(M * 8 * Wp + Wp * Mp + 2 * M * Mp);
    if (!memory) return 0;
    memset(memory, 0, (M * 8 * Wp + Wp * Mp + 2 * M * Mp) * sizeof(float));
    float *part[3], *grads[4], *output = memory + 7 * M * Wp, *turned = output + M * Wp, *dropped = turned + Wp * Mp,
                               *of_weights = dropped + M * Mp;
    for (int p = 0; p < 3; p++) part[p] = memory + p * M * Wp;
    for (int p = 0; p < 4; p++) grads[p] = memory + (3 + p) * M * Wp;
    float *of_mixed = grads[3];
    for (long b = first; b < end; b++)
        for (long h = 0; h < H; h++) {
            const float *weights = at->weights + (b * H + h) * M * Mp, *used = weights;
            const float *dropout = at->dropout ? at->dropout + (b * H + h) * M * M : NULL;
            for (long m = 0; m < M; m++) {
                for (long p = 0; p < 3; p++)
                    read_floats(part[p] + m * Wp, at->projected, (b * M + m) * row + p * A + h * W, W, at->is_bf16);
                read_floats(output + m * Wp, at->output, (b * M + m) * A + h * W, W, at->is_bf16);
                read_floats(of_mixed + m * Wp, at->grad_output, (b * M + m) * A + h * W, W, at->is_bf16);
                for (long w = 0; w < Wp; w += LANES) {
                    Ints closed = load(output + m * Wp + w) <= all(0);
                    store(of_mixed + m * Wp + w, either(closed, all(0), load(of_mixed + m * Wp + w)));
                }
            }
            if (dropout) times_dropout(dropped, weights, dropout, M), used = dropped;
            product(M, M, Wp, used, Mp, 1, of_mixed, Wp, NULL, grads[2], Wp);
            transpose(turned, of_mixed, M, W, Wp, 1);
            product(M, W, Mp, part[2], Wp, 1, turned, Mp, NULL, of_weights, Mp);
            if (dropout) times_dropout(of_weights, of_weights, dropout, M);
            softmax_backward(of_weights, weights, M, at->kept ? at->kept + b * M : NULL, at->scale);
            product(M, M, Wp, of_weights, 1, Mp, part[1], Wp, NULL, grads[0], Wp);
            product(M, M, Wp, of_weights, Mp, 1, part[0], Wp, NULL, grads[1], Wp);
            for (long m = 0; m < M; m++)
                for (long p = 0; p < at->num_parts; p++)
                    write_floats(at->grad_projected, (b * M + m) * row + p * A + h * W, grads[p] + m * Wp, W,
                                 at->is_bf16);
        }
    free(memory);
    return 1;
}

int attention_forward(const Attention *arguments, long num_examples, long num_threads) {
    return in_threads(forward, arguments, num_examples, 64, num_threads);
}

int attention_backward(const Attention *arguments, long num_examples, long num_threads) {
    return in_threads(backward, arguments, num_examples, 64, num_threads);
}
