package openapi

import (
	"encoding/json"

	"github.com/shuama/shuama/protocol/trust"
)

const clauseKeyQuery = "document 2 §4.2.1"

// KeyQueryRequest asks for the institution keys; there is nothing to say (document 2 §4.2.1.5).
type KeyQueryRequest struct{}

// KeyQueryResponse is the institution keys that hold now (支付宝主密钥, document 2 §4.2.1.7).
type KeyQueryResponse struct{ Keys []trust.Key }

// KeyQuery is 支付宝主密钥查询, document 2 §4.2.1. Its request may have no content at all, which is what
// clients send, or any JSON object.
func KeyQuery() Codec[KeyQueryRequest, KeyQueryResponse] {
	return Codec[KeyQueryRequest, KeyQueryResponse]{
		Method: MethodKeyQuery, Title: "支付宝主密钥查询",
		request:  message[KeyQueryRequest]{clause: clauseKeyQuery, tell: (*KeyQueryRequest).tell, bare: true},
		response: message[KeyQueryResponse]{clause: clauseKeyQuery, tell: (*KeyQueryResponse).tell},
	}
}

func (*KeyQueryRequest) tell(members) {}

func (r *KeyQueryResponse) tell(d members) {
	d.own(may("keys", 0, "密钥列表，每一项为一个支付宝离线公交密钥"), ownValue{
		present: len(r.Keys) > 0,
		read: func(value json.RawMessage) (err error) {
			r.Keys, err = trust.ParseKeyList(value)
			return err
		},
		append: func(dst []byte) []byte { return trust.AppendKeyList(dst, r.Keys) },
		schema: `"type":"array","items":{"type":"object","properties":{` +
			`"key_id":{"type":"integer","minimum":0,"maximum":255,"description":"密钥编号"},` +
			`"public_key":{"type":"string","pattern":"^0[23][0-9A-F]{64}$","description":"支付宝公钥数据"}},"required":["key_id","public_key"]}`,
	})
}
