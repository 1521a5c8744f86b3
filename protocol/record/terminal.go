package record

import (
	"encoding/json"

	"github.com/shuama/shuama/protocol/form"
)

// Kind is the type of an acceptance record (受理记录类型, document 1 §7.2.3): which part of a trade it
// shows, and whether its rider waited for the settlement. Document 2 §4.1.4.6 names SINGLE; the others are
// ours (DIVERGENCES).
type Kind string

// The kinds of tap.
const (
	Single Kind = "SINGLE" // one record is one trade: a bus
	Entry  Kind = "ENTRY"  // into a metro; the fare is not known yet
	Exit   Kind = "EXIT"   // out of it; entry and exit are one trade
	Online Kind = "ONLINE" // one record is one trade, and its rider waits for the settlement (联机交易)
)

// IsWhole tells whether one record of this kind is one trade.
func (k Kind) IsWhole() bool { return k == Single || k == Online }

// TerminalInfo is what a terminal says of itself and of this tap (受理终端信息, pos_param). The first
// four are asked for by document 2 §4.1.4.6; others may stand beside them and are kept in the bytes.
type TerminalInfo struct {
	POSID    string // pos_id: one terminal of a merchant; may be empty in records of old terminals
	Kind     Kind   // type
	Subject  string // subject, as line and station
	RecordID string // record_id: one tap
	Line     string // line, ours: where there is one
	Station  string // station, ours

	Seq  uint64      // seq, ours: number in the terminal's record chain, from 1; 0 when there is no chain
	Prev StatementID // prev, ours: the statement before this one, or Genesis; see Chain
}

// HasChain tells whether the record is a link of its terminal's chain.
func (t TerminalInfo) HasChain() bool { return t.Seq != 0 }

const clausePOSParam = "document 2 §4.1.4.6"

// maxTextSize bounds each text of a pos_param, in bytes.
const maxTextSize = 256

// ParseTerminalInfo reads a pos_param: one JSON object, each name once, the four that document 2 asks
// for present as strings. Doubled names are refused because two readers would see two terminals.
func ParseTerminalInfo(b []byte) (TerminalInfo, error) {
	if len(b) > MaxSize {
		return TerminalInfo{}, fieldError("pos_param", clausePOSParam, "longer than a record can be")
	}
	texts, _, err := readObject(b)
	if err != nil {
		return TerminalInfo{}, err
	}
	for _, name := range []string{"pos_id", "type", "subject", "record_id"} {
		if _, present := texts[name]; !present {
			return TerminalInfo{}, fieldError("pos_param "+name, clausePOSParam, "missing, or not a text")
		}
	}
	link, err := readLink(texts)
	if err != nil {
		return TerminalInfo{}, err
	}
	return TerminalInfo{
		POSID: texts["pos_id"], Kind: Kind(texts["type"]), Subject: texts["subject"],
		RecordID: texts["record_id"], Line: texts["line"], Station: texts["station"],
		Seq: link.Seq, Prev: link.Prev,
	}, nil
}

// readObject collects the members of one JSON object whose values are texts, and the names of all.
func readObject(b []byte) (texts map[string]string, seen map[string]bool, err error) {
	if !json.Valid(b) {
		return nil, nil, fieldError("pos_param", clausePOSParam, "not JSON")
	}
	if !form.IsObject(b) {
		return nil, nil, fieldError("pos_param", clausePOSParam, "not a JSON object")
	}
	texts, seen = map[string]string{}, map[string]bool{}
	for name, value := range form.Members(b) {
		if seen[name] {
			return nil, nil, fieldError("pos_param", clausePOSParam, "a name stands twice")
		}
		seen[name] = true
		text, is := form.Text(value)
		if len(text) > maxTextSize {
			return nil, nil, fieldError("pos_param", clausePOSParam, "a text is longer than 256 bytes")
		}
		if is {
			texts[name] = text
		}
	}
	return texts, seen, nil
}

// JSON writes the pos_param, names in document 2's order, empty line and station left out; the two of
// the chain last, where it has one.
func (t TerminalInfo) JSON() []byte {
	members := []struct{ name, value string }{
		{"pos_id", t.POSID}, {"type", string(t.Kind)}, {"subject", t.Subject}, {"record_id", t.RecordID}}
	for _, extra := range []struct{ name, value string }{{"line", t.Line}, {"station", t.Station}} {
		if extra.value != "" {
			members = append(members, extra)
		}
	}
	out := []byte{'{'}
	for i, member := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = form.AppendJSONString(out, member.name)
		out = append(out, ':')
		out = form.AppendJSONString(out, member.value)
	}
	if t.HasChain() {
		out = Link{Seq: t.Seq, Prev: t.Prev}.appendMembers(out)
	}
	return append(out, '}')
}
