package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment"
)

// App is a registered application of a merchant.
type App struct {
	ID        payment.AppID
	Merchant  payment.Merchant // whom its trades pay
	Key       openapi.Verifier // the app's public key; nil while none is registered
	AllowSHA1 bool             // sign_type RSA is taken too, and answered so; off where nobody needs it
	Methods   []openapi.Method // what it may call; nothing else
}

func (a App) permits(name openapi.Method) bool { return slices.Contains(a.Methods, name) }

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
