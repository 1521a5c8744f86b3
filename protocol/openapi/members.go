package openapi

import (
	"encoding/json"
	"time"

	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
)

// members is whom a message tells what it holds: one call a member, in the order and the words of the
// document's table. There are three: *object reads a message, *writer writes one, *schema documents it.
type members interface {
	text(m member, value *string)
	amount(m member, value *money.Fen)
	moment(m member, value *time.Time)
	flag(m member, value *bool)
	number(m member, value *int64)
	bytes(m member, value *[]byte)
	texts(m member, values *[]string)
	blobs(m member, values *[][]byte)
	list(m member, entries entries)
	part(m member, tell func(members))
	own(m member, value ownValue)

	// has tells whether an optional member is to be told: it came, or it is to be written.
	has(m member, value bool) bool
	// demand is a rule over several members.
	demand(ok bool, name, why string)
}

// member is one row of a table: 参数, 类型（长度范围）, 参数名称, 是否可为空.
type member struct {
	name     string
	max      int    // characters of a text, bytes behind a hex text, entries of a list, the largest number
	min      int    // entries of a list, the smallest number
	each     int    // characters or bytes of each entry of a list
	what     string // 参数名称
	required bool
	prose    bool     // a text that may have lines
	json     bool     // a text that holds a JSON object
	cut      bool     // a longer text is cut when it is written
	loose    bool     // a text of the value is taken for the value, as "true" or "[…]", and an empty one for none
	signed   bool     // an amount that may be negative
	values   []string // the only texts that it may be
}

// need is a row that says 不可空.
func need(name string, max int, what string) member {
	return member{name: name, max: max, what: what, required: true}
}

// may is a row that says 可空.
func may(name string, max int, what string) member { return member{name: name, max: max, what: what} }

func (m member) oneOf(values ...string) member {
	m.values = values
	return m
}

func (m member) lines() member     { m.prose = true; return m }
func (m member) jsonText() member  { m.prose, m.json = true, true; return m }
func (m member) shortened() member { m.prose, m.cut = true, true; return m }
func (m member) loosely() member   { m.loose = true; return m }
func (m member) atLeast(min int) member {
	m.min = min
	return m
}

func (m member) eachOf(max int) member {
	m.each = max
	return m
}

// entries is a list of objects while it is told.
type entries interface {
	count() int
	grow(count int)
	tell(i int, entry members)
}

type entriesOf[T any] struct {
	list *[]T
	each func(*T, members)
}

func (e entriesOf[T]) count() int                                  { return len(*e.list) }
func (e entriesOf[T]) grow(count int)                              { *e.list = make([]T, count) }
func (e entriesOf[T]) tell(i int, d members)                       { e.each(&(*e.list)[i], d) }
func listOf[T any](list *[]T, each func(*T, members)) entriesOf[T] { return entriesOf[T]{list, each} }

// ownValue is a member with a codec of its own.
type ownValue struct {
	present bool
	read    func(json.RawMessage) error
	append  func(dst []byte) []byte
	schema  string
}

// text tells a text of a type of its own.
func text[T ~string](d members, m member, value *T) {
	plain := string(*value)
	d.text(m, &plain)
	*value = T(plain)
}

// texts tells a list of them.
func texts[T ~string](d members, m member, values *[]T) {
	plain := make([]string, len(*values))
	for i, value := range *values {
		plain[i] = string(value)
	}
	d.texts(m, &plain)
	*values = make([]T, len(plain))
	for i, value := range plain {
		(*values)[i] = T(value)
	}
}

// sent tells an optional member whose absence means something: nil is absent.
func sent[T any](d members, m member, value **T, tell func(member, *T)) {
	if !d.has(m, *value != nil) {
		return
	}
	if *value == nil {
		*value = new(T)
	}
	tell(m, *value)
}

// rider tells whom a message is about: user_id, or open_id in its place, which newer clients send. Here a
// user has one number, for every app (DIVERGENCES): both name the same.
func rider(d members, user *ridecode.UserID, openID *string) {
	text(d, may("user_id", 64, "支付宝用户 id，不传时须传 open_id"), user)
	d.text(may("open_id", 128, "支付宝用户 open_id，代替 user_id"), openID)
	if *user == "" && len(*openID) <= 64 {
		*user = ridecode.UserID(*openID)
	}
	d.demand(*user != "", "user_id", "missing or empty")
}
