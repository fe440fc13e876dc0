/* Self-attention over the few rows of each example, with residual and ReLU: relu(dropout(softmax(scale q k')) v + r).

   B examples, M rows of each, H heads, W width of a head, A = H * W.

   An example fits the first cache, so that everything between the projections and the output is done there, head by
   head. Weights are kept as (key, query): lanes are queries, so that maximum and sum over keys need no sum of lanes.
   Rows of a head are read and written where they lie if they are float and fill whole vectors; else they are copied
   into rows that do. Examples do not touch each other: the number of threads does not change a bit. */
#include "common.h"

typedef struct {
    const void *projected;   /* (B, M, num_parts * A): query, key, value and, of 4 parts, residual */
    const uint8_t *kept;     /* (B, M): keys that are attended to; may be NULL */
    const float *dropout;    /* (B, H, M, M): what weights (query, key) are multiplied by; may be NULL */
    float *weights;          /* (B, H, M, padded M): softmax weights (key, query) before dropout; NULL keeps none */
    void *output;            /* (B, M, A) */
    const void *grad_output; /* (B, M, A) */
    void *grad_projected;    /* as projected */
    long num_rows, num_heads, width, num_parts, is_bf16;
    float scale;
} Attention;

/* Rows of floats; `row` is the distance from one to the next. */
typedef struct {
    float *at;
    long row;
} Rows;

/* c (rows, columns) = start + a b, of up to TALL rows and 2 vectors of columns, which stay in registers.
   a (rows, depth) has its rows side by side if it is `turned`, else its columns. */
#ifdef __AVX512F__
#define TALL 8
#else
#define TALL 5
#endif

INLINE void tile(long depth, Rows a, Rows b, const Rows *start, Rows c, int is_relu, const int turned, const int rows,
                 const int vectors) {
    Floats sums[TALL][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) sums[i][j] = start ? load(start->at + i * start->row + j * LANES) : all(0);
    for (long k = 0; k < depth; k++) {
        Floats of_b[2];
        for (int j = 0; j < vectors; j++) of_b[j] = load(b.at + k * b.row + j * LANES);
        for (int i = 0; i < rows; i++) {
            Floats of_a = all(turned ? a.at[k * a.row + i] : a.at[i * a.row + k]);
            for (int j = 0; j < vectors; j++) sums[i][j] += of_a * of_b[j];
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            store(c.at + i * c.row + j * LANES, is_relu ? larger(sums[i][j], all(0)) : sums[i][j]);
}

INLINE void strip(int rows, long depth, Rows a, Rows b, const Rows *start, Rows c, int is_relu, const int turned,
                  const int vectors) {
    switch (rows) {
#define CASE(n)                                                            \
    case n:                                                                \
        tile(depth, a, b, start, c, is_relu, turned, n, vectors); \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
#if TALL == 8
        CASE(6)
        CASE(7)
        CASE(8)
#endif
#undef CASE
    }
}

INLINE Rows moved(Rows rows, long down, long right) { return (Rows){rows.at + down * rows.row + right, rows.row}; }

INLINE void multiply(long rows, long depth, long columns, Rows a, Rows b, const Rows *start, Rows c, int is_relu,
                     const int turned) {
    long num_strips = (rows + TALL - 1) / TALL;
    for (long s = 0, i = 0, end; s < num_strips; s++, i = end) {
        end = (s + 1) * rows / num_strips;
        Rows of_a = turned ? moved(a, 0, i) : moved(a, i, 0);
        for (long j = 0; j < columns;) {
            int is_wide = j + 2 * LANES <= columns;
            Rows of_start = start ? moved(*start, i, j) : (Rows){0};
            const Rows *from = start ? &of_start : NULL;
            if (is_wide)
                strip(end - i, depth, of_a, moved(b, 0, j), from, moved(c, i, j), is_relu, turned, 2);
            else
                strip(end - i, depth, of_a, moved(b, 0, j), from, moved(c, i, j), is_relu, turned, 1);
            j += is_wide ? 2 * LANES : LANES;
        }
    }
}

/* c (rows, columns) = a b; columns are padded to lanes. */
static void product(long rows, long depth, long columns, Rows a, Rows b, Rows c) {
    multiply(rows, depth, columns, a, b, NULL, c, 0, 0);
}

/* c (rows, columns) = a' b, or relu(start + a' b) with a start. */
static void product_of_turned(long rows, long depth, long columns, Rows a, Rows b, const Rows *start, int is_relu,
                              Rows c) {
    multiply(rows, depth, columns, a, b, start, c, is_relu, 1);
}

/* to (padded columns, padded rows) = factor * from (rows, padded columns)' */
static void transpose(Rows to, Rows from, long rows, long columns, float factor) {
    for (long i = 0; i < rows; i += LANES)
        for (long j = 0; j < columns; j += LANES) {
            Floats block[LANES];
            for (long k = 0; k < LANES; k++)
                block[k] = i + k < rows ? load(from.at + (i + k) * from.row + j) * all(factor) : all(0);
            turn(block);
            for (long k = 0; k < LANES; k++) store(to.at + (j + k) * to.row + i, block[k]);
        }
}

/* weights (key, query): scores -> softmax over keys */
static void softmax(Rows weights, long num_rows, const uint8_t *kept) {
    for (long m = 0; m < weights.row; m += LANES) {
        Floats top = all(-3e38f), sum = all(0);
        for (long n = 0; n < num_rows; n++) {
            float *at = weights.at + n * weights.row + m;
            if (kept && !kept[n]) store(at, all(-1e30f));
            top = larger(top, load(at));
        }
        for (long n = 0; n < num_rows; n++) {
            float *at = weights.at + n * weights.row + m;
            Floats power = exponential(load(at) - top);
            store(at, power);
            sum += power;
        }
        Floats share = 1 / sum;
        for (long n = 0; n < num_rows; n++) {
            float *at = weights.at + n * weights.row + m;
            store(at, load(at) * share);
        }
    }
}

static void times_dropout(Rows to, Rows weights, const float *dropout, long num_rows) {
    for (long n = 0; n < num_rows; n++)
        for (long m = 0; m < num_rows; m++)
            to.at[n * to.row + m] = weights.at[n * weights.row + m] * dropout[m * num_rows + n];
}

/* The rows of a part of a head, which begins at a number of an array of float or bfloat16, of the width of the head. */
typedef struct {
    const Attention *of;
    long lanes;     /* padded width */
    int is_in_place; /* whether they are read and written where they lie */
} Layout;

static Layout layout_of(const Attention *at) {
    return (Layout){at, padded(at->width), !at->is_bf16 && at->width % LANES == 0};
}

INLINE Rows read_rows(Layout layout, const void *array, long first, long row, float *copy) {
    if (layout.is_in_place) return (Rows){(float *)array + first, row};
    for (long m = 0; m < layout.of->num_rows; m++)
        read_floats(copy + m * layout.lanes, array, first + m * row, layout.of->width, layout.of->is_bf16);
    return (Rows){copy, layout.lanes};
}

/* Where rows are computed that `write_rows` brings to their place. */
INLINE Rows rows_to_write(Layout layout, void *array, long first, long row, float *copy) {
    return layout.is_in_place ? (Rows){(float *)array + first, row} : (Rows){copy, layout.lanes};
}

INLINE void write_rows(Layout layout, void *array, long first, long row, Rows rows) {
    if (layout.is_in_place) return;
    for (long m = 0; m < layout.of->num_rows; m++)
        write_floats(array, first + m * row, rows.at + m * rows.row, layout.of->width, layout.of->is_bf16);
}

static int forward(const void *given, long first, long end) {
    const Attention *at = given;
    Layout layout = layout_of(at);
    long M = at->num_rows, H = at->num_heads, W = at->width, Mp = padded(M), Wp = padded(W);
    long A = H * W, row = at->num_parts * A, size = M * 5 * Wp + Wp * Mp + 2 * M * Mp;
    float *memory = floats_of(size);
    if (!memory) return 0;
    memset(memory, 0, size * sizeof(float));
    float *copies = memory, *own = memory + 5 * M * Wp;
    Rows queries = {own + 2 * M * Mp, Mp}, dropped = {own + M * Mp, Mp};
    for (long b = first; b < end; b++)
        for (long h = 0; h < H; h++) {
            long here = b * M * row + h * W, result = b * M * A + h * W;
            Rows weights = {at->weights ? at->weights + (b * H + h) * M * Mp : own, Mp}, used = weights, part[4];
            for (long p = 0; p < at->num_parts; p++)
                part[p] = read_rows(layout, at->projected, here + p * A, row, copies + p * M * Wp);
            Rows output = rows_to_write(layout, at->output, result, A, copies + 4 * M * Wp);
            transpose(queries, part[0], M, W, at->scale);
            product(M, W, Mp, part[1], queries, weights);
            softmax(weights, M, at->kept ? at->kept + b * M : NULL);
            if (at->dropout) times_dropout(used = dropped, weights, at->dropout + (b * H + h) * M * M, M);
            product_of_turned(M, M, Wp, used, part[2], at->num_parts == 4 ? &part[3] : NULL, 1, output);
            write_rows(layout, at->output, result, A, output);
        }
    free(memory);
    return 1;
}

/* grad (key, query): of the weights -> of the scores, times scale */
static void softmax_backward(Rows grad, Rows weights, long num_rows, const uint8_t *kept, float scale) {
    for (long m = 0; m < grad.row; m += LANES) {
        Floats sum = all(0);
        for (long n = 0; n < num_rows; n++)
            sum += load(weights.at + n * weights.row + m) * load(grad.at + n * grad.row + m);
        for (long n = 0; n < num_rows; n++) {
            Floats of_score = load(weights.at + n * weights.row + m) * (load(grad.at + n * grad.row + m) - sum);
            store(grad.at + n * grad.row + m, kept && !kept[n] ? all(0) : of_score * all(scale));
        }
    }
}

/* grad = the rows of `from` where the output of the ReLU is above 0 */
static void relu_backward(Rows grad, Rows from, Rows output, long num_rows, long width) {
    for (long m = 0; m < num_rows; m++)
        for (long w = 0; w < width; w += LANES) {
            Ints closed = load(output.at + m * output.row + w) <= all(0);
            store(grad.at + m * grad.row + w, either(closed, all(0), load(from.at + m * from.row + w)));
        }
}

static int backward(const void *given, long first, long end) {
    const Attention *at = given;
    Layout layout = layout_of(at);
    long M = at->num_rows, H = at->num_heads, W = at->width, Mp = padded(M), Wp = padded(W);
    long A = H * W, row = at->num_parts * A, size = M * 9 * Wp + Wp * Mp + 2 * M * Mp;
    float *memory = floats_of(size);
    if (!memory) return 0;
    memset(memory, 0, size * sizeof(float));
    float *copies = memory, *more = memory + 9 * M * Wp;
    Rows turned = {more, Mp}, dropped = {more + Wp * Mp, Mp}, of_weights = {more + Wp * Mp + M * Mp, Mp};
    for (long b = first; b < end; b++)
        for (long h = 0; h < H; h++) {
            long here = b * M * row + h * W, result = b * M * A + h * W;
            Rows weights = {at->weights + (b * H + h) * M * Mp, Mp}, used = weights, part[3], grads[4];
            const float *dropout = at->dropout ? at->dropout + (b * H + h) * M * M : NULL;
            for (long p = 0; p < 3; p++)
                part[p] = read_rows(layout, at->projected, here + p * A, row, copies + p * M * Wp);
            for (long p = 0; p < 4; p++) {
                float *copy = copies + (3 + p) * M * Wp;
                grads[p] = p < at->num_parts ? rows_to_write(layout, at->grad_projected, here + p * A, row, copy)
                                             : (Rows){copy, Wp};
            }
            Rows output = read_rows(layout, at->output, result, A, copies + 7 * M * Wp);
            Rows from = read_rows(layout, at->grad_output, result, A, copies + 8 * M * Wp);
            relu_backward(grads[3], from, output, M, Wp);
            if (dropout) times_dropout(used = dropped, weights, dropout, M);
            product(M, M, Wp, used, grads[3], grads[2]);
            transpose(turned, grads[3], M, W, 1);
            product(M, W, Mp, part[2], turned, of_weights);
            if (dropout) times_dropout(of_weights, of_weights, dropout, M);
            softmax_backward(of_weights, weights, M, at->kept ? at->kept + b * M : NULL, at->scale);
            product_of_turned(M, M, Wp, of_weights, part[1], NULL, 0, grads[0]);
            product(M, M, Wp, of_weights, part[0], grads[1]);
            for (long p = 0; p < at->num_parts; p++)
                write_rows(layout, at->grad_projected, here + p * A, row, grads[p]);
        }
    free(memory);
    return 1;
}

int attention_forward(const Attention *arguments, long num_examples, long num_threads) {
    return in_threads(forward, arguments, num_examples, 16, num_threads);
}

int attention_backward(const Attention *arguments, long num_examples, long num_threads) {
    return in_threads(backward, arguments, num_examples, 16, num_threads);
}
