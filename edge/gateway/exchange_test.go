package gateway

import (
	"strings"
	"testing"
)

// TestAnswerBeforeAnythingIsRead: a panic may come before the request was read, and is answered too.
func TestAnswerBeforeAnythingIsRead(t *testing.T) {
	x := (&server{}).newExchange()
	if got := string(x.seal([]byte("{}"))); !strings.HasPrefix(got, `{"error_response":{}`) {
		t.Errorf("got %s", got)
	}
	if x.request.Charset() != "utf-8" {
		t.Errorf("charset %q", x.request.Charset())
	}
}
