//go:build peers

#define _GNU_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED
#include "peers.h"
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <sched.h>
#include <secp256k1.h>
#include <string.h>
#include <time.h>

int pin_to_core(int core) {
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return sched_setaffinity(0, sizeof set, &set);
}

/* Time of this thread on the processor, so that other programs do not count. */
long long thread_cpu_nanosec(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

const char *openssl_version(void) { return OpenSSL_version(OPENSSL_VERSION); }

/* OpenSSL's side of one curve. */
static struct {
	EC_GROUP *group;
	EC_POINT *point;
	EC_KEY *scratch;
	EC_KEY *keys[CASE_MAX];
	BN_CTX *bn;
} curves[2];

/* The keys carry both halves, so that one array serves signing and verifying without decompression. */
int openssl_setup(int curve, const peer_case *cases, size_t cases_len) {
	EC_GROUP *group = EC_GROUP_new_by_curve_name(curve == SECP256K1 ? NID_secp256k1 : NID_secp192k1);
	BN_CTX *bn = BN_CTX_new();
	EC_POINT *point = EC_POINT_new(group);
	EC_KEY *scratch = EC_KEY_new();
	EC_KEY_set_group(scratch, group);
	for (size_t i = 0; i < cases_len; i++) {
		BIGNUM *d = BN_bin2bn(cases[i].secret, (int)cases[i].secret_len, NULL);
		EC_KEY *key = EC_KEY_new();
		EC_KEY_set_group(key, group);
		EC_KEY_set_private_key(key, d);
		if (!EC_POINT_oct2point(group, point, cases[i].key, cases[i].key_len, bn)) return 0;
		EC_KEY_set_public_key(key, point);
		BN_free(d);
		curves[curve].keys[i] = key;
	}
	curves[curve].group = group;
	curves[curve].bn = bn;
	curves[curve].point = point;
	curves[curve].scratch = scratch;
	return 1;
}

int openssl_verify(int curve, const peer_case *cases, size_t cases_len, int count, int decompress) {
	int good = 0;
	EC_POINT *point = curves[curve].point;
	for (int i = 0; i < count; i++) {
		const peer_case *c = &cases[i % cases_len];
		EC_KEY *key = curves[curve].keys[i % cases_len];
		if (decompress) {
			key = curves[curve].scratch;
			if (!EC_POINT_oct2point(curves[curve].group, point, c->key, c->key_len, curves[curve].bn)) continue;
			EC_KEY_set_public_key(key, point);
		}
		good += ECDSA_verify(0, c->digest, (int)c->digest_len, c->der, (int)c->der_len, key) == 1;
	}
	return good;
}

int openssl_sign(int curve, const peer_case *cases, size_t cases_len, int count) {
	int good = 0;
	unsigned char sig[80];
	unsigned int len;
	for (int i = 0; i < count; i++) {
		const peer_case *c = &cases[i % cases_len];
		good += ECDSA_sign(0, c->digest, (int)c->digest_len, sig, &len, curves[curve].keys[i % cases_len]) == 1;
	}
	return good;
}

static secp256k1_context *ctx;
static secp256k1_pubkey parsed[CASE_MAX];

int libsecp_setup(const peer_case *cases, size_t cases_len) {
	ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
	for (size_t i = 0; i < cases_len; i++) {
		if (!secp256k1_ec_pubkey_parse(ctx, &parsed[i], cases[i].key, cases[i].key_len)) return 0;
	}
	return 1;
}

/* libsecp256k1 refuses high s, so that it is normalised first, as its header advises. */
int libsecp_verify(const peer_case *cases, size_t cases_len, int count, int parse_key) {
	int good = 0;
	for (int i = 0; i < count; i++) {
		const peer_case *c = &cases[i % cases_len];
		secp256k1_pubkey fresh, *key = &parsed[i % cases_len];
		secp256k1_ecdsa_signature sig;
		if (parse_key) {
			key = &fresh;
			if (!secp256k1_ec_pubkey_parse(ctx, key, c->key, c->key_len)) continue;
		}
		if (!secp256k1_ecdsa_signature_parse_der(ctx, &sig, c->der, c->der_len)) continue;
		secp256k1_ecdsa_signature_normalize(ctx, &sig, &sig);
		good += secp256k1_ecdsa_verify(ctx, &sig, c->digest, key);
	}
	return good;
}

int libsecp_sign(const peer_case *cases, size_t cases_len, int count) {
	int good = 0;
	for (int i = 0; i < count; i++) {
		const peer_case *c = &cases[i % cases_len];
		secp256k1_ecdsa_signature sig;
		unsigned char der[80];
		size_t len = sizeof der;
		if (!secp256k1_ecdsa_sign(ctx, &sig, c->digest, c->secret, NULL, NULL)) continue;
		good += secp256k1_ecdsa_signature_serialize_der(ctx, der, &len, &sig);
	}
	return good;
}
