#ifndef PEERS_H
#define PEERS_H
#include <stddef.h>

/* Every function works through count cases that rotate over the arrays and returns how many of them
 * gave the right answer, so that the loop is not in Go and no call between the languages is timed. */

#define CASE_MAX 128

typedef struct {
	unsigned char key[65];     /* compressed public key */
	unsigned char digest[32];  /* padded on the left for SHA-1 */
	unsigned char der[80];     /* signature */
	size_t der_len;
	size_t key_len;
	size_t digest_len;
	unsigned char secret[32];
	size_t secret_len;
} peer_case;

enum { SECP192K1, SECP256K1 };

int openssl_setup(int curve, const peer_case *cases, size_t cases_len);
int openssl_verify(int curve, const peer_case *cases, size_t cases_len, int count, int decompress);
int openssl_sign(int curve, const peer_case *cases, size_t cases_len, int count);
int libsecp_setup(const peer_case *cases, size_t cases_len);
int libsecp_verify(const peer_case *cases, size_t cases_len, int count, int parse_key);
int libsecp_sign(const peer_case *cases, size_t cases_len, int count);
int pin_to_core(int core);
long long thread_cpu_nanosec(void);
const char *openssl_version(void);
#endif
