package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
)

type appCommand struct {
	List        appListCommand        `cmd:"" help:"List the apps."`
	Show        appShowCommand        `cmd:"" help:"Show an app, and the settings that its client needs."`
	Allow       appAllowCommand       `cmd:"" help:"Permit methods to an app."`
	Forbid      appForbidCommand      `cmd:"" help:"Take methods away from an app."`
	RotateKey   appRotateKeyCommand   `cmd:"" help:"Take a new public key; the old one goes on for a while."`
	Certificate appCertificateCommand `cmd:"" help:"Issue a certificate to an app, for certificate mode."`
	Revoke      appRevokeCommand      `cmd:"" help:"Revoke a certificate of an app."`
	Encrypt     appEncryptCommand     `cmd:"" help:"Make the key that an app's contents are encrypted with."`
	Limit       appLimitCommand       `cmd:"" help:"Limit how many calls an app may make in a second."`
	Address     appAddressCommand     `cmd:"" help:"Say where an app's calls come from."`
	Notify      appNotifyCommand      `cmd:"" help:"Say where notices of an app's trades go."`
	CardType    appCardTypeCommand    `cmd:"" name:"card-type" help:"Register card types for an app's virtual cards."`
	Disable     appDisableCommand     `cmd:"" help:"Answer nothing to an app until it is enabled again."`
	Enable      appEnableCommand      `cmd:"" help:"Enable an app that was disabled."`
	Remove      appRemoveCommand      `cmd:"" help:"Remove an app for good; its trades stay in the books."`
	OpenAPI     appOpenAPICommand     `cmd:"" name:"openapi" help:"Print the API document (OpenAPI 3.1)."`
}

// methodNames are those that an app can be permitted.
func methodNames() []string {
	var names []string
	for _, method := range gateway.Methods() {
		names = append(names, string(method))
	}
	return names
}

// takenUp ends what a command says that a server follows.
const takenUp = "A running gateway takes it up at once."

// changeApp changes the settings of one app, and says what it did.
func changeApp(w *world, dir, id string, change func(home *city, app *appSettings) (done string, err error)) error {
	return changeCity(dir, func(home *city) error {
		app, err := home.app(id)
		if err != nil {
			return err
		}
		done, err := change(home, app)
		if err != nil {
			return err
		}
		if _, err := home.register(trust.WindowSmall); err != nil { // what a server could not read is not saved
			return err
		}
		if err := home.save(); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "%s %s\n", done, takenUp)
		return err
	})
}

type appListCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
}

// Help shows how it is used.
func (appListCommand) Help() string { return "Example:\n  shuama app list city" }

// Run lists the apps.
func (c *appListCommand) Run(w *world) error {
	home, err := openCity(c.Dir)
	if err != nil {
		return err
	}
	for i := range home.settings.Apps {
		app := &home.settings.Apps[i]
		fmt.Fprintf(w.stdout, "%s  merchant %s, %s, %d methods, %d terminals%s\n", app.AppID, app.Merchant, app.mode(w.now()),
			len(app.permitted()), len(app.Terminals), map[bool]string{true: ", DISABLED"}[app.Disabled])
	}
	return nil
}

// mode says how an app's requests are signed.
func (a *appSettings) mode(now time.Time) string {
	holds := a.holdsCertificate()
	switch previous := a.PreviousKey != "" && now.Before(a.PreviousUntil); {
	case holds && previous:
		return "certificate, and the old key until " + a.PreviousUntil.Format(time.RFC3339)
	case holds:
		return "certificate"
	case a.PublicKey != "" && previous:
		return "public key, and the old one until " + a.PreviousUntil.Format(time.RFC3339)
	case a.PublicKey != "":
		return "public key"
	case previous:
		return "the old key until " + a.PreviousUntil.Format(time.RFC3339)
	}
	return "NO KEY"
}

type appShowCommand struct {
	Dir     string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID   string `arg:"" help:"The app." name:"app-id"`
	Gateway string `help:"Where clients reach the gateway." default:"http://127.0.0.1:8080/gateway.do"`
}

// Help shows how it is used.
func (appShowCommand) Help() string {
	return `What it prints is no secret: the private key stays with the merchant.

Example:
  shuama app show city 2021000000000001 --gateway https://pay.example.com/gateway.do`
}

// Run shows what the city knows of an app, then what its client is configured with.
func (c *appShowCommand) Run(w *world) error {
	home, err := openCity(c.Dir)
	if err != nil {
		return err
	}
	app, err := home.app(c.AppID)
	if err != nil {
		return err
	}
	_, certificates, err := home.certificates()
	if err != nil {
		return err
	}
	platform, err := os.ReadFile(home.path("platform.pub"))
	if err != nil {
		return err
	}
	var text strings.Builder
	app.describe(&text, w.now())
	fmt.Fprintf(&text, "\nSettings of its client (SDK 的配置):\n  gateway            %s\n  app_id             %s\n  sign_type          RSA2\n  charset            utf-8, or gbk\n  alipay_public_key  %s\n",
		c.Gateway, app.AppID, openapi.BareKey(platform))
	if certificates != nil && len(app.Certificates) > 0 {
		text.WriteString("  certificate mode (公钥证书模式), the files that shuama app certificate --out has written:\n" +
			"    appCertPath " + appCertName(app.AppID) + ", alipayPublicCertPath " + platformCertName + ", alipayRootCertPath " + rootCertName + "\n")
	}
	_, err = fmt.Fprint(w.stdout, text.String())
	return err
}

func (a *appSettings) describe(text *strings.Builder, now time.Time) {
	fmt.Fprintf(text, "App %s of merchant %s, paid as %s\n  state      %s\n  signs with %s\n", a.AppID, a.Merchant, a.LoginName,
		map[bool]string{true: "DISABLED", false: "enabled"}[a.Disabled], a.mode(now))
	for _, certificate := range a.Certificates {
		state := "holds"
		if !certificate.Revoked.IsZero() {
			state = "REVOKED at " + certificate.Revoked.Format(time.RFC3339)
		} else if parsed, err := openapi.ParseCertificate(certificate.Certificate); err == nil {
			state = "holds until " + parsed.NotAfter().Format(time.RFC3339)
		}
		fmt.Fprintf(text, "  certificate %s %s\n", certificate.SN, state)
	}
	for _, method := range a.permitted() {
		fmt.Fprintf(text, "  may call   %s%s\n", method, limitText(a.MethodCalls[method]))
	}
	fmt.Fprintf(text, "  calls     %s\n  from       %s\n  card types %s\n", anyNumber(a.CallsPerSec), listText(a.Addresses, "anywhere"), listText(a.CardTypes, "none"))
	for _, cardType := range a.CardTypes {
		if terms, told := a.CardTerms[cardType]; told {
			fmt.Fprintf(text, "  card type  %s: %s\n", cardType, terms)
		}
	}
}

func limitText(perSec int) string {
	if perSec == 0 {
		return ""
	}
	return fmt.Sprintf(" at most %d a second", perSec)
}

func anyNumber(perSec int) string {
	if perSec == 0 {
		return " any number"
	}
	return limitText(perSec)
}

func listText(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

type appRemoveCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" help:"The app." name:"app-id"`
	Sure  bool   `help:"Yes, for good."`
}

// Help shows how it is used.
func (appRemoveCommand) Help() string {
	return `Its terminals go with it: records of theirs that come later cannot be verified any more. The number is not
given again, for the trades of before stand under it. To stop an app for a while, disable it instead.

Example:
  shuama app remove city 2021000000000001 --sure`
}

// Run removes the app.
func (c *appRemoveCommand) Run(w *world) error {
	return changeCity(c.Dir, func(home *city) error {
		if _, err := home.app(c.AppID); err != nil {
			return err
		}
		if !c.Sure {
			return errors.New("removing is for good: say --sure, or use shuama app disable")
		}
		home.settings.Apps = slices.DeleteFunc(home.settings.Apps, func(a appSettings) bool { return a.AppID == c.AppID })
		home.settings.RetiredApps = append(home.settings.RetiredApps, c.AppID)
		if err := home.save(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "Removed app %s. %s\n", c.AppID, takenUp)
		return err
	})
}

type appOpenAPICommand struct{}

// Help shows how it is used.
func (appOpenAPICommand) Help() string { return "Example:\n  shuama app openapi > openapi.json" }

// Run prints the document.
func (appOpenAPICommand) Run(w *world) error {
	_, err := w.stdout.Write(gateway.Document())
	return err
}
