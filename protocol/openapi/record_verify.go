package openapi

import "github.com/shuama/shuama/protocol/record"

const clauseRecordVerify = "document 2 §4.2.2.5"

// RecordVerifyRequest asks whether a record is genuine (document 2 §4.2.2.5).
type RecordVerifyRequest struct {
	Record []byte // 脱机操作记录, 1 to record.MaxSize bytes; hex on the wire
}

// RecordVerifyResponse says that it is: it has no members of its own (document 2 §4.2.2.7). A record
// that is not genuine is an Error with FAIL.
type RecordVerifyResponse struct{}

// RecordVerify is 离线脱机记录验证, document 2 §4.2.2.
func RecordVerify() Codec[RecordVerifyRequest, RecordVerifyResponse] {
	return Codec[RecordVerifyRequest, RecordVerifyResponse]{
		Method: MethodRecordVerify, Title: "离线脱机记录验证",
		request:  message[RecordVerifyRequest]{clause: clauseRecordVerify, tell: (*RecordVerifyRequest).tell},
		response: message[RecordVerifyResponse]{clause: "document 2 §4.2.2.7", tell: (*RecordVerifyResponse).tell},
	}
}

func (r *RecordVerifyRequest) tell(d members) {
	d.bytes(need("record", record.MaxSize, "脱机操作记录，hex"), &r.Record)
}

func (*RecordVerifyResponse) tell(members) {}
