package openapi

import "github.com/shuama/shuama/protocol/trust"

const clauseKeyQuery = "document 2 §4.2.1"

// KeyQueryRequest asks for the institution keys; there is nothing to say (document 2 §4.2.1.5).
type KeyQueryRequest struct{}

// KeyQueryResponse is the institution keys that hold now (支付宝主密钥, document 2 §4.2.1.7).
type KeyQueryResponse struct{ Keys []trust.Key }

// KeyQuery is 支付宝主密钥查询, document 2 §4.2.1.
func KeyQuery() Codec[KeyQueryRequest, KeyQueryResponse] {
	return Codec[KeyQueryRequest, KeyQueryResponse]{
		Method:         MethodKeyQuery,
		ParseRequest:   parseKeyQueryRequest,
		AppendRequest:  func(dst []byte, _ KeyQueryRequest) []byte { return dst },
		ParseResponse:  parseKeyQueryResponse,
		AppendResponse: appendKeyQueryResponse,
	}
}

// parseKeyQueryRequest takes no content at all, which is what clients send, and any JSON object.
func parseKeyQueryRequest(content []byte) (KeyQueryRequest, error) {
	if len(content) == 0 {
		return KeyQueryRequest{}, nil
	}
	_, err := readContent(content, nameContent, clauseKeyQuery)
	return KeyQueryRequest{}, err
}

func parseKeyQueryResponse(node []byte) (KeyQueryResponse, error) {
	o, err := readContent(node, nameNode, clauseKeyQuery)
	if err != nil {
		return KeyQueryResponse{}, err
	}
	list, present := o.value("keys")
	if !present {
		return KeyQueryResponse{}, nil
	}
	keys, err := trust.ParseKeyList(list)
	return KeyQueryResponse{Keys: keys}, err
}

func appendKeyQueryResponse(dst []byte, r KeyQueryResponse) []byte {
	dst = appendSuccess(dst)
	if len(r.Keys) > 0 {
		dst = trust.AppendKeyList(appendName(dst, "keys"), r.Keys)
	}
	return append(dst, '}')
}
