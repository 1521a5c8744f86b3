package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

type serveCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	Listen string `help:"The address to listen at." default:"127.0.0.1:8080"`
	sealFlags
}

// Help shows how it is used.
func (serveCommand) Help() string {
	return `It answers POST /gateway.do as published clients of the open platform expect it, and stops on SIGINT
or SIGTERM once requests under way are answered. A kill loses nothing: what was answered is on disk.

Example:
  shuama serve city --listen 127.0.0.1:8080`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(w *world) (err error) {
	home, err := openCity(c.Dir)
	if err != nil {
		return err
	}
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	b, err := home.openBooks(w.context, trust.WindowFast)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	handler, err := home.gateway(w, b, sealer)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "Serving http://%s%s, apps registered: %d. Stop with Ctrl-C.\n", listener.Addr(), gateway.Path, len(home.settings.Apps))
	go home.follow(w.context, b, slog.New(slog.NewTextHandler(w.stderr, nil)))
	return serve(w.context, gateway.NewHTTPServer(c.Listen, handler), listener)
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

// gateway makes the open platform over opened books.
func (c *city) gateway(w *world, b *books, sealer hsm.Sealer) (http.Handler, error) {
	private, err := unsealRSA(c.path("platform.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	signer, err := openapi.NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	platform, err := gateway.New(gateway.Config{Apps: b.register, Signer: signer, Payment: b, Now: w.now,
		IssuerKeys: b.register.IssuerKeys, Logger: slog.New(slog.NewTextHandler(w.stderr, nil))})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", platform)
	mux.Handle("GET "+depot.TrustPath, depot.NewTrust(c))
	return mux, nil
}

func (c *city) apps() (*gateway.AppList, error) {
	var apps []gateway.App
	for i := range c.settings.Apps {
		settings := &c.settings.Apps[i]
		key, err := parseRSAPublic(settings.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("city.json: app %s: %w", settings.AppID, err)
		}
		apps = append(apps, gateway.App{ID: payment.AppID(settings.AppID), Merchant: settings.payee(), Key: key, AllowSHA1: settings.AllowSHA1,
			Methods: []openapi.Method{openapi.MethodKeyQuery, openapi.MethodRecordVerify, openapi.MethodTradeSettle}})
	}
	return gateway.NewAppList(apps...)
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
