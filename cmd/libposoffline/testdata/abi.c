/*
 * The layout that the field's firmware was compiled against: members in their order, each at the next
 * place that suits it. Compiled for every processor, never run.
 */
#include <stddef.h>

#include "pos_crypto.h"

#define P sizeof(void *)
#define AT(type, member, place) _Static_assert(offsetof(type, member) == (place), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

_Static_assert(sizeof(int) == 4, "int");

AT(VERIFY_REQUEST_V2, qrcode, 0);
AT(VERIFY_REQUEST_V2, qrcode_len, P);
AT(VERIFY_REQUEST_V2, pos_param, 2 * P);
AT(VERIFY_REQUEST_V2, amount_cent, 3 * P);
SIZE(VERIFY_REQUEST_V2, 4 * P);

AT(VERIFY_RESPONSE_V2, uid, 0);
AT(VERIFY_RESPONSE_V2, uid_len, P);
AT(VERIFY_RESPONSE_V2, record, 2 * P);
AT(VERIFY_RESPONSE_V2, record_len, 3 * P);
AT(VERIFY_RESPONSE_V2, card_no, 4 * P);
AT(VERIFY_RESPONSE_V2, card_no_len, 5 * P);
AT(VERIFY_RESPONSE_V2, card_data, 6 * P);
AT(VERIFY_RESPONSE_V2, card_data_len, 7 * P);
AT(VERIFY_RESPONSE_V2, card_type, 8 * P);
AT(VERIFY_RESPONSE_V2, card_type_len, 9 * P);
SIZE(VERIFY_RESPONSE_V2, 10 * P);

AT(INFO_REQUEST, qrcode, 0);
AT(INFO_REQUEST, qrcode_len, P);
SIZE(INFO_REQUEST, 2 * P);

AT(INFO_RESPONSE, uid, 0);
AT(INFO_RESPONSE, uid_len, P);
AT(INFO_RESPONSE, card_no, 2 * P);
AT(INFO_RESPONSE, card_no_len, 3 * P);
AT(INFO_RESPONSE, card_data, 4 * P);
AT(INFO_RESPONSE, card_data_len, 5 * P);
AT(INFO_RESPONSE, card_type, 6 * P);
AT(INFO_RESPONSE, card_type_len, 7 * P);
SIZE(INFO_RESPONSE, 8 * P);

AT(VERIFY_REQUEST, qrcode, 0);
AT(VERIFY_REQUEST, qrcode_len, P);
AT(VERIFY_REQUEST, master_pub_key, 2 * P);
AT(VERIFY_REQUEST, pos_param, 3 * P);
AT(VERIFY_REQUEST, amount_cent, 4 * P);
SIZE(VERIFY_REQUEST, 5 * P);

AT(VERIFY_RESPONSE, uid, 0);
AT(VERIFY_RESPONSE, uid_len, P);
AT(VERIFY_RESPONSE, record, 2 * P);
AT(VERIFY_RESPONSE, record_len, 3 * P);
SIZE(VERIFY_RESPONSE, 4 * P);

_Static_assert(SUCCESS == 1 && MALFORMED_QRCODE == -1 && QRCODE_INFO_EXPIRED == -2 && QRCODE_KEY_EXPIRED == -3 &&
                   POS_PARAM_ERROR == -4 && QUOTA_EXCEEDED == -5 && NO_ENOUGH_MEMORY == -6 && SYSTEM_ERROR == -7 &&
                   CARDTYPE_UNSUPPORTED == -8 && NOT_INITIALIZED == -9 && ILLEGAL_PARAM == -10 && PROTO_UNSUPPORTED == -11 &&
                   QRCODE_DUPLICATED == -12 && INSTITUTION_NOT_SUPPORT == -13,
               "the numbers of document 2, 4.1.5");

/* The calls, by the types of their pointers. */
int (*const call_1)(const char *, const char *) = init_pos_verify;
int (*const call_2)(INFO_REQUEST *, INFO_RESPONSE *) = get_qrcode_info;
int (*const call_3)(VERIFY_REQUEST_V2 *, VERIFY_RESPONSE_V2 *) = verify_qrcode_v2;
int (*const call_4)(VERIFY_REQUEST *, VERIFY_RESPONSE *) = verify_qrcode;
int (*const call_5)(const unsigned char *) = get_key_id;
char *(*const call_6)(void) = get_version;
int (*const call_7)(const char *, const char *, const char *) = init_pos_verify_with_institution_no;
void (*const call_8)(void) = free_pos_verify;
