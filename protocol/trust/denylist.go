package trust

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/ridecode"
)

const (
	userSize   = 16 // document 1 §6.3.2
	typeSize   = 8
	cardNoSize = 255 // the most that a length byte can count
)

// DenyReason says why a user or a card may not ride, so that staff can tell the rider what to do. The
// numbers are never given anew; a reader takes those that it does not know.
type DenyReason uint8

// The reasons.
const (
	DenyUnspecified DenyReason = 0
	DenyUnpaid      DenyReason = 1 // rides that were not paid
	DenyLost        DenyReason = 2 // phone or card reported lost
	DenyFraud       DenyReason = 3
	DenyClosed      DenyReason = 4 // account closed, card returned
)

// String is for people.
func (r DenyReason) String() string {
	switch r {
	case DenyUnspecified:
		return "no reason given"
	case DenyUnpaid:
		return "unpaid rides"
	case DenyLost:
		return "reported lost"
	case DenyFraud:
		return "fraud"
	case DenyClosed:
		return "closed or returned"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Card names a card: a number alone means nothing, two card issuers may use it.
type Card struct {
	Type ridecode.CardType
	No   ridecode.CardNo
}

// DeniedUser is one user on the deny list. It is the account that is denied, never a code: a cancelled
// user who fetches a fresh grant stays denied.
type DeniedUser struct {
	User   ridecode.UserID
	Reason DenyReason
}

// DeniedCard is one card on the deny list.
type DeniedCard struct {
	Card   Card
	Reason DenyReason
}

// Denial is why somebody may not ride.
type Denial struct {
	What    string // "user" or "card"
	Reason  DenyReason
	Version uint32 // of the deny list
}

// String is a sentence for a trace; it names nobody.
func (d Denial) String() string {
	return fmt.Sprintf("the %s is on the deny list of version %d: %s", d.What, d.Version, d.Reason)
}

// Denied tells whether a user or a card is on the deny list, the user first. The list is exact: nobody
// is denied who is not on it, and who is taken off it rides again. Ask after a code was verified and
// before the gate opens (terminal-facts R4).
func (b *Bundle) Denied(user ridecode.UserID, card Card) (Denial, bool) {
	version := b.u.sections[sectionDenyList].version
	if reason, denied := b.u.denied.user(user); denied {
		return Denial{What: "user", Reason: reason, Version: version}, true
	}
	if reason, denied := b.u.denied.card(card); denied {
		return Denial{What: "card", Reason: reason, Version: version}, true
	}
	return Denial{}, false
}

// denyList lies in the bundle's own bytes: 17 for a user, and an index of 4 for each card.
type denyList struct {
	users       []byte // userSize each, ascending
	userReasons []byte
	cards       []byte   // card key, then reason, one after the other
	cardAt      []uint32 // where each begins in cards, ascending by key
}

func (l *denyList) userCount() int { return len(l.userReasons) }

func (l *denyList) user(user ridecode.UserID) (DenyReason, bool) {
	if len(user) != userSize {
		return 0, false
	}
	var wanted [userSize]byte
	copy(wanted[:], user)
	low, high := 0, l.userCount()
	for low < high {
		middle := int(uint(low+high) >> 1)
		if lessUser(l.users[middle*userSize:], &wanted) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == l.userCount() || !bytes.Equal(l.users[low*userSize:(low+1)*userSize], wanted[:]) {
		return 0, false
	}
	return DenyReason(l.userReasons[low]), true
}

// lessUser compares two words instead of sixteen bytes.
func lessUser(a []byte, b *[userSize]byte) bool {
	x, y := binary.BigEndian.Uint64(a), binary.BigEndian.Uint64(b[:])
	if x == y {
		x, y = binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])
	}
	return x < y
}

func (l *denyList) card(card Card) (DenyReason, bool) {
	if card.No == "" || len(card.No) > cardNoSize || len(card.Type) != typeSize {
		return 0, false
	}
	var room [typeSize + 1 + cardNoSize]byte // a gate looks this up for every code: nothing is allocated
	wanted := appendCardKey(room[:0], card)
	low, high := 0, len(l.cardAt)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if bytes.Compare(l.cardKey(l.cardAt[middle]), wanted) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(l.cardAt) || !bytes.Equal(l.cardKey(l.cardAt[low]), wanted) {
		return 0, false
	}
	return l.cardReason(l.cardAt[low]), true
}

// appendCardKey writes a card as the list has it: type, length, number.
func appendCardKey(dst []byte, card Card) []byte {
	dst = append(append(dst, card.Type...), byte(len(card.No)))
	return append(dst, card.No...)
}

func (l *denyList) cardKey(at uint32) []byte {
	return l.cards[at : int(at)+typeSize+1+int(l.cards[at+typeSize])]
}

func (l *denyList) cardReason(at uint32) DenyReason {
	return DenyReason(l.cards[int(at)+len(l.cardKey(at))])
}

func (l *denyList) userList() []DeniedUser {
	list := make([]DeniedUser, 0, l.userCount())
	for i, reason := range l.userReasons {
		list = append(list, DeniedUser{User: ridecode.UserID(l.users[i*userSize : (i+1)*userSize]), Reason: DenyReason(reason)})
	}
	return list
}

func (l *denyList) cardList() []DeniedCard {
	list := make([]DeniedCard, 0, len(l.cardAt))
	for _, at := range l.cardAt {
		key := l.cardKey(at)
		list = append(list, DeniedCard{Reason: l.cardReason(at),
			Card: Card{Type: ridecode.CardType(key[:typeSize]), No: ridecode.CardNo(key[typeSize+1:])}})
	}
	return list
}

// Layout of the deny list:
//
//	uint32 count of users, [16] each, strictly ascending; then one byte of reason each
//	uint32 count of cards; for each, strictly ascending by the bytes before the reason:
//	       [8] card type, uint8 n, then [n] card number, uint8 reason

func readDenyList(r *form.Reader, content []byte) denyList {
	var l denyList
	start := r.Offset()
	l.users = readUsers(r)
	l.userReasons = r.Bytes("deny reasons of users", clauseBundle, len(l.users)/userSize)
	count := readCount(r, "count of denied cards", denyCountMax)
	first := r.Offset()
	var last []byte
	for range count {
		at := r.Offset() - start
		l.cardAt = append(l.cardAt, uint32(r.Offset()-first))
		readCard(r)
		if r.Err() != nil {
			return denyList{}
		}
		key := content[at : r.Offset()-start-1]
		if len(key) == typeSize+1 || bytes.Compare(last, key) >= 0 {
			r.Fail("denied card", clauseBundle, len(key)+1, "without a number, or not strictly ascending")
		}
		last = key
	}
	l.cards = content[first-start : r.Offset()-start]
	return l
}

// readCard reads one entry: type, length, number, reason.
func readCard(r *form.Reader) {
	cardType := r.Bytes("denied card's type", clauseBundle, typeSize)
	no := r.Bytes("denied card's number", clauseBundle, int(r.Uint8("denied card's number length", clauseBundle)))
	if !form.IsPrintable(cardType) || !form.IsPrintable(no) {
		r.Fail("denied card", clauseBundle, typeSize+1+len(no), "not printable ASCII")
	}
	r.Uint8("denied card's reason", clauseBundle)
}

// denyCountMax bounds users, and cards, by what a bundle can hold.
const denyCountMax = MaxBundleSize / (typeSize + 1)

func readUsers(r *form.Reader) []byte {
	count := readCount(r, "count of users", denyCountMax)
	users := r.Bytes("users", clauseBundle, count*userSize)
	for i := 0; i < len(users); i += userSize {
		user := users[i : i+userSize]
		if !form.IsPrintable(user) {
			r.Fail("users", clauseBundle, len(users)-i, "not printable ASCII")
		}
		if i > 0 && bytes.Compare(users[i-userSize:i], user) >= 0 {
			r.Fail("users", clauseBundle, len(users)-i, "not strictly ascending")
		}
	}
	return users
}

func (l *denyList) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.userCount()))
	dst = append(append(dst, l.users...), l.userReasons...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(l.cardAt)))
	return append(dst, l.cards...)
}

// newDenyList sorts; the entries are checked already, but for doubles.
func newDenyList(users []DeniedUser, cards []DeniedCard) (denyList, error) {
	users, cards = slices.Clone(users), slices.Clone(cards)
	slices.SortFunc(users, func(a, b DeniedUser) int { return cmp.Compare(a.User, b.User) })
	var l denyList
	for i, denied := range users {
		if i > 0 && users[i-1].User == denied.User {
			return l, bundleError("denied users", "a user stands twice")
		}
		l.users, l.userReasons = append(l.users, denied.User...), append(l.userReasons, byte(denied.Reason))
	}
	slices.SortFunc(cards, func(a, b DeniedCard) int {
		return bytes.Compare(appendCardKey(nil, a.Card), appendCardKey(nil, b.Card))
	})
	for i, denied := range cards {
		if i > 0 && cards[i-1].Card == denied.Card {
			return l, bundleError("denied cards", "a card stands twice")
		}
		l.addCard(appendCardKey(nil, denied.Card), denied.Reason)
	}
	return l, nil
}

func (l *denyList) addCard(key []byte, reason DenyReason) {
	l.cardAt = append(l.cardAt, uint32(len(l.cards)))
	l.cards = append(append(l.cards, key...), byte(reason))
}
