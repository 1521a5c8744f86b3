package openapi

import "encoding/json"

// Codec is one method as a document: its name, and what its request and its response hold. Each message
// tells its members once, as the documents' tables do; reading, writing and the API document follow from
// that. Requests are biz_content, responses are nodes. Reading is strict about what is known (a name
// twice, a wrong type, a length over document 2's tables) and takes members that are not: clients are
// newer than documents. Errors are *form.Error.
type Codec[Request, Response any] struct {
	Method Method
	Title  string // 接口名称, for people

	request  message[Request]
	response message[Response]
}

// message is one of a method's two messages: where its table stands, and what tells its members.
type message[T any] struct {
	clause string
	tell   func(*T, members)
	bare   bool // a request that may come without biz_content
}

// ParseRequest reads biz_content.
func (c Codec[Request, Response]) ParseRequest(content []byte) (Request, error) {
	if c.request.bare && len(content) == 0 {
		return *new(Request), nil
	}
	return c.request.read(content, nameContent)
}

// AppendRequest writes biz_content: nothing where there is nothing to say (gateway-facts §1).
func (c Codec[Request, Response]) AppendRequest(dst []byte, request Request) []byte {
	w := writer{append(dst, '{')}
	c.request.tell(&request, &w)
	if c.request.bare && len(w.dst) == len(dst)+1 {
		return dst
	}
	return append(w.dst, '}')
}

// ParseResponse reads the node of a call that succeeded.
func (c Codec[Request, Response]) ParseResponse(node []byte) (Response, error) {
	return c.response.read(node, nameNode)
}

// AppendResponse writes the node of a call that succeeded.
func (c Codec[Request, Response]) AppendResponse(dst []byte, response Response) []byte {
	w := writer{appendSuccess(dst)}
	c.response.tell(&response, &w)
	return append(w.dst, '}')
}

func (m message[T]) read(text []byte, name string) (T, error) {
	var read, none T
	o, err := readContent(text, name, m.clause)
	if err != nil {
		return none, err
	}
	if m.tell(&read, o); o.err != nil {
		return none, o.err
	}
	return read, nil
}

// schema is what a message holds as JSON Schema, draft 2020-12.
func (m message[T]) schema(answer bool) json.RawMessage {
	s := schema{answer: answer}
	if answer {
		s.tellOutcome()
	}
	m.tell(new(T), &s)
	return s.object()
}

// Operation is a method as the API document shows it.
type Operation struct {
	Method          Method
	Title           string
	RequestClause   string
	ResponseClause  string
	ContentOptional bool            // biz_content may be left out
	Request         json.RawMessage // JSON Schema of biz_content
	Response        json.RawMessage // JSON Schema of the node, of a success and of an error
}

// Operation documents the method.
func (c Codec[Request, Response]) Operation() Operation {
	return Operation{Method: c.Method, Title: c.Title, RequestClause: c.request.clause, ResponseClause: c.response.clause,
		ContentOptional: c.request.bare, Request: c.request.schema(false), Response: c.response.schema(true)}
}
