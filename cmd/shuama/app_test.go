package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// A key that a revoked certificate was over is no way in, whoever wrote it back into city.json; and what an app may
// call is what stands there, or the first three in a city from before there was a list.
func TestAppAsItStands(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	rootKey, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	appKey, err := rsa.GenerateKey(rand.Reader, openapi.MinKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := openapi.NewAuthority("Test Root", rootKey, now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Issue("app", &appKey.PublicKey, now)
	if err != nil {
		t.Fatal(err)
	}
	public, err := openapi.MarshalPublicKey(&appKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	app := appSettings{AppID: "app", Merchant: "m", PublicKey: openapi.BareKey(public), PreviousKey: openapi.BareKey(public), PreviousUntil: now.Add(time.Hour),
		Certificates: []certificateSettings{{SN: string(certificate.SN()), Certificate: certificate.Bare()}}}
	root := authority.Root()
	if known, err := app.registered(&root); err != nil || known.Key == nil || known.PreviousKey == nil || len(known.Certificates) != 1 {
		t.Errorf("%+v, %v", known, err)
	}
	app.Certificates[0].Revoked = now
	if known, err := app.registered(&root); err != nil || known.Key != nil || known.PreviousKey != nil {
		t.Errorf("revoked: %+v, %v", known, err)
	}
	if _, err := app.registered(nil); err == nil {
		t.Error("certificates without their authority")
	}
	for text, want := range map[string]int{`{}`: 3, `{"methods":null}`: 3, `{"methods":[]}`: 0, `{"methods":["alipay.commerce.data.send"]}`: 1} {
		var settings appSettings
		if err := json.Unmarshal([]byte(text), &settings); err != nil || len(settings.permitted()) != want {
			t.Errorf("%s permits %v, %v", text, settings.permitted(), err)
		}
	}
}
