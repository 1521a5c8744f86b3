/*
 * Many threads at once: every code is accepted exactly once, whoever shows it, while the lists are
 * replaced and while a timer interrupts the firmware. threads INPUTS THREADS <CODES
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

#include "stream.h"

static code codes[4096];
static int code_count;
static atomic_int accepted[4096];
static atomic_int wrong, alarms, stop;

static void on_alarm(int number) {
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void *rider(void *argument) {
    int start = (int)(size_t)argument;
    for (int i = 0; i < code_count; i++) {
        int at = (i + start * 37) % code_count;
        int answer = verify(&codes[at]);
        char why[256];
        int length = pos_last_error(why, sizeof why);
        if (answer == SUCCESS) {
            atomic_fetch_add(&accepted[at], 1);
        }
        /* The last error is this thread's own. */
        if ((answer != SUCCESS && answer != QRCODE_DUPLICATED) || (answer == SUCCESS) != (length == 0) ||
            (answer == QRCODE_DUPLICATED && strncmp(why, "duplicate", 9) != 0)) {
            printf("thread %d, code %d: %d (%s)\n", start, at, answer, why);
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void *office(void *argument) {
    (void)argument;
    for (int i = 0; !atomic_load(&stop); i++) {
        if (i % 50 == 49) {
            init_pos_verify("broken", CARD_TYPES);
            init_pos_verify_with_institution_no(given("other-keys")->text, CARD_TYPES, "\x50\x02\x33\x01");
        }
        if (init_pos_verify(given("keys")->text, CARD_TYPES) != SUCCESS) {
            atomic_fetch_add(&wrong, 1);
        }
        unsigned char uid[17], card_no[17], card_data[65], card_type[9];
        INFO_REQUEST request = {codes[i % code_count].bytes, codes[i % code_count].size};
        INFO_RESPONSE response = {(char *)uid, 17, (char *)card_no, 17, card_data, 65, (char *)card_type, 9};
        if (get_qrcode_info(&request, &response) != SUCCESS) {
            atomic_fetch_add(&wrong, 1);
        }
        usleep(200);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), size_t argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__)
    pthread_attr_setstacksize(&attributes, 64 << 10); /* what pos_crypto.h asks for */
#endif
    if (pthread_create(thread, &attributes, run, (void *)argument) != 0) {
        printf("no thread\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    pthread_t riders[64], clerk;
    int rider_count = argc == 3 ? atoi(argv[2]) : 0;
    if (rider_count < 1 || rider_count > 64) {
        return 2;
    }
    read_inputs(argv[1]);
    while (code_count < 4096 && next_code(&codes[code_count])) {
        code_count++;
    }
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    signal(SIGALRM, on_alarm);
    struct itimerval often = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &often, NULL);
    start(&clerk, office, 0);
    for (int i = 0; i < rider_count; i++) {
        start(&riders[i], rider, (size_t)i);
    }
    for (int i = 0; i < rider_count; i++) {
        pthread_join(riders[i], NULL);
    }
    atomic_store(&stop, 1);
    pthread_join(clerk, NULL);
    for (int i = 0; i < code_count; i++) {
        CHECK(atomic_load(&accepted[i]) == 1);
    }
    CHECK(atomic_load(&wrong) == 0);
    CHECK(atomic_load(&alarms) > 10);
    printf("%d codes, %d threads, %d alarms\n", code_count, rider_count, atomic_load(&alarms));
    return finish();
}
