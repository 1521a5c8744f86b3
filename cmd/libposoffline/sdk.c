/*
 * The C interface: each call goes on to its namesake in calls.go with the firmware's signals held back.
 *
 * Go code runs on small stacks. A signal handler that was installed without SA_ONSTACK, as signal()
 * does and as most firmware has for its timers, would run on them and write past their end. So a
 * thread keeps such signals pending while it is inside a call, and the runtime's own threads, which
 * inherit the mask of the thread that loads the library, never see them.
 */
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "sdk.h"

static __thread char last_error[256];
static pid_t loaded_by;
static sigset_t before_load; /* the loader runs constructors one at a time */

/* Faults, and what the runtime sends to itself, must come through. */
static void hold_signals(sigset_t *before) {
    static const int through[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPIPE, SIGURG, SIGPROF};
    sigset_t held;
    sigfillset(&held);
    for (size_t i = 0; i < sizeof through / sizeof *through; i++) {
        sigdelset(&held, through[i]);
    }
    pthread_sigmask(SIG_BLOCK, &held, before);
}

/* Numbered constructors run before the one that starts the runtime, others after it. */
static void __attribute__((constructor(101))) before_runtime(void) {
    loaded_by = getpid();
    hold_signals(&before_load);
}

static void __attribute__((constructor)) after_runtime(void) { pthread_sigmask(SIG_SETMASK, &before_load, NULL); }

/* A forked child has none of the runtime's threads: a call in it would wait for them for ever. */
static int is_forked(void) {
    static const char why[] = "process: forked after the library was loaded; load it after fork";
    if (getpid() == loaded_by) {
        return 0;
    }
    sdk_explain(why, sizeof why - 1);
    return 1;
}

void sdk_explain(const char *text, int length) {
    if (length > (int)sizeof last_error - 1) {
        length = (int)sizeof last_error - 1;
    }
    memcpy(last_error, text, (size_t)length);
    last_error[length] = 0;
}

/* Runs a call of calls.go with signals held and the thread's last error wiped. */
#define CALL(go_call)                                        \
    do {                                                     \
        sigset_t before;                                     \
        hold_signals(&before);                               \
        last_error[0] = 0;                                   \
        int answer = is_forked() ? SYSTEM_ERROR : (go_call); \
        pthread_sigmask(SIG_SETMASK, &before, NULL);         \
        return answer;                                       \
    } while (0)

int init_pos_verify(const char *key_list, const char *card_type_list) {
    CALL(sdkInit((char *)key_list, (char *)card_type_list));
}

int init_pos_verify_with_institution_no(const char *key_list, const char *card_type_list, const char *institution_no) {
    CALL(sdkInitInstitution((char *)key_list, (char *)card_type_list, (char *)institution_no));
}

static int free_and_answer(void) { CALL(sdkFree()); }

void free_pos_verify(void) { free_and_answer(); }

int get_qrcode_info(INFO_REQUEST *request, INFO_RESPONSE *response) { CALL(sdkInfo(request, response)); }

int verify_qrcode_v2(VERIFY_REQUEST_V2 *request_v2, VERIFY_RESPONSE_V2 *response_v2) {
    CALL(sdkVerifyV2(request_v2, response_v2));
}

int verify_qrcode(VERIFY_REQUEST *request, VERIFY_RESPONSE *response) { CALL(sdkVerifyV1(request, response)); }

int get_key_id(const unsigned char *qrcode) { CALL(sdkKeyID((unsigned char *)qrcode)); }

int set_pos_signer(const char *algorithm, const unsigned char *key, int key_len) {
    CALL(sdkSetSigner((char *)algorithm, (unsigned char *)key, key_len));
}

int set_pos_journal(const char *path) { CALL(sdkSetJournal((char *)path)); }

char *get_version(void) {
    static char version[] = SDK_VERSION;
    return version;
}

int pos_last_error(char *buffer, int size) {
    if (buffer == NULL || size < 1) {
        return ILLEGAL_PARAM;
    }
    size_t length = strlen(last_error);
    size_t room = (size_t)size - 1;
    size_t written = length < room ? length : room;
    memcpy(buffer, last_error, written);
    buffer[written] = 0;
    return (int)length;
}
