/*
 * Firmware with one thread, a timer, and a handler as signal() installs it: without SA_ONSTACK, and not
 * modest with its stack. It interrupts the firmware between calls only, and never the library's own
 * threads, whose stacks are small. signals INPUTS <CODES
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "stream.h"

static volatile int alarms, on_other_thread;

static void on_alarm(int number) {
    volatile char greedy[48 << 10];
    for (size_t i = 0; i < sizeof greedy; i += 512) {
        greedy[i] = (char)number;
    }
    alarms++;
    on_other_thread += gettid() != getpid();
}

/* How many threads of this process, the first not counted, would take SIGALRM. */
static int threads_open_to_alarm(int *threads) {
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int open = 0;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        char path[300], line[256];
        unsigned long long blocked = 0;
        if (atoi(task->d_name) == 0 || atoi(task->d_name) == getpid()) {
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        if (status != NULL) {
            fclose(status);
            *threads += 1;
            open += (blocked >> (SIGALRM - 1) & 1) == 0;
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return open;
}

int main(int argc, char **argv) {
    code c;
    int threads = 0;
    if (argc != 2) {
        return 2;
    }
    read_inputs(argv[1]);
    signal(SIGALRM, on_alarm);
    struct itimerval often = {{0, 150}, {0, 150}};
    setitimer(ITIMER_REAL, &often, NULL);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    while (next_code(&c)) {
        EXPECT(verify(&c), SUCCESS);
        EXPECT(verify(&c), QRCODE_DUPLICATED);
    }
    CHECK(threads_open_to_alarm(&threads) == 0);
    CHECK(threads > 0);
    CHECK(alarms > 100 && on_other_thread == 0);
    printf("%d alarms, %d threads of the library\n", alarms, threads);
    return finish();
}
