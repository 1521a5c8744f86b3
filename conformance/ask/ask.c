/* ask: loads a library with the interface of document 2 section 4.1 and asks it what it reads.
 *
 * A line on standard input is before, key list, card types, code in hex, amount in cents and pos_param, with
 * tabs between them; a line on standard output is {"verdict": N}. The library is initialised where before
 * is not empty and a key list is given. Every buffer that is handed over has a guard behind it, and a
 * library that writes there is reported: at a gate it would have written over something else.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	unsigned char *qrcode;
	int qrcode_len;
	char *pos_param;
	int amount_cents;
} VERIFY_REQUEST_V2;

typedef struct {
	char *uid;
	int uid_len;
	char *record;
	int record_len;
	char *card_no;
	int card_no_len;
	unsigned char *card_data;
	int card_data_len;
	char *card_type;
	int card_type_len;
} VERIFY_RESPONSE_V2;

typedef int init_function(const char *key_list, const char *card_type_list);
typedef int verify_function(VERIFY_REQUEST_V2 *request, VERIFY_RESPONSE_V2 *response);

enum { LINE_SIZE = 1 << 16, FIELD_COUNT = 6, GUARD_SIZE = 32, GUARD = 0xA5 };

/* One more than any code's, so that nothing is refused for want of room. */
enum { UID_SIZE = 32, RECORD_SIZE = 16384, CARD_NO_SIZE = 256, CARD_DATA_SIZE = 256, CARD_TYPE_SIZE = 16 };

static unsigned char *guarded(int size) {
	unsigned char *b = malloc(size + GUARD_SIZE);
	if (b == NULL) {
		perror("ask");
		exit(3);
	}
	memset(b, 0, size);
	memset(b + size, GUARD, GUARD_SIZE);
	return b;
}

/* spoilt tells whether the guard was written over, and frees the buffer. */
static int spoilt(void *buffer, int size) {
	unsigned char *b = buffer;
	int changed = 0;
	for (int i = 0; i < GUARD_SIZE; i++)
		changed |= b[size + i] != GUARD;
	free(b);
	return changed;
}

static int digit(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static int unhex(const char *text, unsigned char *out) {
	int size = (int)strlen(text) / 2;
	for (int i = 0; i < size; i++)
		out[i] = (unsigned char)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
	return size;
}

static void ask(verify_function *verify, char **field) {
	int code_size = (int)strlen(field[3]) / 2;
	unsigned char *code = guarded(code_size);
	VERIFY_REQUEST_V2 request = {code, unhex(field[3], code), field[5], atoi(field[4])};
	VERIFY_RESPONSE_V2 response = {
		(char *)guarded(UID_SIZE), UID_SIZE, (char *)guarded(RECORD_SIZE), RECORD_SIZE,
		(char *)guarded(CARD_NO_SIZE), CARD_NO_SIZE, guarded(CARD_DATA_SIZE), CARD_DATA_SIZE,
		(char *)guarded(CARD_TYPE_SIZE), CARD_TYPE_SIZE};
	VERIFY_RESPONSE_V2 mine = response; /* the library may change the pointers too */
	int verdict = verify(&request, &response);
	int outside = spoilt(code, code_size) | spoilt(mine.uid, UID_SIZE) | spoilt(mine.record, RECORD_SIZE) |
		      spoilt(mine.card_no, CARD_NO_SIZE) | spoilt(mine.card_data, CARD_DATA_SIZE) | spoilt(mine.card_type, CARD_TYPE_SIZE);
	if (outside)
		printf("{\"error\": \"the library wrote behind a buffer that it was given; its verdict was %d\"}\n", verdict);
	else
		printf("{\"verdict\": %d}\n", verdict);
}

static void *symbol(void *library, const char *name) {
	void *found = dlsym(library, name);
	if (found == NULL) {
		fprintf(stderr, "ask: the library has no %s\n", name);
		exit(3);
	}
	return found;
}

static void answer(init_function *init, verify_function *verify, char *line) {
	char *field[FIELD_COUNT];
	for (int i = 0; i < FIELD_COUNT; i++) {
		field[i] = line;
		line += strcspn(line, i + 1 < FIELD_COUNT ? "\t" : "\n");
		if (*line != 0)
			*line++ = 0;
	}
	if (*field[0] != 0 && *field[1] != 0) {
		int status = init(field[1], field[2]);
		if (status != 1) {
			printf("{\"error\": \"init_pos_verify answered %d\"}\n", status);
			return;
		}
	}
	ask(verify, field);
}

int main(int argc, char **argv) {
	static char line[LINE_SIZE];
	if (argc != 2) {
		fprintf(stderr, "usage: ask LIBRARY\n");
		return 2;
	}
	void *library = dlopen(argv[1], RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "ask: %s\n", dlerror());
		return 3;
	}
	init_function *init;
	verify_function *verify;
	*(void **)&init = symbol(library, "init_pos_verify");
	*(void **)&verify = symbol(library, "verify_qrcode_v2");
	while (fgets(line, sizeof line, stdin) != NULL) {
		answer(init, verify, line);
		fflush(stdout);
	}
	return 0;
}
