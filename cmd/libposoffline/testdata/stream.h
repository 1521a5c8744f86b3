/* Codes from standard input: a big-endian length of two bytes and the code, again and again. */
#ifndef STREAM_H
#define STREAM_H

#include "check.h"

typedef struct {
    unsigned char bytes[1024];
    int size;
} code;

/* Reads the next code; 0 at the end. */
static int next_code(code *c) {
    int high = getchar(), low = getchar();
    if (low == EOF) {
        return 0;
    }
    c->size = high << 8 | low;
    if (c->size > (int)sizeof c->bytes || fread(c->bytes, 1, (size_t)c->size, stdin) != (size_t)c->size) {
        printf("broken stream\n");
        exit(2);
    }
    return 1;
}

/* verify_qrcode_v2 with buffers on the stack. */
static int verify(const code *c) {
    char uid[17], record[2048], card_no[17], card_type[9];
    unsigned char card_data[65];
    VERIFY_REQUEST_V2 request = {c->bytes, c->size, POS_PARAM, 200};
    VERIFY_RESPONSE_V2 response = {uid, 17, record, 2048, card_no, 17, card_data, 65, card_type, 9};
    return verify_qrcode_v2(&request, &response);
}

/* Resident memory in KiB, from the kernel. */
static long resident_kib(void) {
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "VmRSS: %ld", &kib);
    }
    if (status != NULL) {
        fclose(status);
    }
    return kib;
}

#endif
