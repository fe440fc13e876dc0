/* What the kernels share: vectors of floats, rows of other types, and threads. */
#ifndef RECSYS_COMMON_H
#define RECSYS_COMMON_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef Floats AnyFloats __attribute__((aligned(4), may_alias));

INLINE Floats load(const float *from) { return *(const AnyFloats *)from; }
INLINE void store(float *to, Floats values) { *(AnyFloats *)to = values; }
INLINE Floats all(float value) { return value - (Floats){0}; }
INLINE Floats either(Ints condition, Floats yes, Floats no) {
    return (Floats)(((Ints)yes & condition) | ((Ints)no & ~condition));
}
/* NaN, which a diverged training shows itself by, stays where `a` has it. */
INLINE Floats larger(Floats a, Floats b) { return either(a < b, b, a); }
INLINE Floats smaller(Floats a, Floats b) { return either(a > b, b, a); }

/* Two vectors by turns: a0 b0 a1 b1 .., of their first halves and of their second. */
#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (Ints){__VA_ARGS__})
#endif
#if LANES == 16
INLINE Floats first_halves(Floats a, Floats b) {
    return SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
INLINE Floats second_halves(Floats a, Floats b) {
    return SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#else
INLINE Floats first_halves(Floats a, Floats b) { return SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE Floats second_halves(Floats a, Floats b) { return SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#endif

/* Transpose a block in registers: each pass turns the bits of (row, column) by one place. */
INLINE void turn(Floats block[LANES]) {
    for (int pass = 1; pass < LANES; pass *= 2) {
        Floats turned[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            turned[2 * i] = first_halves(block[i], block[i + LANES / 2]);
            turned[2 * i + 1] = second_halves(block[i], block[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; i++) block[i] = turned[i];
    }
}

INLINE long padded(long count) { return (count + LANES - 1) / LANES * LANES; }

/* exp(x) for x <= 88, within 2e-7 of itself (the polynomial of Cephes); exactly 0 below -87. */
INLINE Floats exponential(Floats x) {
    const Floats shift = all(12582912.0f); /* 1.5 * 2^23: the last bits of x + shift are x, rounded */
    Ints vanishes = x < all(-87.0f);
    x = larger(x, all(-87.0f));
    Floats shifted = x * all(1.44269504088896341f) + shift, power = shifted - shift;
    x = x - power * all(0.693359375f);
    x = x - power * all(-2.12194440e-4f);
    Floats p = all(1.9875691500e-4f) * x + all(1.3981999507e-3f);
    p = p * x + all(8.3334519073e-3f);
    p = p * x + all(4.1665795894e-2f);
    p = p * x + all(1.6666665459e-1f);
    p = p * x + all(5.0000001201e-1f);
    p = p * (x * x) + (x + all(1.0f));
    Ints scaled = (Ints)p + ((Ints)shifted << 23);
    return (Floats)(scaled & ~vanishes);
}

INLINE float of_bf16(uint16_t value) {
    union {
        uint32_t bits;
        float value;
    } wide = {(uint32_t)value << 16};
    return wide.value;
}

INLINE uint16_t to_bf16(float value) { /* the nearest; of two, the even one */
    union {
        float value;
        uint32_t bits;
    } wide = {value};
    uint32_t rounded = (wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16;
    return value != value ? 0x7fc0 : (uint16_t)rounded;
}

/* Copy numbers from `first` on, out of an array of float or bfloat16. */
INLINE void read_floats(float *to, const void *from, long first, long count, int is_bf16) {
    if (is_bf16)
        for (long i = 0; i < count; i++) to[i] = of_bf16(((const uint16_t *)from)[first + i]);
    else
        memcpy(to, (const float *)from + first, count * sizeof(float));
}

INLINE void write_floats(void *to, long first, const float *from, long count, int is_bf16) {
    if (is_bf16)
        for (long i = 0; i < count; i++) ((uint16_t *)to)[first + i] = to_bf16(from[i]);
    else
        memcpy((float *)to + first, from, count * sizeof(float));
}

INLINE float *floats_of(long count) { return aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64); }

/* Threads: `body` is called for parts of 0..count that lie side by side, one a thread. 0 if memory was lacking. */
typedef int (*Body)(const void *arguments, long first, long end);

typedef struct {
    Body body;
    const void *arguments;
    long first, end;
    int done;
    pthread_t thread;
} Part;

static void *run_part(void *given) {
    Part *part = given;
    part->done = part->body(part->arguments, part->first, part->end);
    return NULL;
}

#define MOST_THREADS 256

static int in_threads(Body body, const void *arguments, long count, long least, long num_threads) {
    Part parts[MOST_THREADS];
    int done = 1, started[MOST_THREADS] = {0};
    if (num_threads > count / least) num_threads = count / least;
    if (num_threads > MOST_THREADS) num_threads = MOST_THREADS;
    if (num_threads <= 1) return body(arguments, 0, count);
    for (long i = 0; i < num_threads; i++)
        parts[i] = (Part){body, arguments, count * i / num_threads, count * (i + 1) / num_threads, 0, 0};
    for (long i = 1; i < num_threads; i++) started[i] = !pthread_create(&parts[i].thread, NULL, run_part, &parts[i]);
    for (long i = 0; i < num_threads; i++)
        if (!started[i]) run_part(&parts[i]); /* the first one, and those for which there was no thread */
    for (long i = 0; i < num_threads; i++) {
        if (started[i]) pthread_join(parts[i].thread, NULL);
        done &= parts[i].done;
    }
    return done;
}

#endif
