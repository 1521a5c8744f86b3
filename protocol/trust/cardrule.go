package trust

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

// CardRule takes cards of one type, of any institution or one, for any class of users or one. A card is
// taken when one rule takes it: a white list of issuers and classes, not only of types, because an
// institution that may issue bus cards may not therefore issue staff passes (terminal-facts R20).
type CardRule struct {
	Type           ridecode.CardType
	AnyInstitution bool
	Institution    ridecode.Quad // 机构编码, when not any
	AnyClass       bool
	Class          ridecode.Quad // 用户身份, when not any
}

const (
	cardRuleSize    = 8 + 1 + 4 + 4
	flagInstitution = 1 << 0
	flagClass       = 1 << 1
)

// TakesCard tells whether the terminal takes the card of a grant; if not, why, as half a sentence.
func (b *Bundle) TakesCard(grant *ridecode.Grant) (bool, string) {
	why := fmt.Sprintf("card type %s is not taken here", grant.CardType)
	for _, rule := range b.cardRules {
		if rule.Type != grant.CardType {
			continue
		}
		if rule.takes(grant) {
			return true, ""
		}
		why = fmt.Sprintf("card type %s is taken here, but not from institution %s for user class %s",
			grant.CardType, grant.Institution, grant.Identity)
	}
	return false, why
}

func (r CardRule) takes(grant *ridecode.Grant) bool {
	return (r.AnyInstitution || r.Institution == grant.Institution) && (r.AnyClass || r.Class == grant.Identity)
}

// CardTypes is every card type that some rule takes, in order, as init_pos_verify has them (document 2
// §4.1.2.6).
func (b *Bundle) CardTypes() []ridecode.CardType {
	var types []ridecode.CardType
	for _, rule := range b.cardRules {
		types = append(types, rule.Type)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// CardRules is the rules that this reader can use.
func (b *Bundle) CardRules() []CardRule { return slices.Clone(b.cardRules) }

func (r CardRule) append(dst []byte) []byte {
	var flags byte
	var institution, class ridecode.Quad
	if !r.AnyInstitution {
		flags, institution = flags|flagInstitution, r.Institution
	}
	if !r.AnyClass {
		flags, class = flags|flagClass, r.Class
	}
	dst = append(append(dst, r.Type...), flags)
	return append(append(dst, institution[:]...), class[:]...)
}

func decodeCardRule(b []byte) (CardRule, error) {
	flags, zero := b[8], ridecode.Quad{}
	r := CardRule{Type: ridecode.CardType(b[:8]), AnyInstitution: flags&flagInstitution == 0, AnyClass: flags&flagClass == 0,
		Institution: ridecode.Quad(b[9:13]), Class: ridecode.Quad(b[13:17])}
	switch {
	case !form.IsPrintable(r.Type):
		return CardRule{}, fmt.Errorf("the card type is not printable ASCII")
	case flags&^(flagInstitution|flagClass) != 0:
		return CardRule{}, fmt.Errorf("it has conditions that are not known here")
	case r.AnyInstitution && r.Institution != zero || r.AnyClass && r.Class != zero:
		return CardRule{}, fmt.Errorf("it names what it does not ask for")
	}
	return r, nil
}

// appendCardRules sorts and counts; a rule that stands twice is left for Parse to refuse.
func appendCardRules(dst []byte, rules []CardRule) []byte {
	encoded := make([][]byte, 0, len(rules))
	for _, rule := range rules {
		encoded = append(encoded, rule.append(nil))
	}
	slices.SortFunc(encoded, bytes.Compare)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(rules)))
	return append(dst, bytes.Join(encoded, nil)...)
}
