package payment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shuama/shuama/internal/testkit"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// A right password is right until too many wrong ones came; a right one in time forgets them. Of a user who does not
// exist, and of one without a password, nobody learns more than that this is not his password.
func TestCheckPassword(t *testing.T) {
	const user, none, nobody ridecode.UserID = "2088000000000001", "2088000000000002", "2088000000000003"
	w := testkit.New(t, 0)
	w.Rider(user, 0, 0)
	w.Rider(none, 0, 0)
	if err := w.Payment.SetPassword(t.Context(), user, "correct horse"); err != nil {
		t.Fatal(err)
	}
	check := func(user ridecode.UserID, with string, want error) {
		t.Helper()
		if err := w.Payment.CheckPassword(t.Context(), user, with, w.Now()); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
	}
	policy := payment.DefaultPolicy().Online
	check(nobody, "correct horse", payment.ErrPassword)
	check(none, "", payment.ErrPassword)
	for range 2 { // a right one between them forgets the wrong ones
		for range policy.PasswordTries - 1 {
			check(user, "guess", payment.ErrPassword)
		}
		check(user, "correct horse", nil)
	}
	for range policy.PasswordTries {
		check(user, "guess", payment.ErrPassword)
	}
	check(user, "correct horse", payment.ErrPasswordLocked)
	w.Pass(policy.PasswordWait + time.Second)
	check(user, "correct horse", nil)
}
