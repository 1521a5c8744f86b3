package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
)

// Names of the files that clients in certificate mode are given, as they know them.
const (
	platformCertName = "alipayCertPublicKey_RSA2.crt"
	rootCertName     = "alipayRootCert.crt"
)

func appCertName(appID string) string { return "appCertPublicKey_" + appID + ".crt" }

type appCertificateCommand struct {
	Dir   string        `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string        `arg:"" help:"The app." name:"app-id"`
	CSR   string        `help:"A certificate request: the certificate is over its key. Without it: over the app's public key." name:"csr" placeholder:"FILE" type:"existingfile"`
	Out   string        `help:"Write the three certificates that a client needs here." required:"" placeholder:"DIR"`
	Keep  time.Duration `help:"How long requests without a certificate are still taken." default:"168h"`
	sealFlags
}

// Help shows how it is used.
func (appCertificateCommand) Help() string {
	return `From then on the app is in certificate mode. Old certificates hold until they are revoked.

Examples:
  shuama app certificate city 2021000000000001 --out certificates
  shuama app certificate city 2021000000000001 --csr app.csr --out certificates`
}

// Run issues the certificate.
func (c *appCertificateCommand) Run(w *world) error {
	if c.Keep < 0 {
		return errors.New("--keep: negative")
	}
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	return changeApp(w, c.Dir, c.AppID, func(home *city, app *appSettings) (string, error) {
		key, err := c.key(app)
		if err != nil {
			return "", err
		}
		authority, err := home.openCA(sealer)
		if err != nil {
			return "", err
		}
		now := w.now().UTC().Truncate(time.Second)
		certificate, err := authority.Issue(c.AppID, key, now)
		if err != nil {
			return "", err
		}
		app.Certificates = append(app.Certificates, certificateSettings{SN: string(certificate.SN()), Certificate: certificate.Bare()})
		app.retire(c.Keep, now)
		if err := c.write(home, certificate); err != nil {
			return "", err
		}
		return fmt.Sprintf("Issued certificate %s, until %s, into %s.", certificate.SN(), certificate.NotAfter().Format(time.DateOnly), c.Out), nil
	})
}

// key is the request's, or the app's public key, or that of the newest certificate, which is then renewed.
func (c *appCertificateCommand) key(app *appSettings) (*rsa.PublicKey, error) {
	if c.CSR != "" {
		content, err := os.ReadFile(c.CSR)
		if err != nil {
			return nil, err
		}
		key, err := openapi.ParseCertRequest(string(content))
		if err != nil {
			return nil, err
		}
		return key, app.refuseRevoked(key)
	}
	if app.PublicKey != "" {
		return openapi.ParsePublicKey(app.PublicKey)
	}
	for _, newest := range slices.Backward(app.Certificates) {
		if newest.Revoked.IsZero() {
			certificate, err := openapi.ParseCertificate(newest.Certificate)
			if err != nil {
				return nil, err
			}
			return certificate.Key(), nil
		}
	}
	return nil, errors.New("this app has no key in use: bring a certificate request with --csr")
}

// refuseRevoked keeps out a key that a revoked certificate was over: who has stolen it would be let in again.
func (a *appSettings) refuseRevoked(key *rsa.PublicKey) error {
	for _, old := range a.Certificates {
		if certificate, err := openapi.ParseCertificate(old.Certificate); err == nil && !old.Revoked.IsZero() && certificate.Key().Equal(key) {
			return errors.New("a certificate over this key was revoked: make a new key")
		}
	}
	return nil
}

func (c *appCertificateCommand) write(home *city, certificate openapi.Certificate) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	for name, from := range map[string]string{platformCertName: "platform.crt", rootCertName: "ca.crt"} {
		content, err := os.ReadFile(home.path(from))
		if err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(c.Out, name), content, 0o644); err != nil {
			return err
		}
	}
	return replaceFile(filepath.Join(c.Out, appCertName(c.AppID)), certificate.PEM(), 0o644)
}

type appRevokeCommand struct {
	Dir   string `arg:"" help:"The city's folder." type:"existingdir"`
	AppID string `arg:"" help:"The app." name:"app-id"`
	SN    string `arg:"" help:"The certificate, as shuama app show names it." name:"sn"`
}

// Help shows how it is used.
func (appRevokeCommand) Help() string {
	return `For a key that was stolen: it is also dropped where it stands as a public key.

Example:
  shuama app revoke city 2021000000000001 0f343b0931126a20f133d67c2b018a3b`
}

// Run revokes the certificate, and all others over its key.
func (c *appRevokeCommand) Run(w *world) error {
	return changeApp(w, c.Dir, c.AppID, func(_ *city, app *appSettings) (string, error) {
		at := slices.IndexFunc(app.Certificates, func(s certificateSettings) bool { return s.SN == c.SN })
		if at < 0 {
			return "", fmt.Errorf("app %s has no certificate %s: see shuama app show", c.AppID, c.SN)
		}
		stolen, err := openapi.ParseCertificate(app.Certificates[at].Certificate)
		if err != nil {
			return "", err
		}
		count := app.dropKey(stolen, w.now().UTC().Truncate(time.Second))
		return fmt.Sprintf("Revoked %d certificates of app %s.", count, c.AppID), nil
	})
}

// dropKey takes a certificate's key out of use wherever it stands.
func (a *appSettings) dropKey(stolen openapi.Certificate, now time.Time) (revoked int) {
	for i := range a.Certificates {
		other, err := openapi.ParseCertificate(a.Certificates[i].Certificate)
		if err == nil && a.Certificates[i].Revoked.IsZero() && other.Key().Equal(stolen.Key()) {
			a.Certificates[i].Revoked = now
			revoked++
		}
	}
	for _, text := range []*string{&a.PublicKey, &a.PreviousKey} {
		if key, err := openapi.ParsePublicKey(*text); err == nil && stolen.Key().Equal(key) {
			*text = ""
		}
	}
	if a.PreviousKey == "" {
		a.PreviousUntil = time.Time{}
	}
	return revoked
}

// holdsCertificate tells whether the app is in certificate mode.
func (a *appSettings) holdsCertificate() bool {
	return slices.ContainsFunc(a.Certificates, func(c certificateSettings) bool { return c.Revoked.IsZero() })
}
