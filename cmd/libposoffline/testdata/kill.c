/*
 * A gate that is killed. kill INPUTS FIRST <CODES
 *
 * Takes the codes, numbered from FIRST on, with the journal that POS_JOURNAL_FILE names, and says "A n"
 * for each that was accepted and "D n" for each that was accepted before.
 */
#include <unistd.h>

#include "stream.h"

static void say(const char *text) {
    if (write(1, text, strlen(text)) != (ssize_t)strlen(text)) {
        exit(2);
    }
}

int main(int argc, char **argv) {
    code c;
    char line[300];
    if (argc != 3) {
        return 2;
    }
    read_inputs(argv[1]);
    say("running\n");
    if (init_pos_verify(given("one-key")->text, CARD_TYPES) != SUCCESS) {
        pos_last_error(line, 256);
        say(line);
        return 1;
    }
    for (int i = atoi(argv[2]); next_code(&c); i++) {
        int answer = verify(&c);
        if (answer != SUCCESS && answer != QRCODE_DUPLICATED) {
            pos_last_error(line, 256);
            say(line);
            return 1;
        }
        snprintf(line, sizeof line, "%c %d\n", answer == SUCCESS ? 'A' : 'D', i);
        say(line);
    }
    say("end\n");
    return 0;
}
