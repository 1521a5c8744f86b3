package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/edge/web"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

// gcPercent lets a server's small heap grow before it is looked through: of a settled trade's time, collecting was a
// fifth. GOGC in the environment says otherwise.
const gcPercent = 400

type serveCommand struct {
	Dir             string        `arg:"" help:"The city's folder." type:"existingdir"`
	Listen          string        `help:"The address to listen at." default:"127.0.0.1:8080"`
	PublicURL       string        `help:"Where clients reach this server, for links to reconciliation files. Without it: the address that it listens at." name:"public-url" placeholder:"URL"`
	TrustProxy      []string      `help:"Networks of proxies whose X-Forwarded-For says where a call comes from." name:"trust-proxy" placeholder:"CIDR"`
	KeepDaysOpen    bool          `help:"Do not close accounting days: shuama day close does." name:"keep-days-open"`
	Stations        string        `help:"Where stations are, as CSV, for risk rules. Without it: stations.csv in the city's folder, if it is there." placeholder:"FILE" type:"existingfile"`
	TimestampWindow time.Duration `help:"Refuse requests whose timestamp is further away. Clients write their local time: under 14h some are shut out." name:"timestamp-window" placeholder:"24h"`
	bookFlags
	sealFlags
}

// Help shows how it is used.
func (serveCommand) Help() string {
	return `It answers POST /gateway.do as published clients of the open platform expect it, shows riders the pages of document 2
§4.3 (/p/f/public_transit/card_entry.html), and stops on SIGINT
or SIGTERM once requests under way are answered. A kill loses nothing: what was answered is on disk. Put a
proxy with TLS in front of it: requests are signed, and not hidden. Several may serve one city whose books are in
PostgreSQL; each closes accounting days and brings notices out, and none does it twice.

Examples:
  shuama serve city --listen 127.0.0.1:8080
  shuama serve city --database postgres://shuama@10.0.0.5/shuama --listen 10.0.0.7:8080
  shuama serve city --stations stations.csv
  shuama serve city --listen 10.0.0.5:8080 --public-url https://pay.example.com --trust-proxy 10.0.0.0/24`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(w *world) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	home, err := openCity(c.Dir)
	if err != nil {
		return err
	}
	if home.sealer, err = c.sealer(c.Dir); err != nil {
		return err
	}
	proxies, err := parsePrefixes(c.TrustProxy)
	if err != nil {
		return fmt.Errorf("--trust-proxy: %w", err)
	}
	if at, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https") {
		return errors.New("--public-url: not http:// or https:// with a host, as https://pay.example.com")
	}
	b, err := home.openBooks(w.context, c.bookFlags, trust.WindowFast, w.now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if c.Stations != "" {
		if b.places, err = readStations(c.Stations, true); err != nil {
			return fmt.Errorf("--stations: %w", err)
		}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	handler, err := home.gateway(w, b, gateway.Config{TimestampWindow: c.TimestampWindow, TrustedProxies: proxies}, c.address(w, listener))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(w.stdout, "Serving http://%s%s, apps registered: %d. Stop with Ctrl-C.\n", listener.Addr(), gateway.Path, len(home.settings.Apps))
	logger := slog.New(slog.NewTextHandler(w.stderr, nil))
	ctx, cancel := context.WithCancel(w.context)
	var chores sync.WaitGroup
	chores.Go(func() { home.follow(ctx, b, logger) })
	chores.Go(func() { home.keepHouse(ctx, w, b, logger, c.KeepDaysOpen) })
	chores.Go(func() { home.watchRisk(ctx, w, b, logger) })
	chores.Go(func() { home.bringNotices(ctx, w, b, logger) })
	defer chores.Wait()
	defer cancel()
	return serve(w.context, gateway.NewHTTPServer(c.Listen, handler), listener)
}

// address is where clients reach this server. A server that listens everywhere does not know.
func (c *serveCommand) address(w *world, listener net.Listener) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	if at, is := listener.Addr().(*net.TCPAddr); is && at.IP.IsUnspecified() {
		fmt.Fprintf(w.stderr, "shuama: links to reconciliation files will name %s, which nobody else can reach: say --public-url\n", at)
	}
	return "http://" + listener.Addr().String()
}

// drainTime is how long a stop waits for requests under way.
const drainTime = 10 * time.Second

func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	return server.Shutdown(draining)
}

// gateway makes the open platform over opened books, with the operator's policy. address is where clients
// reach it.
func (c *city) gateway(w *world, b *books, config gateway.Config, address string) (http.Handler, error) {
	private, err := unsealRSA(c.path("platform.sealed"), c.sealer)
	if err != nil {
		return nil, err
	}
	if config.Signer, err = openapi.NewPrivateKey(private); err != nil {
		return nil, err
	}
	links, err := billKey(private)
	if err != nil {
		return nil, err
	}
	config.Apps, config.Payment, config.Now, config.IssuerKeys = b.register, b, w.now, b.register.IssuerKeys
	config.Logger = slog.New(slog.NewTextHandler(w.stderr, nil))
	config.Cards, config.Rides, config.DenyList, config.Certificates = b.cards, watchedRides{b}, b.register, b.register.Certificates
	config.Bills = &gateway.BillService{Files: billFolder{c.path("bills")}, URL: address, Key: links}
	platform, err := gateway.New(config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", platform)
	mux.Handle("GET "+depot.TrustPath, depot.NewTrust(c))
	pages, err := c.riderPages(w, b, strings.HasPrefix(address, "https://"))
	if err != nil {
		return nil, err
	}
	mux.Handle(web.Path, pages)
	return mux, nil
}

// apps are the registered ones. root is the authority that has issued their certificates.
func (c *city) apps(root *openapi.Certificate) (*gateway.AppList, error) {
	contents, err := c.contentKeys()
	if err != nil {
		return nil, err
	}
	var apps []gateway.App
	for i := range c.settings.Apps {
		settings := &c.settings.Apps[i]
		app, err := settings.registered(root)
		if err != nil {
			return nil, fmt.Errorf("city.json: app %s: %w", settings.AppID, err)
		}
		app.ContentKey = contents[settings.AppID]
		apps = append(apps, app)
	}
	return gateway.NewAppList(apps...)
}

// registered is an app as the gateway knows it.
func (a *appSettings) registered(root *openapi.Certificate) (app gateway.App, err error) {
	app = gateway.App{ID: payment.AppID(a.AppID), Merchant: a.payee(), Disabled: a.Disabled, AllowSHA1: a.AllowSHA1, PreviousUntil: a.PreviousUntil,
		Limit: gateway.Limit{PerSec: a.CallsPerSec}, MethodLimits: map[openapi.Method]gateway.Limit{}}
	if app.Key, err = a.keyInUse(a.PublicKey); err != nil {
		return app, err
	}
	if app.PreviousKey, err = a.keyInUse(a.PreviousKey); err != nil {
		return app, err
	}
	if app.Certificates, err = a.certified(root); err != nil {
		return app, err
	}
	if app.Addresses, err = parsePrefixes(a.Addresses); err != nil {
		return app, err
	}
	for _, name := range a.permitted() {
		app.Methods = append(app.Methods, openapi.Method(name))
	}
	for name, perSec := range a.MethodCalls {
		app.MethodLimits[openapi.Method(name)] = gateway.Limit{PerSec: perSec}
	}
	return app, nil
}

// permitted is what an app may call. A city from before apps had a list of their own permits the first three.
func (a *appSettings) permitted() []string {
	if a.Methods == nil {
		return []string{string(openapi.MethodKeyQuery), string(openapi.MethodRecordVerify), string(openapi.MethodTradeSettle)}
	}
	return a.Methods
}

// keyInUse is nil where there is none, and for a key that a revoked certificate was over, whoever wrote it here:
// what is revoked is out of every mode.
func (a *appSettings) keyInUse(text string) (openapi.Verifier, error) {
	if text == "" {
		return nil, nil
	}
	key, err := openapi.ParsePublicKey(text)
	if err != nil || a.refuseRevoked(key) != nil {
		return nil, err
	}
	return openapi.NewPublicKey(key)
}

func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, errAddress := netip.ParseAddr(text); errAddress == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/24", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func parseRSAPublic(text string) (openapi.PublicKey, error) {
	key, err := openapi.ParsePublicKey(text)
	if err != nil {
		return openapi.PublicKey{}, err
	}
	return openapi.NewPublicKey(key)
}

func unsealRSA(path string, sealer hsm.Sealer) (*rsa.PrivateKey, error) {
	content, err := hsm.ReadSealed(path, sealer)
	if err != nil {
		return nil, err
	}
	return openapi.ParsePrivateKey(string(content))
}
