/* Every call with every answer. calls INPUTS SCRATCH_FOLDER */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char *folder;

static const char *in_folder(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Accepts a code and prints its record for the Go test to check. */
static void accept_and_print(const char *code) {
    tap t = tap_of(code);
    EXPECT(run(&t), SUCCESS);
    printf("record %s %s\n", code, t.response.record);
    drop(&t);
}

static int info(const char *code, INFO_RESPONSE *response) {
    static char uid[17], card_no[17], card_type[9];
    static unsigned char card_data[65];
    INFO_REQUEST request = {given(code)->bytes, given(code)->size};
    INFO_RESPONSE fresh = {uid, 17, card_no, 17, card_data, 65, card_type, 9};
    *response = fresh;
    return get_qrcode_info(&request, response);
}

static int verify_v1(const char *code, const char *key) {
    char uid[17], record[2048];
    VERIFY_REQUEST request = {given(code)->bytes, given(code)->size, key, POS_PARAM, 200};
    VERIFY_RESPONSE response = {uid, 17, record, 2048};
    int answer = verify_qrcode(&request, &response);
    CHECK(answer != SUCCESS || (response.uid_len == 16 && response.record_len == (int)strlen(record)));
    return answer;
}

static void before_init(void) {
    INFO_RESPONSE response;
    CHECK(verify_qrcode_v2(NULL, NULL) == NOT_INITIALIZED);
    CHECK(get_qrcode_info(NULL, NULL) == NOT_INITIALIZED);
    EXPECT(accept("good"), NOT_INITIALIZED);
    EXPECT(info("good", &response), NOT_INITIALIZED);
    free_pos_verify();
    EXPECT(init_pos_verify(NULL, CARD_TYPES), ILLEGAL_PARAM);
    EXPECT(init_pos_verify(given("keys")->text, NULL), ILLEGAL_PARAM);
    EXPECT(init_pos_verify("", CARD_TYPES), ILLEGAL_PARAM);
    EXPECT(init_pos_verify("[]", CARD_TYPES), ILLEGAL_PARAM);
    EXPECT(init_pos_verify("[{\"key_id\":0}]", CARD_TYPES), ILLEGAL_PARAM);
    EXPECT(init_pos_verify("[{\"key_id\":0,\"public_key\":\"00\"}]", CARD_TYPES), ILLEGAL_PARAM);
    static const char *const card_types[] = {"", "[]", "{}", "null", "[null]", "[1]", "[\"ANT0001\"]", "[\"ANT000011\"]",
                                             "[\"ANT00001\",]", "[\"ANT00001\"]x", "[\"ANT\\u000001\"]", "\"ANT00001\""};
    for (size_t i = 0; i < sizeof card_types / sizeof *card_types; i++) {
        EXPECT(init_pos_verify(given("keys")->text, card_types[i]), ILLEGAL_PARAM);
    }
    EXPECT(accept("good"), NOT_INITIALIZED);
}

/* verify_qrcode of firmware from before init_pos_verify. */
static void one_key(void) {
    const char *key = given("key3")->text;
    EXPECT(verify_v1("v1-card", key), CARDTYPE_UNSUPPORTED);
    EXPECT(verify_v1("v1", given("key4")->text), MALFORMED_QRCODE);
    EXPECT(verify_v1("v1", "12"), ILLEGAL_PARAM);
    EXPECT(verify_v1("v1", NULL), ILLEGAL_PARAM);
    EXPECT(verify_v1("v1", key), SUCCESS);
    EXPECT(verify_v1("v1", key), QRCODE_DUPLICATED);
    EXPECT(accept("v1"), NOT_INITIALIZED);
    EXPECT(verify_qrcode(NULL, NULL), ILLEGAL_PARAM);
    CHECK(get_key_id(given("v1")->bytes) == 3);
    EXPECT(get_key_id(NULL), ILLEGAL_PARAM);
    EXPECT(get_key_id((const unsigned char *)"\x03\x01\x00"), PROTO_UNSUPPORTED);
    EXPECT(get_key_id((const unsigned char *)"\x02\x02\x00"), PROTO_UNSUPPORTED);
}

/* A code's own faults. */
static void refusals(void) {
    EXPECT(accept("truncated"), MALFORMED_QRCODE);
    EXPECT(accept("noise"), MALFORMED_QRCODE);
    EXPECT(accept("long"), MALFORMED_QRCODE);
    EXPECT(accept("institution-signature"), MALFORMED_QRCODE);
    EXPECT(accept("phone-signature"), MALFORMED_QRCODE);
    EXPECT(accept("old"), QRCODE_INFO_EXPIRED);
    EXPECT(accept("future"), QRCODE_INFO_EXPIRED);
    EXPECT(accept("over"), QRCODE_KEY_EXPIRED);
    EXPECT(accept("unknown-key"), QRCODE_KEY_EXPIRED);
    EXPECT(accept("unknown-card"), CARDTYPE_UNSUPPORTED);
    EXPECT(accept("version"), PROTO_UNSUPPORTED);
    EXPECT(accept("algorithm"), PROTO_UNSUPPORTED);
    tap t = tap_of("good");
    t.request.amount_cent = 3001;
    EXPECT(run(&t), QUOTA_EXCEEDED);
    drop(&t);
}

/* The caller's faults: each pointer and each length of document 2 §4.1.4.6. */
static void arguments(void) {
    tap t = tap_of("good");
    tap whole = t;
    EXPECT(verify_qrcode_v2(NULL, &t.response), ILLEGAL_PARAM);
    EXPECT(verify_qrcode_v2(&t.request, NULL), ILLEGAL_PARAM);
#define SPOIL(member, value)                \
    t = whole;                              \
    t.member = value;                       \
    EXPECT(run(&t), ILLEGAL_PARAM);
    SPOIL(request.qrcode, NULL)
    SPOIL(request.qrcode_len, 0)
    SPOIL(request.qrcode_len, -1)
    SPOIL(request.pos_param, NULL)
    SPOIL(request.amount_cent, -1)
    SPOIL(response.uid, NULL)
    SPOIL(response.uid_len, 16)
    SPOIL(response.uid_len, -1)
    SPOIL(response.record, NULL)
    SPOIL(response.record_len, 2047)
    SPOIL(response.card_no, NULL)
    SPOIL(response.card_no_len, 16)
    SPOIL(response.card_data, NULL)
    SPOIL(response.card_data_len, 64)
    SPOIL(response.card_type, NULL)
    SPOIL(response.card_type_len, 8)
    static const char *const broken[] = {"", "{}", "[]", "{\"pos_id\":\"1\"}", "not JSON",
                                         "{\"pos_id\":\"1\",\"pos_id\":\"1\",\"type\":\"SINGLE\",\"subject\":\"\",\"record_id\":\"1\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        t = whole;
        t.request.pos_param = broken[i];
        EXPECT(run(&t), POS_PARAM_ERROR);
    }
    t = whole;
    t.request.pos_param = given("huge-pos-param")->text;
    EXPECT(run(&t), POS_PARAM_ERROR);
    drop(&whole);
}

/* Buffers that are just large enough, and those that are not for what a code brings. */
static void buffers(void) {
    tap t = tap_of("card");
    EXPECT(run(&t), SUCCESS);
    CHECK(strcmp(t.response.card_no, "0123456789012345") == 0 && t.response.card_no_len == 16);
    CHECK(t.response.card_data_len == 64 && memcmp(t.response.card_data, given("card-data")->bytes, 64) == 0);
    CHECK(strcmp(t.response.card_type, "GJ310000") == 0 && strcmp(t.response.uid, "2088000011112222") == 0);
    drop(&t);
    EXPECT(accept("long-card-no"), ILLEGAL_PARAM);
    EXPECT(accept("long-card-data"), ILLEGAL_PARAM);
    EXPECT(accept("long-card-no-forged"), MALFORMED_QRCODE);
    INFO_RESPONSE response;
    EXPECT(info("long-card-no", &response), ILLEGAL_PARAM);
    t = tap_sized("long-card-no", 17, 2048, 18, 65, 9);
    EXPECT(run(&t), SUCCESS);
    drop(&t);
    t = tap_sized("long-card-data", 17, 2048, 17, 66, 9);
    EXPECT(run(&t), SUCCESS);
    drop(&t);
    t = tap_of("long-record");
    t.request.pos_param = given("long-pos-param")->text;
    EXPECT(run(&t), ILLEGAL_PARAM);
    t.request.amount_cent = 3001;
    EXPECT(run(&t), QUOTA_EXCEEDED);
    drop(&t);
    t = tap_sized("long-record", 17, 2 * 4097 + 1, 17, 65, 9);
    t.request.pos_param = given("long-pos-param")->text;
    EXPECT(run(&t), SUCCESS);
    printf("record long-record %s\n", t.response.record);
    t.response.record_len = 2 * 4097 + 1; /* each call sets its lengths anew */
    drop(&t);
}

static void acceptances(void) {
    INFO_RESPONSE response;
    EXPECT(info("good", &response), SUCCESS);
    CHECK(response.uid_len == 16 && response.card_type_len == 0 && *response.card_type == 0 && response.card_no_len == 16);
    EXPECT(info("info-card", &response), SUCCESS);
    CHECK(response.card_type_len == 8 && strcmp(response.card_type, "S0JP0000") == 0 && response.card_data_len == 5);
    EXPECT(info("info-card", &response), SUCCESS);
    EXPECT(info("unknown-card", &response), CARDTYPE_UNSUPPORTED);
    EXPECT(info("phone-signature", &response), MALFORMED_QRCODE);
    accept_and_print("good");
    EXPECT(accept("good"), QRCODE_DUPLICATED);
    EXPECT(info("good", &response), SUCCESS);
    EXPECT(accept("v1"), QRCODE_DUPLICATED);
    EXPECT(verify_v1("good", given("key3")->text), QRCODE_DUPLICATED);
    tap t = tap_of("entry");
    t.request.amount_cent = 0;
    EXPECT(run(&t), SUCCESS);
    drop(&t);
}

/* New lists replace the old ones; what was accepted stays known. */
static void again(void) {
    EXPECT(init_pos_verify(given("other-keys")->text, "[\"ANT00001\"]"), SUCCESS);
    EXPECT(accept("fresh-1"), QRCODE_KEY_EXPIRED);
    EXPECT(accept("other-issuer"), SUCCESS);
    EXPECT(init_pos_verify("broken", CARD_TYPES), ILLEGAL_PARAM);
    EXPECT(accept("other-issuer"), QRCODE_DUPLICATED);
    for (int i = 0; i < 100; i++) {
        EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    }
    EXPECT(accept("good"), QRCODE_DUPLICATED);
    EXPECT(accept("fresh-1"), SUCCESS);
    free_pos_verify();
    EXPECT(accept("fresh-2"), NOT_INITIALIZED);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    EXPECT(accept("good"), QRCODE_DUPLICATED);
    EXPECT(accept("fresh-2"), SUCCESS);
}

static void institutions(void) {
    INFO_RESPONSE response;
    free_pos_verify();
    EXPECT(init_pos_verify_with_institution_no(given("keys")->text, CARD_TYPES, NULL), ILLEGAL_PARAM);
    EXPECT(init_pos_verify_with_institution_no(given("other-keys")->text, "[\"ANT00001\"]", "\x50\x02\x33\x01"), SUCCESS);
    EXPECT(accept("fresh-3"), INSTITUTION_NOT_SUPPORT);
    EXPECT(info("fresh-3", &response), INSTITUTION_NOT_SUPPORT);
    EXPECT(accept("truncated"), MALFORMED_QRCODE);
    EXPECT(accept("version"), PROTO_UNSUPPORTED);
    EXPECT(accept("institution-50023301"), SUCCESS);
    EXPECT(init_pos_verify_with_institution_no(given("keys")->text, CARD_TYPES, "\0\0\0\0"), SUCCESS);
    EXPECT(accept("fresh-3"), SUCCESS);
    EXPECT(accept("institution-50023301"), QRCODE_DUPLICATED);
    EXPECT(accept("institution-forged"), MALFORMED_QRCODE);
    EXPECT(accept("institution-99"), INSTITUTION_NOT_SUPPORT);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    EXPECT(accept("institution-50023301"), QRCODE_KEY_EXPIRED);
    EXPECT(accept("institution-99"), SUCCESS);
}

static void signers(void) {
    input *private = given("terminal-private");
    EXPECT(set_pos_signer(NULL, private->bytes, 32), ILLEGAL_PARAM);
    EXPECT(set_pos_signer("rsa", private->bytes, 32), ILLEGAL_PARAM);
    EXPECT(set_pos_signer("ecdsa-secp256k1-sha256", private->bytes, 31), ILLEGAL_PARAM);
    EXPECT(set_pos_signer("ecdsa-secp256k1-sha256", NULL, 32), ILLEGAL_PARAM);
    EXPECT(set_pos_signer("hmac-sha256", private->bytes, 15), ILLEGAL_PARAM);
    EXPECT(set_pos_signer("hmac-md5-user-id", private->bytes, 1), ILLEGAL_PARAM);
    accept_and_print("signed-legacy");
    EXPECT(set_pos_signer("ecdsa-secp256k1-sha256", private->bytes, 32), SUCCESS);
    accept_and_print("signed-ecdsa");
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    accept_and_print("signed-ecdsa-2");
    EXPECT(set_pos_signer("hmac-sha256", private->bytes, 32), SUCCESS);
    accept_and_print("signed-hmac");
    EXPECT(set_pos_signer("hmac-md5-user-id", NULL, 0), SUCCESS);
    accept_and_print("signed-legacy-2");
    free_pos_verify();
    setenv("POS_SIGNER_FILE", in_folder("no such file"), 1);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SYSTEM_ERROR);
    EXPECT(accept("signed-file"), NOT_INITIALIZED);
    setenv("POS_SIGNER_FILE", in_folder("bad-signer"), 1);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SYSTEM_ERROR);
    setenv("POS_SIGNER_FILE", in_folder("signer"), 1);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    accept_and_print("signed-file");
    EXPECT(set_pos_signer("hmac-md5-user-id", NULL, 0), SUCCESS);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    accept_and_print("signed-call-first");
    unsetenv("POS_SIGNER_FILE");
}

/* A disk that takes no more: the gate stays shut, and the code is not used up. */
static void full_disk(void) {
    struct rlimit before, none;
    EXPECT(set_pos_journal(in_folder("full.journal")), SUCCESS);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    none = before;
    none.rlim_cur = 64;
    setrlimit(RLIMIT_FSIZE, &none);
    EXPECT(accept("kept-3"), SYSTEM_ERROR);
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT(accept("kept-3"), SYSTEM_ERROR); /* a disk that failed once is not believed again */
    EXPECT(set_pos_journal(in_folder("full.journal")), SUCCESS);
    EXPECT(accept("kept-3"), SUCCESS);
    EXPECT(accept("kept-3"), QRCODE_DUPLICATED);
    none.rlim_cur = 600;
    setrlimit(RLIMIT_FSIZE, &none);
    EXPECT(accept("kept-5"), SYSTEM_ERROR);
    setrlimit(RLIMIT_FSIZE, &before);
    setenv("POS_JOURNAL_FILE", in_folder("full.journal"), 1); /* firmware without extensions: init mends it */
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    EXPECT(accept("kept-5"), SUCCESS);
    EXPECT(accept("kept-3"), QRCODE_DUPLICATED);
    unsetenv("POS_JOURNAL_FILE");
}

static void journals(void) {
    char wrong[4096];
    snprintf(wrong, sizeof wrong, "%s", in_folder("no/such/folder"));
    EXPECT(set_pos_journal(wrong), SYSTEM_ERROR);
    EXPECT(set_pos_journal(in_folder("calls.journal")), SUCCESS);
    accept_and_print("kept-1");
    EXPECT(set_pos_journal(wrong), SYSTEM_ERROR);
    accept_and_print("kept-2");
    full_disk();
    EXPECT(set_pos_journal(NULL), SUCCESS);
    EXPECT(accept("fresh-4"), SUCCESS);
    setenv("POS_JOURNAL_FILE", wrong, 1);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SYSTEM_ERROR);
    EXPECT(accept("fresh-5"), SUCCESS); /* the lists before it, and no journal, are still in use */
    setenv("POS_JOURNAL_FILE", in_folder("calls.journal"), 1);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    accept_and_print("kept-4");
    free_pos_verify();
}

static void texts(void) {
    char why[16];
    CHECK(strncmp(get_version(), "shuama-", 7) == 0);
    EXPECT(init_pos_verify("broken", CARD_TYPES), ILLEGAL_PARAM);
    CHECK(pos_last_error(NULL, 16) == ILLEGAL_PARAM && pos_last_error(why, 0) == ILLEGAL_PARAM);
    memset(why, 0xA5, sizeof why);
    CHECK(pos_last_error(why, 8) > 8 && strlen(why) == 7 && (unsigned char)why[8] == 0xA5);
    CHECK(pos_last_error(why, 1) > 8 && *why == 0);
}

/* A child that was forked with the library in it is told so, and does not hang. */
static void forked(void) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        free_pos_verify();
        EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SYSTEM_ERROR);
        EXPECT(accept("good"), SYSTEM_ERROR);
        fflush(stdout);
        _exit(finish());
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    read_inputs(argv[1]);
    folder = argv[2];
    before_init();
    one_key();
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    refusals();
    arguments();
    buffers();
    acceptances();
    again();
    institutions();
    signers();
    journals();
    texts();
    forked();
    return finish();
}
