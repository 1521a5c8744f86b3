/*
 * What the C tests share: checks that say where they failed, the inputs that the Go test wrote, and
 * buffers whose neighbours are watched.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pos_crypto.h"

#define POS_PARAM "{\"pos_id\":\"sh001\",\"type\":\"SINGLE\",\"subject\":\"bus192\",\"record_id\":\"000001\"}"
#define CARD_TYPES "[\"ANT00001\",\"S0JP0000\",\"GJ310000\",\"TEST0001\"]"

static int check_failures;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            char why[256];                                                                \
            pos_last_error(why, sizeof why);                                              \
            printf("%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__, #condition, why); \
            check_failures++;                                                             \
        }                                                                                 \
    } while (0)

/* Checks an answer, and that it explains itself unless it is success. */
#define EXPECT(answer, want)                                                                     \
    do {                                                                                         \
        int got_ = (answer);                                                                     \
        char why_[256];                                                                          \
        int length_ = pos_last_error(why_, sizeof why_);                                         \
        if (got_ != (want) || (length_ > 0) != ((want) != SUCCESS)) {                            \
            printf("%s:%d: %s is %d, not %d (last error: %s)\n", __FILE__, __LINE__, #answer, got_, (want), why_); \
            check_failures++;                                                                    \
        }                                                                                        \
    } while (0)

/* Inputs: lines "name value". */
typedef struct {
    char *name, *text;
    unsigned char *bytes; /* of the value as hex */
    int size;
} input;

static input inputs[256];
static int input_count;

static void out_of_memory(void) {
    printf("out of memory\n");
    exit(2);
}

static void *must(void *allocated) {
    if (allocated == NULL) {
        out_of_memory();
    }
    return allocated;
}

static char *copy(const char *text) { return strcpy(must(malloc(strlen(text) + 1)), text); }

static void read_inputs(const char *path) {
    FILE *file = fopen(path, "r");
    static char line[1 << 17];
    if (file == NULL) {
        printf("no %s\n", path);
        exit(2);
    }
    while (input_count < 256 && fgets(line, sizeof line, file) != NULL) {
        input *in = &inputs[input_count++];
        char *value = strchr(line, ' ');
        line[strcspn(line, "\n")] = 0;
        *value++ = 0;
        in->name = copy(line);
        in->text = copy(value);
        /* Exactly as large as the code: a sanitizer sees a read past its end. */
        in->size = (int)strlen(value) / 2;
        in->bytes = must(malloc((size_t)in->size + (in->size == 0)));
        for (int i = 0; i < in->size; i++) {
            unsigned byte = 0;
            sscanf(value + 2 * i, "%2x", &byte);
            in->bytes[i] = (unsigned char)byte;
        }
    }
    fclose(file);
}

static input *given(const char *name) {
    for (int i = 0; i < input_count; i++) {
        if (strcmp(inputs[i].name, name) == 0) {
            return &inputs[i];
        }
    }
    printf("no input %s\n", name);
    exit(2);
}

/* A buffer between two walls. Under a sanitizer it stands alone, and that watches the walls. */
typedef struct {
    unsigned char *block, *bytes;
    int size;
} walled;

#if defined(__SANITIZE_ADDRESS__)
enum { WALL = 0 };
#else
enum { WALL = 64 };
#endif

static walled wall(int size) {
    walled w;
    w.block = must(malloc((size_t)size + 2 * WALL + (size == 0)));
    memset(w.block, 0xA5, (size_t)size + 2 * WALL);
    w.bytes = w.block + WALL;
    w.size = size;
    return w;
}

static int walls_stand(const walled *w) {
    for (int i = 0; i < WALL; i++) {
        if (w->block[i] != 0xA5 || w->bytes[w->size + i] != 0xA5) {
            return 0;
        }
    }
    return 1;
}

static int untouched(const walled *w) {
    for (int i = 0; i < w->size; i++) {
        if (w->bytes[i] != 0xA5) {
            return 0;
        }
    }
    return 1;
}

/* One call of verify_qrcode_v2 with watched buffers. */
typedef struct {
    VERIFY_REQUEST_V2 request;
    VERIFY_RESPONSE_V2 response;
    walled uid, record, card_no, card_data, card_type;
} tap;

static tap tap_sized(const char *code, int uid, int record, int card_no, int card_data, int card_type) {
    tap t;
    input *in = given(code);
    t.request.qrcode = in->bytes;
    t.request.qrcode_len = in->size;
    t.request.pos_param = POS_PARAM;
    t.request.amount_cent = 200;
    t.uid = wall(uid), t.record = wall(record), t.card_no = wall(card_no), t.card_data = wall(card_data), t.card_type = wall(card_type);
    t.response.uid = (char *)t.uid.bytes, t.response.uid_len = uid;
    t.response.record = (char *)t.record.bytes, t.response.record_len = record;
    t.response.card_no = (char *)t.card_no.bytes, t.response.card_no_len = card_no;
    t.response.card_data = t.card_data.bytes, t.response.card_data_len = card_data;
    t.response.card_type = (char *)t.card_type.bytes, t.response.card_type_len = card_type;
    return t;
}

static tap tap_of(const char *code) { return tap_sized(code, 17, 2048, 17, 65, 9); }

static void drop(tap *t) {
    free(t->uid.block), free(t->record.block), free(t->card_no.block), free(t->card_data.block), free(t->card_type.block);
}

/* Makes the call and checks what holds for every call: nothing is written outside a buffer, nothing at
 * all without success, and with success each length is that of a terminated string. */
static int run(tap *t) {
    VERIFY_RESPONSE_V2 before = t->response;
    int answer = verify_qrcode_v2(&t->request, &t->response);
    VERIFY_RESPONSE_V2 *r = &t->response;
    CHECK(walls_stand(&t->uid) && walls_stand(&t->record) && walls_stand(&t->card_no) && walls_stand(&t->card_data) && walls_stand(&t->card_type));
    if (answer != SUCCESS) {
        CHECK(untouched(&t->uid) && untouched(&t->record) && untouched(&t->card_no) && untouched(&t->card_data) && untouched(&t->card_type));
        CHECK(memcmp(&before, r, sizeof before) == 0);
        return answer;
    }
    CHECK(r->uid_len == 16 && strlen(r->uid) == 16);
    CHECK((int)strlen(r->record) == r->record_len && r->record_len > 400 && r->record_len % 2 == 0);
    CHECK(strspn(r->record, "0123456789ABCDEF") == (size_t)r->record_len);
    CHECK((int)strlen(r->card_no) == r->card_no_len);
    CHECK(r->card_data[r->card_data_len] == 0);
    CHECK((int)strlen(r->card_type) == r->card_type_len && (r->card_type_len == 0 || r->card_type_len == 8));
    return answer;
}

/* The same for a code by name, forgetting the buffers. */
static int accept(const char *code) {
    tap t = tap_of(code);
    int answer = run(&t);
    drop(&t);
    return answer;
}

static int finish(void) {
    if (check_failures > 0) {
        printf("%d checks failed\n", check_failures);
    }
    return check_failures > 0;
}

#endif
