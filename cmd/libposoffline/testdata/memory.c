/*
 * What the library holds. memory INPUTS CODES_PER_SECOND <CODES
 *
 * The clock of a test build goes on by a second every CODES_PER_SECOND codes, as the stream was made;
 * with 0 it stands, so that the memory of accepted codes runs full. Prints resident memory in KiB
 * after 10 000 verifications, after 50 000 and at the end, and how many codes were accepted.
 */
#include <unistd.h>

#include "stream.h"

void pos_test_set_clock(long long unix_seconds);

int main(int argc, char **argv) {
    code c;
    long verified = 0, accepted = 0;
    if (argc != 3) {
        return 2;
    }
    read_inputs(argv[1]);
    long per_second = atol(argv[2]);
    long long start = atoll(given("start")->text);
    EXPECT(init_pos_verify(given("keys")->text, CARD_TYPES), SUCCESS);
    int answer = SUCCESS;
    while (answer == SUCCESS && next_code(&c)) {
        pos_test_set_clock(start + (per_second > 0 ? verified / per_second : 0));
        answer = verify(&c);
        accepted += answer == SUCCESS;
        verified++;
        if (verified == 10000 || verified == 50000) {
            printf("after %ld: %ld KiB\n", verified, resident_kib());
        }
    }
    printf("after %ld: %ld KiB\naccepted %ld, last answer %d\n", verified, resident_kib(), accepted, answer);
    return finish();
}
