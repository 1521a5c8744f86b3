/* What calls.go and sdk.c know of each other. */
#ifndef SDK_H
#define SDK_H

#include "pos_crypto.h"

/* Of get_version, and of records of version 2 (signer.go). */
#define SDK_VERSION "shuama-1.0.0"

/* Sets the calling thread's last error. */
void sdk_explain(const char *text, int length);

#endif
