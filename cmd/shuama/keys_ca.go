package main

import (
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/protocol/openapi"
)

type keysCACommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	Name string `help:"The authority's name: letters, digits, spaces, points, hyphens." default:"Shuama Root CA"`
	sealFlags
}

// Help shows how it is used.
func (keysCACommand) Help() string {
	return `Certificate mode (公钥证书模式) is for clients that name certificates instead of knowing keys. The authority's
key is sealed in ca.sealed; a server does not need it. Afterwards, give each app its certificate.

Examples:
  shuama keys ca city
  shuama app certificate city 2021000000000001 --out merchant`
}

// Run makes the authority, and the platform's certificate.
func (c *keysCACommand) Run(w *world) error {
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	return changeCity(c.Dir, func(home *city) error {
		if _, err := os.Stat(home.path("ca.crt")); err == nil {
			return fmt.Errorf("%s has an authority already: its certificates are in use, and it is not made anew", c.Dir)
		}
		for _, app := range home.settings.Apps {
			if len(app.Certificates) > 0 {
				return fmt.Errorf("app %s has certificates, and ca.crt, which has issued them, is missing: restore it from a copy", app.AppID)
			}
		}
		if err := home.makeCA(sealer, c.Name, w.now().UTC().Truncate(time.Second)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "Made ca.crt and platform.crt. A running gateway takes them up at once.\nNext: shuama app certificate %s APP_ID --out DIR\n", c.Dir)
		return err
	})
}

// makeCA writes ca.crt last: it is what tells that the authority is there.
func (c *city) makeCA(sealer hsm.Sealer, name string, now time.Time) error {
	if err := os.Remove(c.path("ca.sealed")); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an attempt that was interrupted
		return err
	}
	if _, err := makeRSA(c.path("ca.sealed"), sealer); err != nil {
		return err
	}
	private, err := unsealRSA(c.path("ca.sealed"), sealer)
	if err != nil {
		return err
	}
	authority, err := openapi.NewAuthority(name, private, now)
	if err != nil {
		return err
	}
	public, err := c.platformKey()
	if err != nil {
		return err
	}
	platform, err := authority.Issue("Shuama platform", public, now)
	if err != nil {
		return err
	}
	return errors.Join(replaceFile(c.path("platform.crt"), platform.PEM(), 0o644), replaceFile(c.path("ca.crt"), authority.Root().PEM(), 0o644))
}

func (c *city) platformKey() (*rsa.PublicKey, error) {
	content, err := os.ReadFile(c.path("platform.pub"))
	if err != nil {
		return nil, err
	}
	return openapi.ParsePublicKey(string(content))
}

func readCertificate(path string) (openapi.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return openapi.Certificate{}, err
	}
	certificate, err := openapi.ParseCertificate(string(content))
	if err != nil {
		return openapi.Certificate{}, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

// certificates are nil while the city has no authority.
func (c *city) certificates() (*openapi.Certificate, *gateway.Certificates, error) {
	root, err := readCertificate(c.path("ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	platform, err := readCertificate(c.path("platform.crt"))
	if err != nil {
		return nil, nil, err
	}
	key, err := c.platformKey()
	if err != nil {
		return nil, nil, err
	}
	if !platform.Key().Equal(key) {
		return nil, nil, errors.New("platform.crt: it is not over the key in platform.pub: clients could not verify an answer")
	}
	known, err := gateway.NewCertificates(root, platform)
	return &root, known, err
}

// certified checks the certificates of an app.
func (a *appSettings) certified(root *openapi.Certificate) ([]gateway.AppCertificate, error) {
	var certificates []gateway.AppCertificate
	for _, settings := range a.Certificates {
		certificate, err := openapi.ParseCertificate(settings.Certificate)
		switch {
		case err != nil:
			return nil, fmt.Errorf("certificate %s: %w", settings.SN, err)
		case root == nil:
			return nil, errors.New("it has certificates, and ca.crt, which has issued them, is missing")
		case string(certificate.SN()) != settings.SN:
			return nil, fmt.Errorf("certificate %s: its name is %s", settings.SN, certificate.SN())
		}
		known, err := gateway.NewAppCertificate(a.payee().App, certificate, *root, !settings.Revoked.IsZero())
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", settings.SN, err)
		}
		certificates = append(certificates, known)
	}
	return certificates, nil
}

// openCA unseals the authority.
func (c *city) openCA(sealer hsm.Sealer) (*openapi.Authority, error) {
	root, err := readCertificate(c.path("ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this city has no authority: run shuama keys ca %s first", c.dir)
	}
	if err != nil {
		return nil, err
	}
	private, err := unsealRSA(c.path("ca.sealed"), sealer)
	if err != nil {
		return nil, err
	}
	return openapi.OpenAuthority(root, private)
}

// billKey signs links to reconciliation files. It follows from the platform's key, so that all servers of a
// platform agree on it.
func billKey(platform *rsa.PrivateKey) ([]byte, error) {
	return hkdf.Key(sha256.New, x509.MarshalPKCS1PrivateKey(platform), nil, "shuama: links to reconciliation files", 32)
}
