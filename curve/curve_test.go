package curve

import (
	"errors"
	"testing"
)

func TestErrorNamesFieldAndReason(t *testing.T) {
	var err error = &Error{Curve: "secp192k1", Field: "public key", Reason: ReasonOffCurve}
	if got := err.Error(); got != "secp192k1: public key: no point of the curve has this x" {
		t.Errorf("message %q", got)
	}
	if !errors.Is(err, ReasonOffCurve) || errors.Is(err, ReasonLength) {
		t.Error("errors.Is does not see the reason")
	}
	var typed *Error
	if !errors.As(err, &typed) || typed.Field != "public key" {
		t.Error("errors.As does not see the field")
	}
}
