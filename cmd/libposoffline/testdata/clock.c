/* The vendor's sample codes, on the clock of a test build. clock INPUTS */
#include "check.h"

void pos_test_set_clock(long long unix_seconds);

static void sample(const char *code, long long generated, long long valid_sec, const char *card_type) {
    tap t = tap_of(code);
    pos_test_set_clock(generated - 21);
    EXPECT(run(&t), QRCODE_INFO_EXPIRED);
    pos_test_set_clock(generated + valid_sec + 1);
    EXPECT(run(&t), QRCODE_INFO_EXPIRED);
    pos_test_set_clock(generated + 30LL * 365 * 24 * 3600);
    EXPECT(run(&t), QRCODE_KEY_EXPIRED);
    pos_test_set_clock(generated - 20);
    EXPECT(run(&t), SUCCESS);
    CHECK(strcmp(t.response.card_type, card_type) == 0);
    printf("record %s %s\n", code, t.response.record);
    drop(&t);
    pos_test_set_clock(generated + valid_sec); /* the last second: it is still known */
    EXPECT(accept(code), QRCODE_DUPLICATED);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    read_inputs(argv[1]);
    EXPECT(init_pos_verify(given("sample-keys")->text, CARD_TYPES), SUCCESS);
    sample("sample-2018", 1516167355, 2573, "S0JP0000");
    sample("sample-2020", 1553094017, 2573, "TEST0001");
    return finish();
}
