package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// App is a registered application of a merchant.
type App struct {
	ID       payment.AppID
	Merchant payment.Merchant // whom its trades pay
	Disabled bool             // by the operator: nothing is answered but that

	// Key is the app's public key, nil while none is registered. PreviousKey is the one before it, which goes on
	// being taken until PreviousUntil: a merchant's servers do not change theirs all at once.
	Key           openapi.Verifier
	PreviousKey   openapi.Verifier
	PreviousUntil time.Time
	Certificates  []AppCertificate    // in certificate mode
	ContentKey    *openapi.ContentKey // nil: contents come in the clear
	AllowSHA1     bool                // sign_type RSA is taken too, and answered so; off where nobody needs it

	Methods      []openapi.Method         // what it may call beside what every app may; nothing else
	Limit        Limit                    // of all its calls
	MethodLimits map[openapi.Method]Limit // of the calls of one method
	Addresses    []netip.Prefix           // where its calls come from; empty is anywhere
}

// Limit is how many calls are taken in a second, and at once after a quiet one; 0 is any number.
type Limit struct{ PerSec int }

func (a App) permits(name openapi.Method) bool { return slices.Contains(a.Methods, name) }

// keys are those that may sign in public key mode now.
func (a App) keys(now time.Time) anyKey {
	var keys anyKey
	if a.Key != nil {
		keys = append(keys, a.Key)
	}
	if a.PreviousKey != nil && now.Before(a.PreviousUntil) {
		keys = append(keys, a.PreviousKey)
	}
	return keys
}

// anyKey takes what one of the keys has signed.
type anyKey []openapi.Verifier

// Verify tries each.
func (k anyKey) Verify(signType openapi.SignType, text, signature []byte) bool {
	return slices.ContainsFunc(k, func(key openapi.Verifier) bool { return key.Verify(signType, text, signature) })
}

// AppCertificate is a certificate of an app that the authority has issued.
type AppCertificate struct {
	certificate openapi.Certificate
	sn          openapi.CertSN
	revoked     bool
}

// NewAppCertificate checks that root has issued the certificate for this app.
func NewAppCertificate(id payment.AppID, certificate, root openapi.Certificate, revoked bool) (AppCertificate, error) {
	if err := certificate.IssuedBy(root); err != nil {
		return AppCertificate{}, err
	}
	if certificate.Subject() != string(id) {
		return AppCertificate{}, fmt.Errorf("gateway: the certificate is not that of app %q", id)
	}
	return AppCertificate{certificate: certificate, sn: certificate.SN(), revoked: revoked}, nil
}

// Apps finds applications.
type Apps interface {
	// App finds one by its id. An error means that it cannot be told now.
	App(ctx context.Context, id openapi.AppID) (app App, known bool, err error)
}

// AppList is Apps that do not change.
type AppList struct{ apps map[payment.AppID]App }

// NewAppList takes apps with ids of their own; the merchant of each belongs to the same app.
func NewAppList(apps ...App) (*AppList, error) {
	list := &AppList{apps: make(map[payment.AppID]App, len(apps))}
	for _, app := range apps {
		if _, twice := list.apps[app.ID]; twice || app.ID == "" {
			return nil, fmt.Errorf("gateway: app id %q is empty or stands twice", app.ID)
		}
		if app.Merchant.App != app.ID {
			return nil, fmt.Errorf("gateway: the merchant of app %q belongs to app %q", app.ID, app.Merchant.App)
		}
		list.apps[app.ID] = app
	}
	return list, nil
}

// App finds one by its id; it never fails.
func (l *AppList) App(_ context.Context, id openapi.AppID) (App, bool, error) {
	app, known := l.apps[payment.AppID(id)]
	return app, known, nil
}
