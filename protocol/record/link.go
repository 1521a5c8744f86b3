package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// The record chain (记录链) is ours: documents 1 and 2 say nothing of how a lost record is noticed. A
// terminal numbers its records and lets each name the one before it, in its own terminal information,
// which the integrity value covers.
const clauseChain = "document 2 §4.1.4.6, record chain"

// MaxSeq is the largest number of a record, so that any database and any language can hold it.
const MaxSeq = 1<<63 - 1

// StatementID names what a terminal said: SHA-256 of every byte that the integrity value covers. It is
// not ID, which covers the integrity value too: anybody on the way can turn an ECDSA value (r, s) into
// (r, n−s), and such a twin must not look like a second record under one number.
type StatementID [sha256.Size]byte

// String is the identity in hex.
func (id StatementID) String() string { return hex.EncodeToString(id[:]) }

// Statement names what the terminal said in this record.
func (u *Unverified) Statement() StatementID { return sha256.Sum256(u.signed) }

// Genesis stands as prev in the first record of a terminal. No record has this name: it is SHA-256 of
// a text, and no record starts with a letter.
func Genesis(posID string) StatementID {
	return sha256.Sum256([]byte("shuama record chain 1\n" + posID))
}

// Link is what a terminal adds to its terminal information: "seq", decimal text, because many readers
// take a JSON number for a float and lose its end; and "prev", 64 digits of lower-case hex.
type Link struct {
	Seq  uint64      // from 1 to MaxSeq
	Prev StatementID // of the record with the number before, or Genesis
}

// Next is the link of a terminal's next record. The last one is given as bytes, as the journal has
// them; nil where there is none, and then the chain begins. It begins too behind a record that has no
// link, as terminals wrote before they knew of chains.
func Next(posID string, last []byte) (Link, error) {
	if posID == "" {
		return Link{}, fieldError("pos_param pos_id", clauseChain, "empty: a chain belongs to one named terminal")
	}
	if last == nil {
		return Link{Seq: 1, Prev: Genesis(posID)}, nil
	}
	u, err := Parse(last)
	if err != nil {
		return Link{}, err
	}
	place, linked, err := u.Place()
	switch {
	case err != nil:
		return Link{}, err
	case !linked:
		return Link{Seq: 1, Prev: Genesis(posID)}, nil
	case place.POSID != posID:
		return Link{}, fieldError("pos_param pos_id", clauseChain, "the last record is of another terminal: its chain is not this one's")
	case place.Seq == MaxSeq:
		return Link{}, fieldError("pos_param seq", clauseChain, "the chain has no numbers left")
	}
	return Link{Seq: place.Seq + 1, Prev: place.ID}, nil
}

// Extend writes the link into a caller's pos_param: its bytes stay as they are up to the closing brace,
// then come the two members. A pos_param that cannot be read, or that has such members of its own, is
// an error.
func (l Link) Extend(posParam []byte) ([]byte, error) {
	if _, err := ParseTerminalInfo(posParam); err != nil {
		return nil, err
	}
	if l.Seq == 0 || l.Seq > MaxSeq {
		return nil, fieldError("pos_param seq", clauseChain, "not from 1 to 9223372036854775807")
	}
	_, seen, err := readObject(posParam)
	if err != nil {
		return nil, err
	}
	if seen["seq"] || seen["prev"] {
		return nil, fieldError("pos_param", clauseChain, "seq and prev are the terminal's: a caller must not set them")
	}
	front := posParam[:bytes.LastIndexByte(posParam, '}')]
	return append(l.appendMembers(bytes.Clone(front)), '}'), nil
}

// appendMembers writes the two behind other members.
func (l Link) appendMembers(dst []byte) []byte {
	dst = append(dst, `,"seq":"`...)
	dst = strconv.AppendUint(dst, l.Seq, 10)
	dst = append(dst, `","prev":"`...)
	return append(hex.AppendEncode(dst, l.Prev[:]), '"')
}

// readLink reads the two members. Where one stands alone it is a caller's own and means nothing here:
// terminals of other makers number their records too.
func readLink(texts map[string]string) (Link, error) {
	seqText, hasSeq := texts["seq"]
	prevText, hasPrev := texts["prev"]
	if !hasSeq || !hasPrev {
		return Link{}, nil
	}
	seq, err := strconv.ParseUint(seqText, 10, 63)
	if err != nil || seq == 0 || seqText[0] == '0' || seqText[0] == '+' {
		return Link{}, fieldError("pos_param seq", clauseChain, "not a decimal number from 1 to 9223372036854775807 without leading zeros")
	}
	link := Link{Seq: seq}
	if size, err := hex.Decode(link.Prev[:], []byte(prevText)[:min(len(prevText), hex.EncodedLen(sha256.Size))]); err != nil ||
		size != sha256.Size || link.Prev.String() != prevText {
		return Link{}, fieldError("pos_param prev", clauseChain, "not 64 digits of lower-case hex")
	}
	return link, nil
}

// Place is where a record says it stands.
type Place struct {
	POSID string // of the terminal
	Link
	ID StatementID // of the record itself
}

// Place reads it. False: the record has no link. Only a record whose integrity value was verified
// proves anything: anybody else could invent a link to make a terminal look cloned.
func (u *Unverified) Place() (Place, bool, error) {
	info, err := ParseTerminalInfo(u.record.Terminal)
	if err != nil {
		return Place{}, false, err
	}
	return Place{POSID: info.POSID, Link: Link{Seq: info.Seq, Prev: info.Prev}, ID: u.Statement()}, info.HasChain(), nil
}
