package payment

import (
	"bytes"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// What the books call a code begins with its second, so that codes come in the order in which they were
// made, and names nothing else: two codes of one second differ, and so do the uses of one code at two gates.
func TestCodeID(t *testing.T) {
	second := time.Date(2026, 8, 6, 4, 0, 0, 0, time.UTC)
	code := ridecode.Code{KeyID: 1, Generated: second}
	other, later := code, code
	other.KeyID, later.Generated = 2, second.Add(time.Second)
	id := codeID(&code)
	whole := code.ID()
	if !bytes.Equal(id[:codeSecondSize], []byte{0x6a, 0x74, 0x06, 0xc0}) || !bytes.Equal(id[codeSecondSize:], whole[:len(whole)-codeSecondSize]) {
		t.Errorf("%s of %s", id, whole)
	}
	if otherID := codeID(&other); otherID == id || !bytes.Equal(otherID[:codeSecondSize], id[:codeSecondSize]) {
		t.Errorf("%s and %s", otherID, id)
	}
	if laterID := codeID(&later); bytes.Compare(laterID[:], id[:]) <= 0 {
		t.Errorf("%s, a second before %s", id, laterID)
	}
	used := map[ridecode.ID]bool{id: true}
	for _, posID := range []string{"", "a", "b"} {
		again := secondUse(proven{id: id, posID: posID})
		if used[again] || !bytes.Equal(again[:codeSecondSize], id[:codeSecondSize]) {
			t.Errorf("at %q: %s", posID, again)
		}
		used[again] = true
	}
}
