package openapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Notification is an asynchronous notice to a merchant (异步通知, gateway-facts §5): a form that is posted to
// its address, signed under the platform's key.
type Notification struct {
	AppID AppID
	Type  string            // notify_type, as trade_status_sync
	ID    string            // notify_id: the same whenever the same notice is sent again
	Time  time.Time         // notify_time, whole seconds
	More  map[string]string // what it is about, as trade_no; empty values are not sent
}

// NotificationReply is the whole answer of a merchant who has taken a notice: anything else asks for it again.
const NotificationReply = "success"

const (
	paramSign     = "sign"
	paramSignType = "sign_type"
)

// Sign gives the form. Unlike a request's, the signature covers neither sign nor sign_type, and empty values
// are neither sent nor signed: clients disagree about them.
func (n Notification) Sign(signer Signer, signType SignType) (url.Values, error) {
	form := url.Values{}
	for name, value := range n.More {
		if value != "" {
			form.Set(name, value)
		}
	}
	for name, value := range map[string]string{"app_id": string(n.AppID), "notify_type": n.Type, "notify_id": n.ID,
		"notify_time": FormatTime(n.Time), "charset": string(UTF8), "version": "1.0", paramSignType: string(signType), paramSign: ""} {
		if form.Has(name) {
			return nil, fmt.Errorf("openapi: the notice has %s twice", name)
		}
		if value == "" && name != paramSign {
			return nil, fmt.Errorf("openapi: the notice has no %s", name)
		}
		form.Set(name, value)
	}
	text, ok := notificationText(form)
	if !ok {
		return nil, errors.New("openapi: the notice has a name that is none, or a text that is not UTF-8")
	}
	signature, err := signer.Sign(signType, text)
	if err != nil {
		return nil, err
	}
	form.Set(paramSign, base64.StdEncoding.EncodeToString(signature))
	return form, nil
}

// VerifyNotification is for the merchant: nil when the platform has signed the form. A name that stands twice
// is refused, for another reader could take the other value.
func VerifyNotification(form url.Values, key Verifier) error {
	signature, ok := strictBase64(form.Get(paramSign))
	text, fit := notificationText(form)
	if !ok || !fit || !key.Verify(SignType(form.Get(paramSignType)), text, signature) {
		return errors.New("openapi: the notice is not signed by the platform")
	}
	return nil
}

// notificationText is what the signature covers, and whether every reader sees the same form.
func notificationText(form url.Values) ([]byte, bool) {
	var pairs [][]byte
	for name, values := range form {
		if !Method(name).isName() || len(values) != 1 || !utf8.ValidString(values[0]) {
			return nil, false
		}
		if name != paramSign && name != paramSignType && values[0] != "" {
			pairs = append(pairs, []byte(name+"="+values[0]))
		}
	}
	slices.SortFunc(pairs, func(a, b []byte) int { return strings.Compare(nameOf(a), nameOf(b)) })
	return bytes.Join(pairs, []byte("&")), true
}

func nameOf(pair []byte) string {
	name, _, _ := bytes.Cut(pair, []byte("="))
	return string(name)
}
