package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Address is a verifier at the other end of HTTP: each Question is the body of a POST, the Answer comes
// back with status 200. The server starts anew where before is "start", and keeps what it must where
// it is "restart".
type Address struct {
	URL    string
	Client *http.Client
}

// Begin needs nothing: the first question says "start".
func (a *Address) Begin(context.Context) (Session, error) { return httpSession{a}, nil }

type httpSession struct{ address *Address }

// Ask posts the question.
func (s httpSession) Ask(ctx context.Context, q Question) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	line, err := json.Marshal(q)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address.URL, bytes.NewReader(line))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.address.Client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerSize))
	if err != nil {
		return Answer{}, err
	}
	if response.StatusCode != http.StatusOK {
		return Answer{}, fmt.Errorf("status %s", response.Status)
	}
	return parseAnswer(reply)
}

// Close has nothing to do.
func (httpSession) Close() error { return nil }
