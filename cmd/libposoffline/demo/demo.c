/*
 * demo.c: how firmware uses libposoffline.so (document 2 §4.1.1.2).
 *
 *   cc demo.c -o demo -L. -lposoffline -Wl,-rpath,'$ORIGIN'
 *   ./demo                                  the vendor's sample code of 2018, long over: -3
 *   ./demo KEY_LIST.json CODE_HEX [CENTS]   your institution keys, a code and a fare
 *
 * With an institution made by `shuama keys init city`:
 *
 *   ./demo city/keys.json $(shuama wallet show phone --hex) 200
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pos_crypto.h"

#define SAMPLE_KEY_LIST \
    "[{\"key_id\":0,\"public_key\":\"028B90D7C281AD21B4BA9492C522E39B655890CC41420EB8E8826B28C6DF2D467A\"}]"
#define SAMPLE_CODE                                                                                          \
    "02010054323038383330323233343033373935345BE77C8B0A0D0A0D00000000000000000000000003BEDDEA3AAA38BABEA523" \
    "A6727F066248FCCBEE59CA00165A53304A5030303030083030303030303031051234567890473045022100B50CA620DF2FBA5B" \
    "A2373FF23752D8AD9A0681E785A77D4FE9A490118B2EC2CA02202673E9693C5773D9E003A7F8717EEF80A861D2DBFF53D6FD2A" \
    "E8F5CED08D7B2E045A5EE0BB373035021900CDF4748F76846E7CF8249FC21B4BDF60F5152B0F9735339302180B10DA8CC1AE9F" \
    "5184FC5B891F5063D11EF6EC89B6943DFF"
#define CARD_TYPE_LIST "[\"ANT00001\",\"S0JP0000\"]"
#define POS_PARAM                                                                 \
    "{\"pos_id\":\"sh001\",\"type\":\"SINGLE\",\"subject\":\"bus192\",\"record_id\":" \
    "\"sh001_20160514140218_000001\"}"

/* What the gate tells the rider. */
static const char *advice(int answer) {
    switch (answer) {
    case SUCCESS: return "please board";
    case QRCODE_INFO_EXPIRED: return "refresh the code";
    case QRCODE_KEY_EXPIRED: return "go online, then refresh the code";
    case QUOTA_EXCEEDED: return "the fare is over the code's limit";
    case CARDTYPE_UNSUPPORTED:
    case INSTITUTION_NOT_SUPPORT: return "this card is not taken here";
    case QRCODE_DUPLICATED: return "this code was used already";
    case MALFORMED_QRCODE:
    case PROTO_UNSUPPORTED: return "not a ride code";
    default: return "out of order";
    }
}

static void explain(const char *call, int answer) {
    char why[256];
    pos_last_error(why, sizeof why);
    printf("%s: %d, %s%s%s\n", call, answer, advice(answer), *why ? ": " : "", why);
}

/* Checks one code, and prints what the firmware would store. */
static int check_qrcode_demo(const unsigned char *code, int code_len, int amount_cent) {
    char uid[17], record[2048], card_no[17], card_type[9];
    unsigned char card_data[65];
    VERIFY_REQUEST_V2 request = {code, code_len, POS_PARAM, amount_cent};
    VERIFY_RESPONSE_V2 response = {uid, sizeof uid, record, sizeof record, card_no, sizeof card_no,
                                   card_data, sizeof card_data, card_type, sizeof card_type};
    int answer = verify_qrcode_v2(&request, &response);
    explain("verify_qrcode_v2", answer);
    if (answer != SUCCESS) {
        return answer;
    }
    /* Store the record before the gate opens: without it nobody pays for this ride. */
    printf("uid %s, card type %s, card number of %d characters, %d bytes of card data\nrecord %s\n", uid,
           *card_type ? card_type : ANT_BUS_PAY, response.card_no_len, response.card_data_len, record);
    return answer;
}

static int info_demo(const unsigned char *code, int code_len) {
    char uid[17], card_no[17], card_type[9];
    unsigned char card_data[65];
    INFO_REQUEST request = {code, code_len};
    INFO_RESPONSE response = {uid,       sizeof uid,       card_no,   sizeof card_no,
                              card_data, sizeof card_data, card_type, sizeof card_type};
    int answer = get_qrcode_info(&request, &response);
    explain("get_qrcode_info", answer);
    return answer;
}

/* The bytes of a code from its hex; the caller frees them. NULL: not hex. */
static unsigned char *from_hex(const char *hex, int *length) {
    size_t digits = strlen(hex);
    unsigned char *bytes = malloc(digits / 2 + 1);
    *length = (int)(digits / 2);
    for (size_t i = 0; bytes != NULL && i < digits / 2; i++) {
        unsigned value;
        if (digits % 2 != 0 || sscanf(hex + 2 * i, "%2x", &value) != 1) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (unsigned char)value;
    }
    return bytes;
}

/* A whole file as a string; the caller frees it. */
static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    char *content = calloc(1, (64 << 10) + 1);
    if (file == NULL || content == NULL || fread(content, 1, 64 << 10, file) == 0) {
        free(content);
        content = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return content;
}

int main(int argc, char **argv) {
    char *list = argc > 2 ? read_file(argv[1]) : NULL;
    int code_len = 0;
    unsigned char *code = from_hex(argc > 2 ? argv[2] : SAMPLE_CODE, &code_len);
    if (code == NULL || (argc > 2 && list == NULL) || argc == 2) {
        fprintf(stderr, "usage: demo [KEY_LIST.json CODE_HEX [CENTS]]\n");
        free(code);
        free(list);
        return 2;
    }
    printf("libposoffline %s\n", get_version());
    int answer = init_pos_verify(list != NULL ? list : SAMPLE_KEY_LIST, CARD_TYPE_LIST);
    if (answer != SUCCESS) {
        explain("init_pos_verify", answer);
    } else if ((answer = info_demo(code, code_len)) == SUCCESS) {
        answer = check_qrcode_demo(code, code_len, argc > 3 ? atoi(argv[3]) : 0);
    }
    free_pos_verify();
    free(code);
    free(list);
    return answer == SUCCESS ? 0 : 1;
}
