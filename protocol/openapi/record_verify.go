package openapi

import (
	"encoding/hex"

	"github.com/shuama/shuama/protocol/form"
	"github.com/shuama/shuama/protocol/record"
)

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
		Method:         MethodRecordVerify,
		ParseRequest:   parseRecordVerifyRequest,
		AppendRequest:  appendRecordVerifyRequest,
		ParseResponse:  parseRecordVerifyResponse,
		AppendResponse: func(dst []byte, _ RecordVerifyResponse) []byte { return append(appendSuccess(dst), '}') },
	}
}

func parseRecordVerifyRequest(content []byte) (RecordVerifyRequest, error) {
	o, err := readContent(content, nameContent, clauseRecordVerify)
	if err != nil {
		return RecordVerifyRequest{}, err
	}
	value, present := o.value("record")
	if !present {
		return RecordVerifyRequest{}, recordError("missing")
	}
	raw, why := hexText(value, record.MaxSize)
	if why != "" {
		return RecordVerifyRequest{}, recordError(why)
	}
	return RecordVerifyRequest{Record: raw}, nil
}

func recordError(why string) error {
	return &form.Error{Field: "record", Offset: -1, Clause: clauseRecordVerify, Why: why}
}

func appendRecordVerifyRequest(dst []byte, r RecordVerifyRequest) []byte {
	return append(appendMember(append(dst, '{'), "record", hex.EncodeToString(r.Record)), '}')
}

func parseRecordVerifyResponse(node []byte) (RecordVerifyResponse, error) {
	_, err := readContent(node, nameNode, clauseRecordVerify)
	return RecordVerifyResponse{}, err
}
