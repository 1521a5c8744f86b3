package openapi_test

import (
	"encoding/base64"
	"maps"
	"net/url"
	"testing"

	"github.com/shuama/shuama/protocol/openapi"
)

func notice() openapi.Notification {
	return openapi.Notification{AppID: "2026051100000001", Type: "trade_status_sync", ID: "n1", Time: noon(),
		More: map[string]string{"trade_no": "2015080521001007096655443322", "subject": "公交 100% + 路 & 费=2", "total_amount": "2.00", "body": "",
			"fund_bill_list": `[{"amount":"2.00","fundChannel":"ALIPAYACCOUNT"}]`}}
}

// TestNotificationBytes: the signed text is written out here by hand (gateway-facts §5).
func TestNotificationBytes(t *testing.T) {
	form, err := notice().Sign(platformKey(), openapi.RSA2)
	if err != nil {
		t.Fatal(err)
	}
	text := `app_id=2026051100000001&charset=utf-8&fund_bill_list=[{"amount":"2.00","fundChannel":"ALIPAYACCOUNT"}]&notify_id=n1` +
		`&notify_time=2026-05-11 12:00:00&notify_type=trade_status_sync&subject=公交 100% + 路 & 费=2&total_amount=2.00` +
		`&trade_no=2015080521001007096655443322&version=1.0`
	signature, err := base64.StdEncoding.DecodeString(form.Get("sign"))
	if err != nil || !platformKey().Public().Verify(openapi.RSA2, []byte(text), signature) {
		t.Errorf("the signature is not over %s", text)
	}
	if form.Has("body") || form.Get("sign_type") != "RSA2" {
		t.Errorf("form %v", form)
	}
	received, err := url.ParseQuery(form.Encode())
	if err != nil || openapi.VerifyNotification(received, platformKey().Public()) != nil {
		t.Errorf("%v, %v", err, openapi.VerifyNotification(received, platformKey().Public()))
	}
}

// Whatever is changed on the way, the merchant sees it; an empty value more says nothing, and is let pass.
func TestNotificationTampered(t *testing.T) {
	good, err := notice().Sign(platformKey(), openapi.RSA2)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(url.Values){
		"another amount": func(f url.Values) { f.Set("total_amount", "200.00") }, "one less": func(f url.Values) { f.Del("subject") },
		"one more": func(f url.Values) { f.Set("refund_fee", "1") }, "a name twice": func(f url.Values) { f.Add("total_amount", "200.00") },
		"no sign": func(f url.Values) { f.Del("sign") }, "sign_type swapped": func(f url.Values) { f.Set("sign_type", "RSA") },
		"sign_type twice": func(f url.Values) { f.Add("sign_type", "RSA2") }, "a strange name": func(f url.Values) { f.Set("total_amount=200.00&x", "") },
		"another app": func(f url.Values) { f.Set("app_id", "1") },
	} {
		form := maps.Clone(good)
		for name, values := range good {
			form[name] = append([]string(nil), values...)
		}
		change(form)
		if openapi.VerifyNotification(form, platformKey().Public()) == nil {
			t.Errorf("%s: passed", name)
		}
	}
	if openapi.VerifyNotification(good, appKey().Public()) == nil {
		t.Error("passed with the app's key")
	}
	if openapi.VerifyNotification(url.Values{}, platformKey().Public()) == nil {
		t.Error("nothing passed")
	}
}

func TestNotificationRefuses(t *testing.T) {
	for name, change := range map[string]func(*openapi.Notification){
		"no app": func(n *openapi.Notification) { n.AppID = "" }, "no id": func(n *openapi.Notification) { n.ID = "" },
		"a name of the frame": func(n *openapi.Notification) { n.More["app_id"] = "2" }, "sign among the rest": func(n *openapi.Notification) { n.More["sign"] = "x" },
		"a name that is none": func(n *openapi.Notification) { n.More["a&b"] = "x" }, "no UTF-8": func(n *openapi.Notification) { n.More["body"] = "\xff" },
	} {
		n := notice()
		change(&n)
		if form, err := n.Sign(platformKey(), openapi.RSA2); err == nil {
			t.Errorf("%s: %v", name, form)
		}
	}
	if _, err := notice().Sign(platformKey(), "RSA3"); err == nil {
		t.Error("signed in a way that is none")
	}
}
