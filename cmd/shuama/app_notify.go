package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/shuama/shuama/role/payment"
)

type appNotifyCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID  string `arg:"" optional:"" help:"The app." name:"app-id"`
	URL    string `help:"Where they are posted to, http:// or https://; an empty one is nowhere." name:"url" required:""`
	Riders bool   `help:"Instead of an app's: where notices for riders go, all of them, to the wallets' server."`
}

// Help shows how it is used.
func (appNotifyCommand) Help() string {
	return `A server posts a signed form to it for each settled trade, refund and payout, and again until the answer is
"success", eight times within 25 hours. The SDK that the merchant has verifies it, as any notice of the platform.

Examples:
  shuama app notify city 2021000000000001 --url https://transit.example.com/notices
  shuama app notify city --riders --url https://wallet.example.com/notices`
}

// Run sets the address.
func (c *appNotifyCommand) Run(w *world) error {
	if at, err := url.Parse(c.URL); c.URL != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
		return errors.New("--url: not http:// or https:// with a host, as https://transit.example.com/notices")
	}
	if c.Riders == (c.AppID != "") {
		return errors.New("name an app, or say --riders")
	}
	if !c.Riders {
		return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
			app.NotifyURL = c.URL
			return fmt.Sprintf("Notices of app %s go to %s.", c.AppID, orNowhere(c.URL)), nil
		})
	}
	return changeCity(c.Dir, func(home *city) error {
		home.settings.RidersURL = c.URL
		if err := home.save(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "Notices for riders go to %s. %s\n", orNowhere(c.URL), takenUp)
		return err
	})
}

func orNowhere(address string) string {
	if address == "" {
		return "nowhere"
	}
	return address
}

// MerchantNotices is where notices of an app go.
func (l *liveRegister) MerchantNotices(id payment.AppID) string {
	for _, app := range l.current.Load().settings.Apps {
		if app.AppID == string(id) && !app.Disabled {
			return app.NotifyURL
		}
	}
	return ""
}

// RiderNotices is where notices for riders go.
func (l *liveRegister) RiderNotices() string { return l.current.Load().settings.RidersURL }
