/* Uniform draws of 16 bits, four from each word of a counter that is mixed (SplitMix64, Steele et al., 2014). */
#include "common.h"

typedef struct {
    int16_t *draws; /* (words, 4) */
    uint64_t seed;
} Draws;

static int draw(const void *given, long first, long end) {
    const Draws *draws = given;
    const uint64_t seed = draws->seed;
    uint64_t *words = (uint64_t *)draws->draws;
    for (long i = first; i < end; i++) {
        uint64_t word = seed + (uint64_t)i * 0x9e3779b97f4a7c15u;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
        words[i] = word ^ (word >> 31);
    }
    return 1;
}

int draw_words(const Draws *draws, long num_words, long num_threads) {
    return in_threads(draw, draws, num_words, 16384, num_threads);
}
