package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// appMethods is an app and methods.
type appMethods struct {
	Dir     string   `arg:"" help:"The city's folder." type:"existingdir"`
	AppID   string   `arg:"" help:"The app." name:"app-id"`
	Methods []string `arg:"" optional:"" help:"Methods, as alipay.commerce.data.send."`
	All     bool     `help:"Every method."`
}

// chosen are the methods that the arguments name.
func (c *appMethods) chosen() ([]string, error) {
	known := methodNames()
	if c.All == (len(c.Methods) > 0) {
		return nil, errors.New("name methods, or say --all:\n  " + strings.Join(known, "\n  "))
	}
	if c.All {
		return known, nil
	}
	for _, method := range c.Methods {
		if !slices.Contains(known, method) {
			return nil, fmt.Errorf("there is no method %q that an app is permitted; those are:\n  %s", method, strings.Join(known, "\n  "))
		}
	}
	return c.Methods, nil
}

// change keeps the list in the order of the document.
func (c *appMethods) change(w *world, permit bool) error {
	chosen, err := c.chosen()
	if err != nil {
		return err
	}
	return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		before := app.permitted()
		app.Methods = []string{}
		for _, method := range methodNames() {
			if is := slices.Contains(chosen, method); is && permit || !is && slices.Contains(before, method) {
				app.Methods = append(app.Methods, method)
			}
		}
		return fmt.Sprintf("App %s may call %d methods.", c.AppID, len(app.Methods)), nil
	})
}

type appAllowCommand struct{ appMethods }

// Help shows how it is used.
func (appAllowCommand) Help() string {
	return `Example:
  shuama app allow city 2021000000000001 alipay.commerce.data.send
  shuama app allow city 2021000000000001 --all`
}

// Run permits.
func (c *appAllowCommand) Run(w *world) error { return c.change(w, true) }

type appForbidCommand struct{ appMethods }

// Help shows how it is used.
func (appForbidCommand) Help() string {
	return "Example:\n  shuama app forbid city 2021000000000001 alipay.commerce.transport.offlinepay.trade.settle"
}

// Run takes away.
func (c *appForbidCommand) Run(w *world) error { return c.change(w, false) }

type appLimitCommand struct {
	Dir         string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID       string `arg:"" help:"The app." name:"app-id"`
	CallsPerSec int    `arg:"" help:"How many in a second; 0 is any number." name:"calls-per-sec"`
	Method      string `help:"Of this method alone, instead of all calls together." placeholder:"METHOD"`
}

// Help shows how it is used.
func (appLimitCommand) Help() string {
	return `After a quiet second, as many may come at once. Several servers each count by themselves.

Examples:
  shuama app limit city 2021000000000001 200
  shuama app limit city 2021000000000001 5 --method alipay.commerce.transport.offlinepay.key.query`
}

// Run sets the limit.
func (c *appLimitCommand) Run(w *world) error {
	if c.CallsPerSec < 0 || c.CallsPerSec > 1_000_000 {
		return errors.New("CALLS-PER-SEC: not 0 to 1000000")
	}
	if c.Method != "" && !slices.Contains(methodNames(), c.Method) {
		return fmt.Errorf("--method: there is no method %q that an app is permitted", c.Method)
	}
	return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		switch {
		case c.Method == "":
			app.CallsPerSec = c.CallsPerSec
		case c.CallsPerSec == 0:
			delete(app.MethodCalls, c.Method)
		case app.MethodCalls == nil:
			app.MethodCalls = map[string]int{c.Method: c.CallsPerSec}
		default:
			app.MethodCalls[c.Method] = c.CallsPerSec
		}
		return fmt.Sprintf("App %s: %d calls a second.", c.AppID, c.CallsPerSec), nil
	})
}

type appAddressCommand struct {
	Dir       string   `arg:"" help:"The city's folder." type:"existingdir"`
	AppID     string   `arg:"" help:"The app." name:"app-id"`
	Addresses []string `arg:"" optional:"" help:"Addresses and networks; they take the place of those before."`
	Anywhere  bool     `help:"From anywhere."`
}

// Help shows how it is used.
func (appAddressCommand) Help() string {
	return `Behind a proxy, start the server with --trust-proxy, or every call seems to come from the proxy.

Examples:
  shuama app address city 2021000000000001 203.0.113.7 2001:db8::/48
  shuama app address city 2021000000000001 --anywhere`
}

// Run sets the list.
func (c *appAddressCommand) Run(w *world) error {
	if c.Anywhere == (len(c.Addresses) > 0) {
		return errors.New("name addresses, or say --anywhere")
	}
	prefixes, err := parsePrefixes(c.Addresses)
	if err != nil {
		return err
	}
	return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		app.Addresses = nil
		for _, prefix := range prefixes {
			app.Addresses = append(app.Addresses, prefix.String())
		}
		return fmt.Sprintf("App %s calls from %s.", c.AppID, listText(app.Addresses, "anywhere")), nil
	})
}

// appState is an app to be stopped or let go on.
type appState struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" help:"The app." name:"app-id"`
}

func (c *appState) set(w *world, disabled bool) error {
	return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		app.Disabled = disabled
		return fmt.Sprintf("App %s is %s.", c.AppID, map[bool]string{true: "disabled", false: "enabled"}[disabled]), nil
	})
}

type appDisableCommand struct{ appState }

// Help shows how it is used.
func (appDisableCommand) Help() string { return "Example:\n  shuama app disable city 2021000000000001" }

// Run disables.
func (c *appDisableCommand) Run(w *world) error { return c.set(w, true) }

type appEnableCommand struct{ appState }

// Help shows how it is used.
func (appEnableCommand) Help() string { return "Example:\n  shuama app enable city 2021000000000001" }

// Run enables.
func (c *appEnableCommand) Run(w *world) error { return c.set(w, false) }
