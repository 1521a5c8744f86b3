/*
 * What one verification costs through the C call: bench INPUTS <CODES
 * Verifies every code of the stream once, and prints the nanoseconds of all of them.
 */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "stream.h"

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    static code codes[4096];
    int count = 0, wrong = 0;
    if (argc != 2) {
        return 2;
    }
    read_inputs(argv[1]);
    while (count < 4096 && next_code(&codes[count])) {
        count++;
    }
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    long long start = now_ns();
    for (int i = 0; i < count; i++) {
        wrong += verify(&codes[i]) != SUCCESS;
    }
    printf("%lld\n", now_ns() - start);
    return wrong > 0;
}
