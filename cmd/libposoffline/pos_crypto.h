/*
 * pos_crypto.h: the terminal SDK of offline ride codes (支付宝离线验证 SDK), libposoffline.so.
 *
 * Document 2 §4.1 names the library, this header and demo.c; structures and calls are laid out as the
 * firmware in the field was compiled. What is an extension says so.
 *
 * A gate calls init_pos_verify once at start and whenever keys or card types change, and
 * verify_qrcode_v2 at every code. On SUCCESS it stores the record, or has the SDK store it
 * (set_pos_journal), and opens.
 *
 * Threads. Every call may be made from any number of threads at once. A thread needs 64 KiB of stack.
 *
 * Memory. The SDK writes into the caller's buffers alone, keeps no pointer to them after a call, and
 * frees nothing of the caller's. On any answer but success the buffers and lengths are as they were.
 *
 * Clock. Codes are judged by the system's clock (UTC); set it before the first code. Nothing else
 * moves it: no call, no environment variable.
 *
 * Processes. Load the library after fork, not before: in a child that was forked later every call
 * answers SYSTEM_ERROR. It stays loaded after dlclose. Signals that come while a thread is inside a
 * call are delivered when the call is over, except those for faults, so handlers may be as they were.
 */
#ifndef POS_CRYPTO_H
#define POS_CRYPTO_H

#if defined(__GNUC__)
#define POS_API __attribute__((visibility("default")))
#else
#define POS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Answers, document 2 §4.1.5. A code with several faults gets one answer, the first of this order:
 *
 *   NOT_INITIALIZED, ILLEGAL_PARAM, POS_PARAM_ERROR     the caller's faults
 *   MALFORMED_QRCODE (form), PROTO_UNSUPPORTED
 *   INSTITUTION_NOT_SUPPORT, QRCODE_KEY_EXPIRED (key not known)
 *   MALFORMED_QRCODE (either signature)
 *   QRCODE_KEY_EXPIRED (authorization over), QRCODE_INFO_EXPIRED
 *   CARDTYPE_UNSUPPORTED, QUOTA_EXCEEDED, ILLEGAL_PARAM (a buffer too small for this code)
 *   QRCODE_DUPLICATED, NO_ENOUGH_MEMORY, SYSTEM_ERROR
 *
 * pos_last_error says which of several reasons it was.
 */
#define SUCCESS (1)
#define MALFORMED_QRCODE (-1)         /* 二维码格式错误: not a code, or a wrong signature */
#define QRCODE_INFO_EXPIRED (-2)      /* 二维码信息失效: shown too long ago, or dated more than 20 s ahead; refresh the code */
#define QRCODE_KEY_EXPIRED (-3)       /* 二维码密钥失效: authorization over or key not known; go online and refresh */
#define POS_PARAM_ERROR (-4)          /* pos_param 错误 */
#define QUOTA_EXCEEDED (-5)           /* 用户单笔额度超限: more than the code's single-trade limit */
#define NO_ENOUGH_MEMORY (-6)         /* 内存不足: the memory of accepted codes is full */
#define SYSTEM_ERROR (-7)             /* 系统内部错误: a file that cannot be used; the code may be shown again */
#define CARDTYPE_UNSUPPORTED (-8)     /* 卡类型不支持 */
#define NOT_INITIALIZED (-9)          /* 未执行初始化 */
#define ILLEGAL_PARAM (-10)           /* 参数错误: a null pointer, a length, a list that cannot be read */
#define PROTO_UNSUPPORTED (-11)       /* 不支持的协议版本: version or algorithm of the code */
#define QRCODE_DUPLICATED (-12)       /* 重复的二维码: accepted here before */
#define INSTITUTION_NOT_SUPPORT (-13) /* later headers: no list for the code's institution */

/* The plain payment code, without a card (支付宝公交付款码). */
#define ANT_BUS_PAY ("ANT00001")

/* 验证请求, document 2 §4.1.4.6. */
typedef struct _verify_request_v2 {
    const unsigned char *qrcode; /* 二进制二维码: the bytes of the code, not their text */
    int qrcode_len;
    const char *pos_param; /* 商户 pos 信息: JSON, see verify_qrcode_v2; at most 2048 bytes and a NUL */
    int amount_cent;       /* 交易金额, cents; 0: not known yet, as at a metro entry */
} VERIFY_REQUEST_V2;

/*
 * 验证响应, document 2 §4.1.4.6. The caller gives each buffer and its size in bytes. On success each
 * length is what was written, without the NUL that follows it: set all five anew before every call.
 */
typedef struct _verify_response_v2 {
    char *uid; /* 用户 id, a string of 16 */
    int uid_len; /* at least 17 */
    char *record; /* 脱机记录, a string: the acceptance record in upper-case hex */
    int record_len; /* at least 2048 */
    char *card_no; /* 卡号, a string */
    int card_no_len; /* at least 17 */
    unsigned char *card_data; /* 卡数据, bytes; a NUL follows them */
    int card_data_len; /* at least 65 */
    char *card_type; /* 卡类型, a string of 8; empty: the plain payment code, ANT00001 */
    int card_type_len; /* at least 9 */
} VERIFY_RESPONSE_V2;

/* 获取二维码信息的请求, document 2 §4.1.3.6. */
typedef struct _info_request {
    const unsigned char *qrcode;
    int qrcode_len;
} INFO_REQUEST;

/* 获取二维码信息的响应, document 2 §4.1.3.6: buffers and lengths as in VERIFY_RESPONSE_V2. */
typedef struct _info_response {
    char *uid;
    int uid_len; /* at least 17 */
    char *card_no;
    int card_no_len; /* at least 17 */
    unsigned char *card_data;
    int card_data_len; /* at least 65 */
    char *card_type;
    int card_type_len; /* at least 9 */
} INFO_RESPONSE;

/* The request of verify_qrcode, as headers before version 2 have it. */
typedef struct _verify_request {
    const unsigned char *qrcode;
    int qrcode_len;
    const char *master_pub_key; /* the institution's public key that get_key_id asks for: 66 hex digits */
    const char *pos_param;
    int amount_cent;
} VERIFY_REQUEST;

/* The response of verify_qrcode. */
typedef struct _verify_response {
    char *uid;
    int uid_len; /* at least 17 */
    char *record;
    int record_len; /* at least 2048 */
} VERIFY_RESPONSE;

/*
 * init_pos_verify (离线验证 SDK 初始化, document 2 §4.1.2) sets the institution keys and the card types
 * that are taken here, for codes of every institution.
 *
 *   key_list        [{"key_id":0,"public_key":"0217…"}, …]: the answer of key.query; ids 0 … 255
 *   card_type_list  ["ANT00001","HZ000001", …]: at least one
 *
 * Both are at most 64 KiB. It may be called again at any time, with calls under way: it replaces keys
 * and card types, lists of init_pos_verify_with_institution_no too, and keeps the memory of accepted
 * codes. The same key list again costs nothing.
 *
 * Answers SUCCESS; ILLEGAL_PARAM, a null pointer or a list that cannot be read; SYSTEM_ERROR, a file
 * that the environment names cannot be used. When it fails, the lists before it stay in use.
 *
 * The environment may name two files, for firmware that knows no extensions. They are looked for at
 * every init_pos_verify; set_pos_signer and set_pos_journal come first.
 *   POS_SIGNER_FILE   one line ALGORITHM=HEX, see set_pos_signer
 *   POS_JOURNAL_FILE  see set_pos_journal
 */
POS_API int init_pos_verify(const char *key_list, const char *card_type_list);

/*
 * init_pos_verify_with_institution_no (later headers) does the same for the codes of one institution,
 * beside what is set for others.
 *
 *   institution_no  the 4 bytes of the code's institution code (机构编码), not text;
 *                   {0x00,0x00,0x00,0x00} is the vendor itself
 *
 * A code of an institution without a list of its own is held to the list of the last init_pos_verify;
 * where there is none, the answer to it is INSTITUTION_NOT_SUPPORT.
 */
POS_API int init_pos_verify_with_institution_no(const char *key_list, const char *card_type_list, const char *institution_no);

/*
 * free_pos_verify (later headers) forgets keys, card types and signer, and closes the journal. Calls
 * answer NOT_INITIALIZED until the next init_pos_verify. The memory of accepted codes stays for as
 * long as the process runs: otherwise free and init would let a code ride twice.
 */
POS_API void free_pos_verify(void);

/*
 * get_qrcode_info (获取公交码信息, document 2 §4.1.3) checks a code and tells whose it is: form, key,
 * both signatures, both times, card type. It writes no record and does not use the code up.
 */
POS_API int get_qrcode_info(INFO_REQUEST *request, INFO_RESPONSE *response);

/*
 * verify_qrcode_v2 (离线公交码验证, document 2 §4.1.4) decides whether the gate opens.
 *
 * pos_param is one JSON object, each name once, with at least these texts, each of at most 256 bytes:
 *   pos_id     this terminal's number at the merchant
 *   type       SINGLE; extension: ENTRY and EXIT of a metro
 *   subject    line and station
 *   record_id  this tap's number, never given twice
 * It goes into the record byte for byte.
 *
 * A code is accepted once: the memory of accepted codes holds 20 000 of them and each until no clock
 * could take it any more. When it is full of such codes the answer is NO_ENOUGH_MEMORY. A restart
 * empties it, unless there is a journal.
 *
 * If a buffer is too small for what an otherwise good code would bring, the answer is ILLEGAL_PARAM
 * and the code is not used up.
 */
POS_API int verify_qrcode_v2(VERIFY_REQUEST_V2 *request_v2, VERIFY_RESPONSE_V2 *response_v2);

/*
 * get_key_id (已废弃, for verify_qrcode) is the id of the key that signed a code, 0 … 255. It reads the
 * first 3 bytes and checks nothing else. ILLEGAL_PARAM, PROTO_UNSUPPORTED.
 */
POS_API int get_key_id(const unsigned char *qrcode);

/*
 * verify_qrcode (已废弃) is verify_qrcode_v2 with the one key of the request in place of the key list.
 * It needs no init_pos_verify; without one it takes the plain payment code alone, with one the card
 * types of that. Calls of it wait for each other.
 */
POS_API int verify_qrcode(VERIFY_REQUEST *request, VERIFY_RESPONSE *response);

/* get_version is the library's version, a string that the caller neither changes nor frees. */
POS_API char *get_version(void);

/*
 * Extension. set_pos_signer sets the key that this terminal signs its records with (完整性签名). Its
 * counterpart is registered at the payment institution, together with the algorithm, under pos_id.
 *
 *   "ecdsa-secp256k1-sha256"  a private key of secp256k1, 32 bytes. Only this terminal can write its
 *                             records, and a third party can be shown so: what a dispute needs.
 *   "hmac-sha256"             a key of at least 16 bytes, shared with the payment institution. The
 *                             two convince each other and nobody else.
 *   "hmac-md5-user-id"        no key (NULL, 0): the algorithm of terminals of 2018, and what is used
 *                             when none is set. It tells of damage alone: whoever has the code can
 *                             compute it.
 *
 * With the first two, records are of version 1; with the last, of version 2 with get_version as
 * software version. SUCCESS, or ILLEGAL_PARAM and the signer before it stays. A key file has the same
 * in one line, as hmac-sha256=00112233…; let nobody but the firmware's user read it.
 */
POS_API int set_pos_signer(const char *algorithm, const unsigned char *key, int key_len);

/*
 * Extension. set_pos_journal has the SDK keep every record in an append-only file: verify_qrcode_v2
 * then answers SUCCESS when the record will be there after a power cut, and SYSTEM_ERROR when it cannot
 * be kept. The codes in the file come back into the memory of accepted codes, so that cutting the
 * power wins nobody a second ride. NULL or "" closes the journal.
 *
 * The file is locked against other processes. To collect records, set another file and read the one
 * before; but keep in mind that a restart recalls the codes of the file that it is given. If a disk
 * fault has shut the journal, set the same file again (init_pos_verify does so for POS_JOURNAL_FILE).
 * SUCCESS; SYSTEM_ERROR, and the journal before it stays in use.
 *
 * Without a journal the firmware stores the record before it opens, as document 2 §4.1.4.1 says.
 */
POS_API int set_pos_journal(const char *path);

/*
 * Extension. pos_last_error writes why the last call of this thread did not succeed, in one English
 * sentence, empty if it did; size bytes at most, with the NUL. It answers the length of the sentence,
 * or ILLEGAL_PARAM. The text is for logs and people and may change; it never holds a key, a card
 * number or a user id. The calls get_version and pos_last_error itself leave it as it is.
 */
POS_API int pos_last_error(char *buffer, int size);

#ifdef __cplusplus
}
#endif
#endif
